"""What this Linux machine knows about v4l2loopback: the module and its devices.

Reads files only; takes the root directory as a parameter so that tests can bring their own.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

MODULE = "v4l2loopback"


@dataclass(frozen=True, slots=True)
class LoopbackCamera:
    """One /dev/videoN made by v4l2loopback."""

    number: int
    label: str

    @property
    def path(self) -> str:
        """What applications open."""
        return f"/dev/video{self.number}"


@dataclass(frozen=True, slots=True)
class LoopbackState:
    """The module as the running kernel sees it."""

    kernel: str
    """Release, as `uname -r` prints it."""
    available: bool
    """The module exists for this kernel, or is loaded."""
    loaded: bool
    version: str
    """Empty when not loaded."""
    devices: tuple[LoopbackCamera, ...]

    def by_label(self, label: str) -> LoopbackCamera | None:
        """Return the device applications list as `label`."""
        return next((device for device in self.devices if device.label == label), None)


def read_loopback(root: Path = Path("/"), kernel: str = "") -> LoopbackState:
    """Return the state of v4l2loopback under `root`. Blocks for a few ms; never raises."""
    kernel = kernel or platform.release()
    module = root / "sys/module" / MODULE
    loaded = module.is_dir()
    available = loaded or _module_file(root / "lib/modules" / kernel)
    return LoopbackState(kernel, available, loaded, _text(module / "version"), _devices(root))


def _module_file(modules: Path) -> bool:
    """Return whether depmod's index of `modules` lists v4l2loopback; without an index, look for the file."""
    index = modules / "modules.dep"
    if index.is_file():
        return f"/{MODULE}.ko" in _text(index)
    return any(modules.rglob(f"{MODULE}.ko*")) if modules.is_dir() else False


def _devices(root: Path) -> tuple[LoopbackCamera, ...]:
    found = []
    # `max_openers` is an attribute that only v4l2loopback gives its devices.
    for attribute in (root / "sys/devices/virtual/video4linux").glob("video*/max_openers"):
        number = attribute.parent.name.removeprefix("video")
        if number.isdigit():
            found.append(LoopbackCamera(int(number), _text(attribute.parent / "name")))
    return tuple(sorted(found, key=lambda device: device.number))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
