"""The engines that TensorRT has built, one folder for each.

TensorRT builds for minutes, and ONNX Runtime writes what it has built byte by byte under its last name: a
process that is killed meanwhile would leave half an engine, and every session after it would fail. So an
engine is built in a folder apart, which gets its name when the engine has run once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final, TypeVar

from vcam_talker.core.errors import EngineError
from vcam_talker.inference.model import Request

log = logging.getLogger(__name__)

Opened = TypeVar("Opened")

_KEPT: Final = 16
"""Engines, those used last: a model has one for each part, shape and number format."""
_ABANDONED_S: Final = 24 * 3600
"""Nobody builds for so long: what has lain under a passing name since then is a killed process's."""


class ProviderError(EngineError):
    """A provider that does not start, whatever engine it is given."""


def tensorrt_folder(request: Request, ort_version: str, trt_version: str, gpu: str) -> Path:
    """Return where an engine is kept: another folder for whatever makes another engine.

    ONNX Runtime names engines by the graph, and has used one again for the same graph with another static
    shape (onnxruntime issue 32254).
    """
    key = [
        request.model.sha256,
        sorted((request.shapes or {}).items()),
        request.precision,
        ort_version,
        trt_version,
        gpu,
    ]
    return request.cache / "tensorrt" / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]


def open_built(folder: Path, open_with: Callable[[Path], Opened]) -> Opened:
    """Return what `open_with` makes of the engine in `folder`, which is built when it is not there.

    `open_with` is handed a folder to read from or to build in, and has run the engine when it returns. An
    engine that fails is built once more, with a warning in the log; when that fails too, the engine was not
    to blame and stays. Processes may do this beside each other. Blocks, while building for minutes. Raises
    EngineError, a ProviderError without building anything again.
    """
    if not _holds_engine(folder):
        return _build(folder, open_with)
    with suppress(OSError):
        os.utime(folder)  # the engines used last are kept
    try:
        return open_with(folder)
    except ProviderError:
        raise
    except EngineError as e:
        log.warning("%s; its engine in %s is built again, which takes minutes", e, folder)
    aside = _beside(folder, "old")
    with suppress(OSError):  # another process may have been quicker
        folder.replace(aside)
    try:
        return _build(folder, open_with)
    except EngineError:
        with suppress(OSError):  # another process may have built one meanwhile
            aside.replace(folder)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _build(folder: Path, open_with: Callable[[Path], Opened]) -> Opened:
    _clear_up(folder.parent)  # also before: where each build is killed, none comes to the end
    partial = _beside(folder, "part")
    try:
        partial.mkdir(parents=True)
    except OSError as e:
        why = f"there is no room for its engines in {folder.parent} ({e.strerror or e})"
        raise EngineError("engine 'tensorrt'", why, "Make that folder writable") from e
    try:
        made = open_with(partial)
        _put_in_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _clear_up(folder.parent)
    return made


def _put_in_place(partial: Path, folder: Path) -> None:
    """Give the engine its name, its bytes on the disk before; one that can't be kept is built again."""
    try:
        for file in partial.iterdir():
            with file.open("rb+") as written:
                os.fsync(written.fileno())
        partial.replace(folder)
    except OSError as e:
        if not _holds_engine(folder):  # else another process has built one meanwhile, which is as good
            log.warning("an engine of TensorRT can't be kept in %s (%s): each start builds it", folder, e)


def _clear_up(parent: Path) -> None:
    """Remove engines that nobody has used for long, and what killed processes have left. Never raises."""
    dated = []
    with suppress(OSError):  # there is none yet, or it was removed while the engine was built
        for path in list(parent.iterdir()):
            with suppress(OSError):
                dated.append((path.stat().st_mtime, path))
    engines = [path for _, path in sorted(dated, reverse=True) if not path.name.startswith(".")]
    abandoned_s = time.time() - _ABANDONED_S
    abandoned = [path for at_s, path in dated if path.name.startswith(".") and at_s < abandoned_s]
    for path in (*engines[_KEPT:], *abandoned):
        shutil.rmtree(path, ignore_errors=True)


def _holds_engine(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f".{folder.name}.{token_hex(4)}.{what}")
