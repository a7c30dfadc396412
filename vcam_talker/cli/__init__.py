"""The command line: every verb is a thin client of the running daemon or of an offline tool."""

from vcam_talker.cli.main import main

__all__ = ["main"]
