"""What was written, made to last through a power cut."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path


def sync_file(file: Path) -> None:
    """Wait until a file is on the disk. Blocks. Raises OSError."""
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def sync_names(folder: Path) -> None:
    """Make what was renamed in a folder last. Blocks, never raises.

    Some systems can't sync a folder; then it lasts a little later.
    """
    if sys.platform == "win32":
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
