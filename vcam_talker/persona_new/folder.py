"""The folder that a persona is made in: hidden beside the one to be, and renamed when it is whole."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import av

from vcam_talker.core.errors import BadInputError
from vcam_talker.persona import PERSONA_FILE
from vcam_talker.persona_new.script import NAME, check_name

_SUFFIX: Final = ".new"
_OURS: Final = re.compile(rf"\.({NAME.pattern})\.[a-z0-9_]{{8}}({re.escape(_SUFFIX)})?")
"""Earlier versions gave no suffix."""
_ABANDONED_S: Final = 3600.0
"""Nobody makes a persona for so long without writing a byte: such a folder is a killed process's."""


@contextmanager
def in_a_folder(personas: Path, name: str) -> Iterator[Path]:
    """Yield a hidden folder beside the one to be; it is gone afterwards, unless it was `put`.

    What killed processes have left there, whatever its name, goes first. Raises BadInputError where nothing
    can be written.
    """
    folder: Path | None = None
    try:
        personas.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(personas)  # first: the disk may be full of it
        folder = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=_SUFFIX, dir=personas))
        yield folder
    except (OSError, av.FFmpegError) as e:
        why = f"can't be written ({getattr(e, 'strerror', None) or e})"
        raise BadInputError(str(personas / name), why, "Free some space, or check who may write there") from e
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def put(folder: Path, name: str) -> Path:
    """Give a folder of `in_a_folder` its name, and return where it is now. Raises BadInputError, OSError.

    Who makes another persona of that name at the same time, and is later, is told that it is there.
    """
    folder.chmod(0o755)
    check_name(name)  # a rename would replace an empty folder
    try:
        return folder.rename(folder.with_name(name))
    except OSError:
        check_name(name)
        raise


def _remove_abandoned(personas: Path) -> None:
    """Remove what killed processes have left: by age, for another one may be at work. Never raises."""
    before_s = time.time() - _ABANDONED_S
    with suppress(OSError):
        for folder in personas.iterdir():
            with suppress(OSError):  # another process was quicker
                if _is_ours(folder) and _written_s(folder) < before_s:
                    shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    found = _OURS.fullmatch(folder.name)
    if found is None or folder.is_symlink() or not folder.is_dir():
        return False
    # Without the suffix a whole persona may be somebody's copy, such as .ada.original.
    return found.group(2) is not None or not (folder / PERSONA_FILE).exists()


def _written_s(folder: Path) -> float:
    """Return when the folder, or a file in it, was written last, seconds of the system's clock."""
    times = [folder.stat().st_mtime]
    with os.scandir(folder) as entries:
        times += [entry.stat(follow_symlinks=False).st_mtime for entry in entries]
    return max(times)
