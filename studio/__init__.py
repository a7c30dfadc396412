"""Makes presenters and the truth that lip-sync is trained on; offline, never imported by the daemon."""
