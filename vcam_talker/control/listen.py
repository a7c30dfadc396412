"""The listening socket of the control API, bound before anything else so that a taken port shows at once."""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys

from vcam_talker.config import TOKEN_COMMAND, ControlConfig
from vcam_talker.core.errors import AlreadyRunningError, ConfigError, DeviceError, NotRunningError

_SEND_BUFFER_BYTES = 256 * 1024
"""Bounds what the kernel holds for a viewer that does not read: a third of a second of preview instead of
the several that it would grow to by itself."""


def is_loopback(host: str) -> bool:
    """Return whether `host` can only be reached from this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_exposure(config: ControlConfig) -> None:
    """Raise ConfigError when other machines could reach the API without a token."""
    if not config.token and not is_loopback(config.host):
        raise ConfigError(
            f"control.host '{config.host}'",
            "can be reached by other machines, and 'control.token' is empty",
            f"Set 'control.token' to what this prints: {TOKEN_COMMAND}, or 'control.host' to 127.0.0.1",
        )
    if not config.token.isascii() or config.token != config.token.strip():
        raise ConfigError(
            "control.token", "has characters no HTTP header can carry", "Use letters and digits"
        )


def bind(host: str, port: int) -> socket.socket:
    """Return a bound and listening socket; port 0 takes a free one. Does not block.

    Raises AlreadyRunningError when our own daemon has the port, DeviceError when another program has it or
    the system refuses it, ConfigError when `host` is no address of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise _no_such_address(host) from None
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # Connections of the daemon before may still linger in TIME_WAIT.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        sock.bind(address)
        # A bound socket shares its port with SO_REUSEADDR until one of them listens.
        sock.listen(64)
    except OSError as e:
        sock.close()
        raise _refused(host, port, e) from None
    sock.setblocking(False)
    return sock


def url_of(sock: socket.socket) -> str:
    """Return the address of a bound socket as this machine reaches it (`http://127.0.0.1:8470`)."""
    host, port = sock.getsockname()[:2]
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _refused(host: str, port: int, e: OSError) -> DeviceError | AlreadyRunningError | ConfigError:
    what = f"control port {port}"
    if e.errno == errno.EADDRINUSE:
        if _ours(port):
            return AlreadyRunningError(what, "a vcam_talker is already on air there", "Stop that one first")
        return DeviceError(
            what,
            "is taken by another program",
            "Choose another with --port or 'control.port' (0 takes a free one)",
        )
    if e.errno == errno.EACCES:
        remedy = "Choose one above 1023 with --port or 'control.port'"
        return DeviceError(what, "the system does not allow it", remedy)
    if e.errno == errno.EADDRNOTAVAIL:
        return _no_such_address(host)
    return DeviceError(
        f"control address {host}:{port}", f"can't be bound ({e.strerror})", "Check 'control.host'"
    )


def _no_such_address(host: str) -> ConfigError:
    return ConfigError(
        f"control.host '{host[:100]}'", "is no address of this machine", "Use 127.0.0.1, or 0.0.0.0 for all"
    )


def _ours(port: int) -> bool:
    from urllib.parse import urlsplit

    from vcam_talker.control.address import read_address

    try:
        return urlsplit(read_address().url).port == port
    except NotRunningError:
        return False
