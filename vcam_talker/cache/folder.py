"""Phrases on disk: a file each, whole or absent whatever happens, the least recently used ones going first.

A file is written under another name in the same folder, synced, and renamed; then the folder is synced. So a
crash leaves the old state or the new one, and at worst a nameless leftover that a later look removes. The
order of use is the files' modification time. Any number of processes may share a folder: each trusts what it
finds, nothing else. Viewers' sentences are private: the folder is 0700, its files 0600.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vcam_talker.cache.phrase import (
    KEY_BYTES,
    MAX_FILE_BYTES,
    DamagedPhraseError,
    Phrase,
    PhraseHead,
    decode,
    decode_head,
    encode,
)
from vcam_talker.core.disk import sync_names

log = logging.getLogger(__name__)

SUFFIX: Final = ".phrase"
_NEW: Final = ".new-"
_CLEARED: Final = ".cleared"
"""Touched by `clear`: tells other processes to forget what they have in memory, too."""
_NAME: Final = re.compile(rf"([0-9a-f]{{{2 * KEY_BYTES}}}){re.escape(SUFFIX)}")
_LEFTOVER_S: Final = 60.0
"""A file under a temporary name is given up on after this."""
_TOUCH_S: Final = 600.0
"""The time of use is exact to this; so much less is written."""
_HEAD_BYTES: Final = 65_536
# A link, a pipe or a device under a phrase's name must neither be followed nor waited for.
_READ_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


@dataclass(frozen=True, slots=True)
class StoredPhrase:
    """A phrase as a list shows it."""

    key: str
    head: PhraseHead
    duration_s: float
    file_bytes: int
    used_s: float
    """Seconds since the epoch, give or take ten minutes."""


class PhraseFolder:
    """At most `capacity` bytes of phrases in `path`. Blocks on the disk.

    `read`, `__contains__`, `entries` and `size` may be used by any thread; the rest by one.
    """

    def __init__(self, path: Path, capacity: int) -> None:
        """Nothing is touched before it is used."""
        self.path = path
        self.capacity = capacity
        self.evicted = 0
        """Phrases that had to go, since construction."""
        self._index: dict[str, tuple[int, float]] = {}
        """Key -> bytes, seconds since the epoch of the last use: a hint, never the truth."""
        self._total = 0
        self._seen_ns = -1
        self._cleared_ns = -1

    @property
    def entries(self) -> int:
        """How many phrases there were when it was last looked at."""
        return len(self._index)

    @property
    def size(self) -> int:
        """Their bytes."""
        return self._total

    def __contains__(self, key: str) -> bool:
        """Tell whether the phrase was there when it was last looked at."""
        return key in self._index

    def read(self, key: str) -> Phrase | None:
        """Return a phrase, whole and verified; None when there is none. Writes nothing.

        Raises DamagedPhraseError for a file that is none; have it removed by `discard`. What can't be read
        counts as none.
        """
        try:
            handle = os.open(self._file(key), _READ_FLAGS)
        except FileNotFoundError:
            return None
        except OSError as e:
            if self._file(key).is_symlink():
                raise DamagedPhraseError("a link") from None
            log.debug("%s can't be read: %s", self._file(key), e)
            return None
        try:
            found = os.fstat(handle)
            # Nobody else may put words into the presenter's mouth.
            if not _is_ours(found) or found.st_size > MAX_FILE_BYTES:
                raise DamagedPhraseError("no file of ours")
            data = _read_all(handle, found.st_size)
        except OSError as e:
            log.warning("%s can't be read: %s", self._file(key), e)
            return None
        finally:
            os.close(handle)
        return decode(key, data)

    def discard(self, key: str) -> None:
        """Remove a damaged file, unless it has been replaced by a whole one. Never raises."""
        try:
            whole = self.read(key) is not None
        except DamagedPhraseError as e:
            log.info("the phrase %s is damaged (%s); it is removed", key, e)
            whole = False
        if not whole:
            with contextlib.suppress(OSError):
                self._file(key).unlink()
            self._forget(key)

    def write(self, key: str, phrase: Phrase) -> None:
        """Store a phrase; what was least recently used makes room.

        Raises OSError; then nothing has changed. One that is larger than the whole folder may be is left out.
        """
        data = encode(key, phrase)
        if len(data) > min(self.capacity, MAX_FILE_BYTES):
            return
        self._prepare()
        handle, temporary = tempfile.mkstemp(prefix=_NEW, dir=self.path)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._file(key))
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
        sync_names(self.path)
        self._forget(key)
        self._index[key] = (len(data), time.time())
        self._total += len(data)
        self._make_room()

    def touch(self, key: str) -> None:
        """Note that a phrase was used just now. Never raises."""
        now_s = time.time()
        entry = self._index.get(key)
        if entry is None or now_s - entry[1] < _TOUCH_S:
            return
        with contextlib.suppress(OSError):
            os.utime(self._file(key))
        self._index[key] = (entry[0], now_s)

    def look(self) -> bool:
        """See what other processes have changed; return whether one has called `clear` since the last look.

        Cheap when nothing has. Raises OSError when the folder can't be read; a missing one is empty.
        """
        cleared_ns = self._mtime_ns(self.path / _CLEARED)
        was_cleared = self._cleared_ns >= 0 and cleared_ns != self._cleared_ns
        self._cleared_ns = cleared_ns
        changed_ns = self._changed_ns()
        if changed_ns != self._seen_ns:
            self._scan()
            self._seen_ns = changed_ns
        return was_cleared

    def clear(self) -> int:
        """Remove every phrase and leftover; return how many phrases there were. Raises OSError."""
        removed = 0
        try:
            names = [file.name for file in self.path.iterdir()]
        except FileNotFoundError:
            return 0
        self._prepare()
        (self.path / _CLEARED).touch(mode=0o600)
        os.utime(self.path / _CLEARED)
        for name in names:
            if _NAME.fullmatch(name) or name.startswith(_NEW):
                with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                    (self.path / name).unlink()
                    removed += not name.startswith(_NEW)
        self._index.clear()
        self._total = 0
        return removed

    def listing(self) -> Iterator[StoredPhrase]:
        """Yield every phrase by its head alone, in no order; files that can't be ours are left out.

        Raises OSError when the folder can't be read.
        """
        self.look()
        for key, (file_bytes, used_s) in list(self._index.items()):
            try:
                with os.fdopen(os.open(self._file(key), _READ_FLAGS), "rb") as file:
                    head, duration_s = decode_head(key, file.read(_HEAD_BYTES), file_bytes)
            except (OSError, DamagedPhraseError) as e:
                log.debug("%s is left out: %s", key, e)
                continue
            yield StoredPhrase(key, head, duration_s, file_bytes, used_s)

    def _file(self, key: str) -> Path:
        return self.path / (key + SUFFIX)

    def _prepare(self) -> None:
        """Make the folder, for nobody else's eyes. Raises OSError, also when it is another user's."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform == "win32":
            return
        found = self.path.stat()
        if found.st_uid != os.geteuid():
            raise PermissionError(f"{self.path} belongs to another user")
        if found.st_mode & 0o077:
            self.path.chmod(0o700)

    def _scan(self) -> None:
        """Take stock. Raises OSError."""
        now_s = time.time()
        found: dict[str, tuple[int, float]] = {}
        try:
            with os.scandir(self.path) as files:
                for file in files:
                    self._take(file, found, now_s)
        except FileNotFoundError:
            pass
        self._index = found
        self._total = sum(size for size, _ in found.values())

    def _take(self, file: os.DirEntry[str], found: dict[str, tuple[int, float]], now_s: float) -> None:
        name = _NAME.fullmatch(file.name)
        if name is None and not file.name.startswith(_NEW):
            return
        with contextlib.suppress(OSError):
            status = file.stat(follow_symlinks=False)
            leftover = name is None and abs(now_s - status.st_mtime) > _LEFTOVER_S
            if leftover or (name and (status.st_size > MAX_FILE_BYTES or not stat.S_ISREG(status.st_mode))):
                Path(file.path).unlink()
            elif name:
                # A clock that was set back must not make a phrase immortal.
                found[name[1]] = (status.st_size, min(status.st_mtime, now_s))

    def _make_room(self) -> None:
        if self._total <= self.capacity:
            return
        with contextlib.suppress(OSError):
            self._scan()  # another process may have made room, or filled it
        oldest_first = sorted(self._index, key=lambda key: self._index[key][1])
        for key in oldest_first:
            if self._total <= self.capacity:
                break
            with contextlib.suppress(OSError):
                self._file(key).unlink()
            self._forget(key)
            self.evicted += 1

    def _forget(self, key: str) -> None:
        entry = self._index.pop(key, None)
        if entry is not None:
            self._total -= entry[0]

    def _changed_ns(self) -> int:
        return self._mtime_ns(self.path)

    @staticmethod
    def _mtime_ns(path: Path) -> int:
        try:
            return path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def _is_ours(found: os.stat_result) -> bool:
    own = sys.platform == "win32" or found.st_uid == os.geteuid()
    return own and stat.S_ISREG(found.st_mode)


def _read_all(handle: int, count: int) -> bytes:
    """Return up to `count` bytes. Raises OSError."""
    data = os.read(handle, count)
    while len(data) < count and (more := os.read(handle, count - len(data))):
        data += more
    return data
