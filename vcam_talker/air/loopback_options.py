"""v4l2loopback's options in modprobe's configuration: read them, add a camera, keep the others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vcam_talker.air.loopback import MODULE, LoopbackCamera
from vcam_talker.core.errors import DeviceError

_PARAMETER = re.compile(r'(\w+)=((?:"[^"]*"|[^\s"])*)')
_COLUMNS = {"video_nr": "-1", "card_label": "", "exclusive_caps": "0"}
"""The parameters with one value per device, and what the kernel takes where one is missing."""


@dataclass(frozen=True, slots=True)
class OptionsLine:
    """One `options v4l2loopback ...` line of modprobe's configuration."""

    file: Path
    parameters: dict[str, str]
    """As written, without quotes: `{"video_nr": "4", "card_label": "OBS Cam"}`."""


def read_options(root: Path = Path("/")) -> tuple[OptionsLine, ...]:
    """Return the module's option lines in the order modprobe reads them: files by name, wherever they lie.

    A file in /etc hides one of the same name in /run, /usr/local/lib, /usr/lib and /lib (modprobe.d(5)).
    A later parameter overrides an earlier one. Raises DeviceError when a file can't be read.
    """
    files: dict[str, Path] = {}
    for directory in ("etc", "run", "usr/local/lib", "usr/lib", "lib"):
        for file in (root / directory / "modprobe.d").glob("*.conf"):
            files.setdefault(file.name, file)
    lines = []
    for name in sorted(files):
        for line in _read(files[name]).replace("\\\n", " ").splitlines():
            words = line.split(None, 2)
            if words[:2] == ["options", MODULE] and len(words) == 3:
                found = {key: value.replace('"', "") for key, value in _PARAMETER.findall(words[2])}
                lines.append(OptionsLine(files[name], found))
    return tuple(lines)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as e:
        raise DeviceError(str(file), f"can't be read ({e.strerror})", "Run this with sudo") from None


@dataclass(frozen=True, slots=True)
class MergedOptions:
    """One set of parameters for all devices, ours among them."""

    number: int
    """Of our /dev/video; another one than asked for where that is taken."""
    parameters: dict[str, str]

    def line(self) -> str:
        """Return the line for modprobe.d."""
        # One pair of quotes around the whole list: the kernel takes quotes only at the ends of a value.
        words = [f'{k}="{v}"' if k == "card_label" else f"{k}={v}" for k, v in self.parameters.items()]
        return f"options {MODULE} {' '.join(words)}"


def add_camera(
    lines: Sequence[OptionsLine],
    running: Sequence[LoopbackCamera],
    taken: Sequence[int],
    number: int,
    label: str,
) -> MergedOptions:
    """Return options with a camera called `label` at `number`, or at the next number that is free.

    The devices of `lines` (in modprobe's order) and those `running` without any line keep number and name;
    `taken` are the numbers of cameras that are not v4l2loopback's.
    """
    merged: dict[str, str] = {}
    for line in lines:
        merged |= line.parameters
    columns = _columns(merged, bool(lines))
    numbers, labels, exclusive = columns["video_nr"], columns["card_label"], columns["exclusive_caps"]
    for device in running:
        if device.label != label and device.label not in labels and str(device.number) not in numbers:
            numbers.append(str(device.number))
            labels.append(device.label)
            exclusive.append("1")
    if label not in labels:
        numbers.append("-1")
        labels.append(label)
        exclusive.append("0")
    mine = labels.index(label)
    others = {*numbers[:mine], *numbers[mine + 1 :], *map(str, taken)}
    while str(number) in others:
        number += 1
    numbers[mine], exclusive[mine] = str(number), "1"
    # An empty label can't stand in a list; this is the kernel's own name for such a device.
    columns["card_label"] = [name or f"Dummy video device (0x{i:04X})" for i, name in enumerate(labels)]
    merged["devices"] = str(len(numbers))
    return MergedOptions(number, merged | {key: ",".join(column) for key, column in columns.items()})


def _columns(merged: dict[str, str], any_line: bool) -> dict[str, list[str]]:
    """Return the per-device parameters as lists of equal length, filled with the kernel's defaults."""
    given = {key: merged[key].split(",") if merged.get(key) else [] for key in _COLUMNS}
    # The kernel's own count: `devices`, else as many as video_nr names, else one.
    count = int(merged["devices"]) if merged.get("devices", "").isdigit() else len(given["video_nr"]) or 1
    count = count if any_line else 0
    return {key: [*values[:count], *[_COLUMNS[key]] * (count - len(values))] for key, values in given.items()}
