"""Who may talk to us, judged by the Host and Origin headers.

A page of another site can make the viewer's browser send requests here, and with DNS rebinding under a
name of its own. The first carries a foreign Origin, the second a foreign Host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from vcam_talker.control.listen import is_loopback

_DEFAULT_PORTS = {"http": 80, "https": 443}


def split_authority(authority: str) -> tuple[str, int | None] | None:
    """Return host (lower case, no brackets) and port of `host[:port]`; None when it is malformed."""
    if not authority or any(c in authority for c in "/?#@\\ \t") or not authority.isascii():
        return None
    try:
        parts = urlsplit(f"//{authority}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return (host.rstrip("."), port) if host else None


class HostPolicy:
    """Accepts the names under which this daemon is meant to be reached.

    Loopback names, the bound address, `allowed_hosts`; bound to every address, also any literal address: a
    rebound name is a name, never a literal. The port is not judged: a tunnel may change it.
    """

    def __init__(self, bound_host: str, allowed_hosts: Iterable[str]) -> None:
        self._names = {"localhost", bound_host.lower().strip("[]"), *(name.lower() for name in allowed_hosts)}
        bound = _literal(bound_host)
        self._any_literal = bound is None or bound.is_unspecified

    def accepts(self, authority: str) -> bool:
        """Return whether a request with this Host header is meant for us."""
        split = split_authority(authority)
        if split is None:
            return False
        host, _ = split
        if host in self._names or authority.lower() in self._names:
            return True
        literal = _literal(host)
        return literal is not None and (self._any_literal or is_loopback(host))


def same_origin(origin: str, authority: str) -> bool:
    """Return whether a page of `origin` (an Origin header) was served under `authority` (our Host header)."""
    try:
        parts = urlsplit(origin)
        origin_host, origin_port = parts.hostname, parts.port
    except ValueError:
        return False
    ours = split_authority(authority)
    if ours is None or parts.scheme not in _DEFAULT_PORTS or not origin_host:
        return False
    default = _DEFAULT_PORTS[parts.scheme]
    return origin_host.rstrip(".") == ours[0] and (origin_port or default) == (ours[1] or default)


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
