"""The way in: HTTP and WebSocket API, the page, the client that the command line uses."""
