"""Ears: from sound to words."""
