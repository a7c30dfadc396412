"""The lips process: draws mouths with a network, beside the process that must never stop."""
