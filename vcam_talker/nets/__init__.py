"""Networks as torch modules. Offline: the daemon runs what was exported from them."""
