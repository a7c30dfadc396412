"""What stands in rooms: each function puts one thing, or a seeded group of things, into a scene."""
