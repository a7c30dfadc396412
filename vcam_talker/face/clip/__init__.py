"""Presenters made of pictures: a clip of idle life, and mouth patches that are laid over it."""
