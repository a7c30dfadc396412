"""The layered vector rig: a presenter drawn from paths, every frame anew."""
