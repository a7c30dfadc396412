"""Checks of the machine itself: processors, clock, disk, the page's port, the user."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import socket
import sys
import urllib.parse
from pathlib import Path

from vcam_talker.config import Config
from vcam_talker.control.address import read_address
from vcam_talker.core.errors import NotRunningError
from vcam_talker.core.paths import state_dir
from vcam_talker.doctor.finding import Finding, Machine
from vcam_talker.inference.threads import logical_processors, quota_cores

LOW_DISK_BYTES = 200_000_000
_GOOD_CLOCKS = {
    "tsc",
    "kvm-clock",
    "arch_sys_counter",
    "hyperv_clocksource_tsc_page",
    "timebase",
    "tsc-early",
}
"""Clock sources the kernel reads without a system call or slow port: nanoseconds, not microseconds."""


def check_processors(_config: Config, machine: Machine) -> list[Finding]:
    """Count the processors this process may use; look at their vector instructions."""
    count, quota = logical_processors(), quota_cores(machine.root)
    shown = f"{count} processor{'s' if count != 1 else ''} ({platform.machine()})"
    if quota < count:
        shown += f", limited to {quota:g}"
    found = [Finding("processor", "ok", shown)]
    if min(count, quota) < 2:
        remedy = "Give it two, or lower 'air.fps' or the picture's size"
        found = [Finding("processor", "warn", f"{shown}: speech and picture share one", remedy)]
    flags = machine.text("proc/cpuinfo").partition("flags")[2].partition("\n")[0].split()
    if flags and "avx2" not in flags:
        remedy = "Lower 'air.fps' or the picture's size if frames come late"
        found.append(Finding("processor", "warn", "no AVX2: drawing and encoding are slower", remedy))
    return found


def check_clock(_config: Config, machine: Machine) -> list[Finding]:
    """Look at the kernel's clock source: a slow one costs time on every frame."""
    source = machine.text("sys/devices/system/clocksource/clocksource0/current_clocksource")
    if not source:
        return [Finding("clock", "ok", "monotonic clock of the system")]
    if source in _GOOD_CLOCKS:
        return [Finding("clock", "ok", f"clock source {source}")]
    remedy = "See /sys/devices/system/clocksource/clocksource0/available_clocksource; tsc is best"
    return [Finding("clock", "warn", f"clock source {source} is slow to read", remedy)]


def check_disk(_config: Config, _machine: Machine) -> list[Finding]:
    """Look for room for logs and the right to write them. Makes nothing."""
    there = nearest_folder(state_dir())
    if not is_writable(there):
        remedy = "Make it writable, or name another folder in XDG_STATE_HOME"
        return [Finding("disk", "fail", f"{there} can't be written to", remedy)]
    free = shutil.disk_usage(there).free
    message = f"{free / 1e9:.1f} GB free in {there}"
    if free < LOW_DISK_BYTES:
        return [Finding("disk", "warn", message, "Make room: logs and recordings need some")]
    return [Finding("disk", "ok", message)]


def nearest_folder(wanted: Path) -> Path:
    """Return `wanted`, or what is there of the way to it."""
    return next((parent for parent in (wanted, *wanted.parents) if parent.exists()), Path("/"))


def is_writable(folder: Path) -> bool:
    """Tell whether this user may make files in it."""
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def check_port(config: Config, _machine: Machine) -> list[Finding]:
    """See whether the page's port is free, or held by the daemon itself."""
    host, port = config.control.host, config.control.port
    try:
        address = read_address()
    except NotRunningError:
        address = None
    if address:
        found = [Finding("page", "ok", f"the daemon is on air (process {address.pid}): {address.url}")]
        if port in {0, urllib.parse.urlsplit(address.url).port}:
            return found
    if port == 0:
        return [Finding("page", "ok", "takes a free port")]
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with socket.socket(infos[0][0], socket.SOCK_STREAM) as probe:
            if sys.platform != "win32":
                # As the server does: a port that a stopped daemon has just left is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(infos[0][4])
    except OSError as e:
        if e.errno == errno.EADDRINUSE:
            remedy = "Stop it, or choose another with --port or 'control.port' (0 takes a free one)"
            return [Finding("page", "fail", f"port {port} is used by another program", remedy)]
        message = f"{host}:{port} can't be used ({e.strerror})"
        return [Finding("page", "fail", message, "Set another 'control.host' or 'control.port'")]
    return [Finding("page", "ok", f"port {port} on {host} is free")]


def check_user(_config: Config, machine: Machine) -> list[Finding]:
    """Remark on running as root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return [Finding("user", "ok", "an ordinary user")]
    if any((machine.root / mark).exists() for mark in (".dockerenv", "run/.containerenv")):
        return [Finding("user", "ok", "root in a container")]
    message = "running as root: only root's own programs hear the microphone"
    return [Finding("user", "warn", message, "Run it as the user who runs OBS or the browser")]
