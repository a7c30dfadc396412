"""The expert of lips and sound: whether they belong together, and when."""
