"""Files that are there whole or not at all; what the system has against them is one clear error."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

from vcam_talker.core.errors import BadInputError

_ELSEWHERE: Final = "Name another place, or see to its rights and its room"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Make every OSError of the block a BadInputError that names `path`: no right, no room, no such place."""
    try:
        yield
    except OSError as e:
        raise BadInputError(str(path), f"can't be written ({e.strerror or e})", _ELSEWHERE) from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Make every OSError of the block a BadInputError that names `path`."""
    try:
        yield
    except OSError as e:
        raise BadInputError(str(path), f"can't be read ({e.strerror or e})") from None


def check_folder(folder: Path) -> None:
    """Raise BadInputError unless files can be put into `folder`, which need not be there yet.

    It is tried: what rights say isn't all that can be in the way. Nothing of it is left.
    """
    made: list[Path] = []
    with writing(folder):
        try:
            for place in reversed([folder, *folder.parents]):
                if not place.exists():
                    place.mkdir(exist_ok=True)
                    made.append(place)
            with TemporaryFile(dir=folder) as file:
                file.write(b"tried")
        finally:
            for place in reversed(made):
                with suppress(OSError):  # somebody else has put something there meanwhile
                    place.rmdir()


def check_file(path: Path) -> None:
    """Raise BadInputError unless `path` can be written, in a folder that need not be there yet."""
    with writing(path):
        folder = path.is_dir()
    if folder:
        raise BadInputError(str(path), "is a folder", "Name a file in it")
    check_folder(path.parent)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in its place: seen only when it is on disk.

    Makes its folder. Raises BadInputError.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(partial)
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - what JSON holds
    """Write JSON atomically. NaN and infinity are refused. Raises BadInputError, ValueError."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text)


def jsonable(value: Any) -> Any:  # noqa: ANN401 - what JSON holds
    """Return tables, lists and numbers as JSON has them: NaN and infinity, which it lacks, become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: jsonable(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(member) for member in value]
    return value


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 atomically. Raises BadInputError.

    Names of files that are no UTF-8 stand as escapes, which JSON reads back as what they were.
    """
    data = text.encode("utf-8", "backslashreplace")
    write_atomically(path, lambda partial: partial.write_bytes(data))


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


def differing(found: object, asked: Mapping[str, Any]) -> list[str]:
    """Return the names of what `found`, out of a file, has otherwise than `asked`; tables are looked into."""
    names: list[str] = []
    table = found if isinstance(found, dict) else {}
    for name in [*asked, *(name for name in table if name not in asked)]:
        there, here = table.get(name), asked.get(name)
        if isinstance(there, dict) and isinstance(here, Mapping):
            names += differing(there, here)
        elif there != here or (name in table) != (name in asked):
            names.append(name)
    return names
