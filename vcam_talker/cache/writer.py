"""The one thread that writes to the phrase folder, so that speech never waits for a disk."""

from __future__ import annotations

import errno
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Final, Literal

from vcam_talker.cache.folder import PhraseFolder
from vcam_talker.cache.phrase import Phrase

log = logging.getLogger(__name__)

_WAITING: Final = 16
"""Jobs that wait; further ones are dropped: a phrase that matters comes again."""
LOOK_S: Final = 5.0
"""How often the folder is looked at for what others have changed: one `stat` where nothing has."""
RETRY_S: Final = 60.0
"""How long a disk that refused is left alone."""
_CLOSE_S: Final = 2.0

JobKind = Literal["write", "touch", "discard"]
Job = tuple[JobKind, str, Phrase | None]


class PhraseWriter:
    """Writes behind the speaker's back. `put` may be called by any thread and never blocks."""

    def __init__(self, folder: PhraseFolder, on_cleared: Callable[[], None]) -> None:
        """`on_cleared` is called on the writer's thread after another process has called `clear`."""
        self._folder = folder
        self._on_cleared = on_cleared
        self._jobs: queue.Queue[Job | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name="phrase writer", daemon=True)
        self._retry_s = 0.0
        self._refused: tuple[str, Phrase] | None = None
        self.detail = ""
        """Why nothing is written now, and the remedy; empty while all is well."""

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def put(self, job: Job) -> bool:
        """Queue a job; False when it was dropped."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        return True

    def flush(self) -> None:
        """Block until all that waits has been done or refused."""
        self._jobs.join()

    def close(self) -> None:
        """Do what waits, for at most two seconds. Idempotent."""
        if not self._thread.is_alive():
            return
        try:
            self._jobs.put(None, timeout=_CLOSE_S)
        except queue.Full:
            log.debug("the disk is slow; phrases that waited for it are lost")
            return
        self._thread.join(timeout=_CLOSE_S)

    def _run(self) -> None:
        look_s = 0.0
        while True:
            if (now_s := time.monotonic()) >= look_s:
                self._look()
                look_s = now_s + LOOK_S
            try:
                # A stream of jobs must not keep it from looking.
                job = self._jobs.get(timeout=max(0.0, look_s - time.monotonic()))
            except queue.Empty:
                continue
            try:
                if job is None:
                    return
                self._do(*job)
            finally:
                self._jobs.task_done()

    def _do(self, kind: JobKind, key: str, phrase: Phrase | None) -> None:
        if kind == "touch":
            self._folder.touch(key)
        elif kind == "discard":
            self._folder.discard(key)
        elif phrase is not None and key not in self._folder and not self._resting():
            self._write(key, phrase)

    def _look(self) -> None:
        """See what others did to the folder; try a disk that refused again, with what it refused."""
        if self._resting():
            return
        refused = self._refused
        if refused is not None:
            self._write(*refused)
        try:
            cleared = self._folder.look()
        except OSError as e:
            self._degrade(e)
        else:
            if self._refused is None:
                self._heal()
            if cleared:
                self._on_cleared()

    def _write(self, key: str, phrase: Phrase) -> None:
        try:
            self._folder.write(key, phrase)
        except OSError as e:
            self._refused = (key, phrase)
            self._degrade(e)
        else:
            self._refused = None
            self._heal()

    def _resting(self) -> bool:
        return bool(self.detail) and time.monotonic() < self._retry_s

    def _degrade(self, error: OSError) -> None:
        self._retry_s = time.monotonic() + RETRY_S
        detail = _explain(error, self._folder)
        if detail != self.detail:
            log.warning("%s", detail)
        self.detail = detail

    def _heal(self) -> None:
        if self.detail:
            log.info("hot phrases are written to %s again", self._folder.path)
            self.detail = ""


def _explain(error: OSError, folder: PhraseFolder) -> str:
    where = f"hot phrases stay in memory only: {folder.path}"
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return f"{where} has no room left. Free some space, or lower cache.disk_mb"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"{where} can't be written. Make it writable, or set cache.folder to one that is"
    return f"{where} can't be used ({error.strerror or error}). Set cache.folder to another one"
