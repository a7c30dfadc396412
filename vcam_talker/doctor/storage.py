"""Checks of what it keeps: finished phrases, and secrets."""

from __future__ import annotations

import os
import shutil
import sys

from vcam_talker.cache.phrases import phrase_folder
from vcam_talker.config import Config
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.secrets import KNOWN_SECRETS, read_secret, secret_names
from vcam_talker.doctor.finding import Finding, Machine
from vcam_talker.doctor.machine import LOW_DISK_BYTES, is_writable, nearest_folder

_MB = 1_000_000


def check_cache(config: Config, _machine: Machine) -> list[Finding]:
    """Look for the right and the room to keep hot phrases. Makes nothing."""
    cache = config.cache
    if not cache.enabled:
        return [Finding("cache", "ok", "no phrases are kept: cache.enabled is false")]
    if not cache.disk_mb:
        return [Finding("cache", "ok", f"{cache.memory_mb} MB in memory, nothing on disk")]
    folder = phrase_folder(cache).path
    there = nearest_folder(folder)
    lost = "phrases are kept in memory alone and made anew after a restart"
    if not is_writable(there):
        remedy = "Make it writable, or name another folder in cache.folder"
        return [Finding("cache", "warn", f"{there} can't be written to: {lost}", remedy)]
    if sys.platform != "win32" and there == folder and folder.stat().st_uid != os.geteuid():
        message = f"{folder} belongs to another user: {lost}"
        return [Finding("cache", "warn", message, "Name another folder in cache.folder")]
    free = shutil.disk_usage(there).free
    if free < LOW_DISK_BYTES:
        remedy = "Make room, or name another folder in cache.folder"
        return [Finding("cache", "warn", f"{free / _MB:.0f} MB free in {there}: {lost}", remedy)]
    return [Finding("cache", "ok", f"up to {cache.disk_mb} MB in {folder}")]


def check_secrets(_config: Config, _machine: Machine) -> list[Finding]:
    """See which secrets there are and whether they can be used. Shows none of them."""
    usable, found = [], []
    for name in sorted({*KNOWN_SECRETS, *secret_names()}):
        try:
            if read_secret(name) is not None:
                usable.append(name)
        except VcamTalkerError as e:
            found.append(Finding("secrets", "fail", f"{name}: {e.what} {e.why}", e.remedy))
    if usable or not found:
        shown = ", ".join(usable) or f"none (there can be: {', '.join(KNOWN_SECRETS)})"
        found.insert(0, Finding("secrets", "ok", shown))
    return found
