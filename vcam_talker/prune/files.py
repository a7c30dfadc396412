"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vcam_talker.core.errors import BadInputError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in its place: seen only when it is on disk.

    Raises OSError.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - what JSON holds
    """Write JSON atomically. NaN and infinity are refused. Raises OSError, ValueError."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises BadInputError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise BadInputError(str(path), e.strerror or "can't be read") from None
    except (ValueError, RecursionError) as e:
        raise BadInputError(str(path), f"isn't JSON ({e})") from None
    if not isinstance(value, dict):
        raise BadInputError(str(path), "holds no JSON object")
    return value
