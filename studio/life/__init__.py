"""How a presenter moves when nobody tells it to, and what its face does for a mood or a sound."""
