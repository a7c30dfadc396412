"""Live chat: one file per platform, and the filters that every line passes."""
