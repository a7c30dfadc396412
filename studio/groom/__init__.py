"""Grows hair: what is on the scalp, brows, lashes and beards."""
