"""Faces driven by networks: poses from sound, mouths from poses or sound."""
