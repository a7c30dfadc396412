"""One file of named arrays: the safetensors format, with a checksum for each, written whole or not at all.

https://huggingface.co/docs/safetensors: eight bytes of the header's length, JSON, then the arrays. Whatever
reads that format reads these files; the arrays are mapped into memory, so that opening costs nothing.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from studio.pack import StudioError

Array = npt.NDArray[Any]

SUFFIX: Final = ".safetensors"
_MAX_HEADER: Final = 1_000_000
_TYPES: Final = {"U8": "<u1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "F32": "<f4"}
_NAMES: Final = {np.dtype(code): name for name, code in _TYPES.items()}


def write(path: Path, arrays: Mapping[str, Array]) -> int:
    """Write the arrays, and return the file's size in bytes. Blocks until the disk has it.

    Until the last moment all is in a hidden file beside `path`; killed at any time, it leaves `path` whole or
    absent. Raises StudioError when the disk is full or can't be written.
    """
    # The widest types first keep every array aligned.
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0]))
    parts: list[bytes] = []
    fields: dict[str, Any] = {}
    checks: dict[str, int] = {}
    at = 0
    for name, array in ordered:
        raw = np.ascontiguousarray(array).tobytes()
        checks[name] = zlib.crc32(raw)
        fields[name] = {
            "dtype": _NAMES[array.dtype.newbyteorder("<")],
            "shape": list(array.shape),
            "data_offsets": [at, at + len(raw)],
        }
        parts.append(raw)
        at += len(raw)
    head = json.dumps({"__metadata__": {"crc32": json.dumps(checks)}, **fields}).encode()
    head += b" " * (-len(head) % 8)
    part = part_of(path)
    try:
        with part.open("wb") as file:
            file.write(struct.pack("<Q", len(head)) + head)
            for raw in parts:
                file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as e:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        full = e.errno in {errno.ENOSPC, errno.EDQUOT}
        raise StudioError(
            str(path),
            f"the disk is full, {(8 + len(head) + at) / 1e6:.1f} MB are needed"
            if full
            else f"can't be written ({e.strerror})",
            "Make room and run the same command again: what is done stays",
        ) from None
    return 8 + len(head) + at


def part_of(path: Path) -> Path:
    """Return the hidden file in which this process makes `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def read(path: Path) -> dict[str, Array]:
    """Return the arrays of a file, mapped and read-only. Raises StudioError for what is none or cut off."""
    return _opened(path)[0]


def verify(path: Path) -> None:
    """Read every byte. Raises StudioError that names the file when one of them has changed."""
    found, checks = _opened(path)
    for name, check in checks.items():
        if zlib.crc32(np.ascontiguousarray(found[name]).data) != check:
            raise _damaged(path, f"'{name}' has changed since it was written")


def _opened(path: Path) -> tuple[dict[str, Array], dict[str, int]]:
    try:
        data = np.memmap(path, np.uint8, "r")
        (length,) = struct.unpack("<Q", data[:8].tobytes())
        if not 2 <= length <= _MAX_HEADER:
            raise ValueError("has no header")
        head = json.loads(data[8 : 8 + length].tobytes())
        checks = json.loads(head.pop("__metadata__")["crc32"])
        found = {name: _array(data[8 + length :], field) for name, field in head.items()}
        end = max(field["data_offsets"][1] for field in head.values())
        if set(found) != set(checks) or 8 + length + end != data.size:
            raise ValueError("is cut off")
    except OSError as e:
        raise _damaged(path, e.strerror or "can't be read") from None
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as e:
        raise _damaged(path, str(e)[:80]) from None
    return found, checks


def _array(body: Array, field: Mapping[str, Any]) -> Array:
    first, beyond = field["data_offsets"]
    raw = body[first:beyond]
    return raw.view(_TYPES[field["dtype"]]).reshape(field["shape"])


def _damaged(path: Path, why: str) -> StudioError:
    return StudioError(str(path), f"is damaged ({why})", "Run `make` again: it is made anew")


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut; where folders can't be opened, the system sees to it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
