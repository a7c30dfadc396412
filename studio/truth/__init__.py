"""The truth set: speaking faces of which everything is known, for training lips and for judging them."""
