"""What to answer: one file per responder."""
