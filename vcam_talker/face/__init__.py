"""How it looks: scenes draw the picture, drivers turn speech into mouth movement."""
