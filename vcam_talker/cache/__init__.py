"""Hot phrases: finished sentences, sound and mouth and word times, in memory and on disk."""
