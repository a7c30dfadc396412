"""A lock on an open file, which the kernel drops when the process ends, however it ends."""

from __future__ import annotations

import sys
from typing import IO

if sys.platform == "win32":
    import msvcrt

    def try_lock(file: IO[str]) -> None:
        """Take the lock at once, until `file` is closed. Raises OSError when another process holds it."""
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def try_lock(file: IO[str]) -> None:
        """Take the lock at once, until `file` is closed. Raises OSError when another process holds it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
