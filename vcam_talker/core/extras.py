"""Extras of the package: what a part that is not installed tells its user."""

from __future__ import annotations


def how_to_install(extra: str) -> str:
    """Return the remedy for a missing extra, in one line."""
    return f"Install it: pip install 'vcam-talker[{extra}]'; in the source tree: make install EXTRAS={extra}"
