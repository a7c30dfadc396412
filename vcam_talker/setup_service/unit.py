"""The service's files: those that come with the program, and the one that names its installation."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vcam_talker.core.paths import APP, builtin_dir

UNIT: Final = f"{APP}.service"
DROP_INS: Final = Path(f"{UNIT}.d")
INSTALLATION: Final = DROP_INS / "10-installation.conf"
BACK_OFF: Final = DROP_INS / "20-back-off.conf"
SANDBOX: Final = DROP_INS / "30-sandbox.conf"
OURS: Final = (Path(UNIT), INSTALLATION, BACK_OFF, SANDBOX)
"""Everything that `setup service` writes and removes, relative to the unit directory."""

BACK_OFF_SINCE: Final = 254
"""The first version of systemd that waits longer after each failure."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:=+-]+")
_CARRIED: Final = (
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "VCAM_TALKER_RUNTIME_DIR",
    "PULSE_SERVER",
)
"""Variables that say where files and the sound server are; the service must agree with the command line."""


def unit_files(
    arguments: list[str], environ: Mapping[str, str], *, version: int, sandbox: bool
) -> dict[Path, str]:
    """Return path relative to the unit directory -> content, for a manager of that `version`."""
    files = {
        Path(UNIT): shipped(Path(UNIT)),
        INSTALLATION: _installation([*program(), "run", *arguments], environ),
    }
    if version >= BACK_OFF_SINCE:
        files[BACK_OFF] = shipped(BACK_OFF)
    if sandbox:
        files[SANDBOX] = shipped(SANDBOX)
    return files


def shipped(path: Path) -> str:
    """Return the text of a file that comes with the program."""
    return (builtin_dir("systemd") / path).read_text(encoding="utf-8")


def sandbox_properties() -> list[str]:
    """Return the sandbox as `KEY=VALUE`, to be tried on a unit that does nothing."""
    lines = shipped(SANDBOX).splitlines()
    # A credential takes part in the namespace, so one is needed to know that it can be made.
    return [*(line for line in lines if line and line[0] not in "#["), "SetCredential=probe:x"]


def program() -> list[str]:
    """Return the command of this installation: the script beside the interpreter, or the interpreter."""
    # Not resolved: in a virtual environment the interpreter is a link, and the link is what makes it one.
    python = Path(sys.executable)
    script = python.with_name(APP)
    return [str(script)] if script.is_file() else [str(python), "-m", "vcam_talker"]


def quoted(word: str) -> str:
    """Return `word` so that systemd reads exactly it, in ExecStart= and Environment=; plain words stay.

    systemd.service(5), "Command lines": C escapes in double quotes; `%` begins a specifier, `$` a variable.
    """
    if _PLAIN.fullmatch(word):
        return word
    escaped = "".join(_escape(c) for c in word)
    return f'"{escaped}"'


def _escape(character: str) -> str:
    match character:
        case '"' | "\\":
            return "\\" + character
        case "%" | "$":
            return character * 2
        case c if ord(c) < 32 or ord(c) == 127:
            return f"\\x{ord(c):02x}"
        case c:
            return c


def _installation(command: list[str], environ: Mapping[str, str]) -> str:
    lines = [
        "# Written by `vcam-talker setup service`, and again whenever that runs: your changes belong into",
        "# `systemctl --user edit vcam-talker`.",
        "[Service]",
        "ExecStart=",
        f"ExecStart={' '.join(quoted(word) for word in command)}",
    ]
    # `$` has no meaning in Environment=, so it is not doubled there.
    lines += [
        f"Environment={quoted(f'{name}={value}').replace('$$', '$')}"
        for name in _CARRIED
        if (value := environ.get(name))
    ]
    return "\n".join(lines) + "\n"
