"""Types, protocols, clocks and errors that every layer shares: stdlib and numpy only."""
