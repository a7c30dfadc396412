"""What is looked at before a user's picture or clip is opened."""

from __future__ import annotations

import stat
from pathlib import Path

from vcam_talker.core.errors import BadInputError


def check_source(path: Path, formats: str) -> None:
    """Raise BadInputError for what is no ordinary file: a pipe or a device may never come to an end.

    `formats` says what to give instead. Raises OSError where there is nothing, or nothing that may be seen.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise BadInputError(str(path), "is a folder", formats)
    if not stat.S_ISREG(mode):
        raise BadInputError(str(path), "is no ordinary file", formats)
