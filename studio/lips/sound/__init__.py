"""The sound net: from mel frames to mouth poses."""
