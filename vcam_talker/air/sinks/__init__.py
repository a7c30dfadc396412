"""Where picture and sound go: one file per kind of device or file."""
