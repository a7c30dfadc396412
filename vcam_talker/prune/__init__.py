"""The pruning toolkit: what may go, what goes, and what it cost. Offline."""
