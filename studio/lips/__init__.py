"""Training of the lip-sync networks on the truth that `studio.truth` makes."""
