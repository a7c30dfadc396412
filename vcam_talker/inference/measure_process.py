"""The process in which candidates are measured, and the folder of its job: both end with who wanted them.

Who measures may be killed at any moment, as the lips are when a frame waits for them too long.
"""

from __future__ import annotations

import faulthandler
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

HUMBLE: Final = "--humble"
_MODULE: Final = "vcam_talker.inference.measure"
_PREFIX: Final = "vcam-talker-inference-"
_ABANDONED_S: Final = 24 * 3600
"""No measurement takes so long: such a folder is that of killed processes."""
_GRACE_S: Final = 5.0
"""A process that takes too long is stopped by who started it; this much later it stops itself."""

Run = Callable[[Path, float], int | None]
"""Does the job in a folder within seconds; returns the exit status, None when it had to be stopped."""


def run_apart(folder: Path, timeout_s: float) -> int | None:
    """Do a job in another process, which ends with this one. Blocks. Raises OSError."""
    return _run(folder, timeout_s, ())


def run_beside(folder: Path, timeout_s: float) -> int | None:
    """Do a job in another process that takes only what processor time all others leave; see `run_apart`."""
    return _run(folder, timeout_s, (HUMBLE,))


@contextmanager
def job_folder() -> Iterator[Path]:
    """Make a folder for a job, which goes when that is done; those of killed processes go first.

    Raises OSError: there is no room, or no right, to make one.
    """
    _remove_abandoned()
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        yield Path(name)


def end_after(timeout_s: float) -> None:
    """End this process after so long, by a thread of C's: an engine that hangs may hold Python's lock."""
    silent = os.open(os.devnull, os.O_WRONLY)  # it would tell where all threads are
    faulthandler.dump_traceback_later(timeout_s, file=silent, exit=True)


def end_with_parent(folder: Path) -> None:
    """End this process, and remove the job's folder, when stdin ends: its other end is who started it.

    Takes stdin for itself: whoever reads it from now on finds it empty.
    """
    pipe = os.dup(0)
    # In Windows who looks at a pipe waits while another thread reads it, and libraries look at stdin as they
    # are loaded.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_wait_for_end, args=(pipe, folder), name="parent", daemon=True).start()


def _wait_for_end(pipe: int, folder: Path) -> None:
    with suppress(OSError):
        while os.read(pipe, 64):
            pass  # nobody sends anything
    if folder.name.startswith(_PREFIX):  # else somebody has started this by hand
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _run(folder: Path, timeout_s: float, more: tuple[str, ...]) -> int | None:
    argv = [sys.executable, "-m", _MODULE, str(folder), str(timeout_s + _GRACE_S), *more]
    quiet = subprocess.DEVNULL
    # Nothing is written to its stdin: it is there to be closed, by the system if need be.
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet) as process:
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.kill()


def _remove_abandoned() -> None:
    """Remove what killed processes of this user have left. Never raises."""
    before_s = time.time() - _ABANDONED_S
    with suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with suppress(OSError):
                found = folder.lstat()
                own = not hasattr(os, "getuid") or found.st_uid == os.getuid()
                if own and stat.S_ISDIR(found.st_mode) and found.st_mtime < before_s:
                    shutil.rmtree(folder, ignore_errors=True)
