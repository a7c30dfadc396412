"""How it sounds: one file per voice engine, each run at arm's length as a program of its own."""
