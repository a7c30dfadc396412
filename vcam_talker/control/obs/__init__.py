"""The link to OBS Studio over obs-websocket v5: commands in, captions and scenes out. docs/obs.md."""
