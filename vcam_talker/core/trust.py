"""Whose certificates are believed."""

from __future__ import annotations

import ssl

import certifi


def default_trust() -> ssl.SSLContext:
    """Return a context that trusts what the system trusts and certifi's list: slim systems have none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
