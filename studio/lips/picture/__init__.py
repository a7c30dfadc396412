"""The picture net: from a face at rest and a mouth pose to a mouth."""
