"""The hot-phrase cache: memory in front, disk behind it, one-offs kept from both."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from vcam_talker.cache.folder import PhraseFolder
from vcam_talker.cache.lru import SegmentedLru
from vcam_talker.cache.phrase import FORMAT, KEY_BYTES, DamagedPhraseError, Phrase
from vcam_talker.cache.writer import PhraseWriter
from vcam_talker.config import CacheConfig
from vcam_talker.core.paths import cache_dir
from vcam_talker.core.status import CacheView

_MB: Final = 1_000_000
_ASKED: Final = 4096
"""Keys asked for that are remembered, so that the second time is known for one."""


def phrase_key(ingredients: Mapping[str, Any]) -> str:
    """Return the key of a phrase, 40 hexadecimal digits, from all that shapes it (JSON values)."""
    recipe = json.dumps({**ingredients, "format": FORMAT}, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(recipe.encode(), digest_size=KEY_BYTES).hexdigest()


def phrase_folder(config: CacheConfig) -> PhraseFolder:
    """Return the folder that the configuration names; nothing is touched."""
    root = Path(config.folder).expanduser() if config.folder else cache_dir()
    # A folder of its own in the one that was named: its mode is ours to set, its files ours to remove.
    return PhraseFolder(root / "phrases", config.disk_mb * _MB)


class PhraseCache:
    """Finished sentences by key. Thread-safe; nothing but `get` of what only the disk has waits for a disk.

    What is asked for once stays in memory, on probation; asked for again, or put as `hot`, it is protected
    there and written to disk. So a stream's chatter neither wears the disk nor pushes out the phrases that
    return (see `lru`).
    """

    def __init__(self, config: CacheConfig) -> None:
        """Nothing is read or written before `start`."""
        self._memory: SegmentedLru[Phrase] = SegmentedLru(config.memory_mb * _MB)
        self._folder = phrase_folder(config) if config.disk_mb else None
        self._writer = PhraseWriter(self._folder, self._on_cleared) if self._folder else None
        self._lock = threading.Lock()
        self._asked: OrderedDict[str, bool] = OrderedDict()
        self._hits = self._misses = 0

    @property
    def capacity(self) -> int:
        """How many bytes of hot phrases can be kept, about."""
        return max(self._memory.capacity, self._folder.capacity if self._folder else 0)

    def start(self) -> None:
        """Begin to look at the folder and to write; returns at once."""
        if self._writer:
            self._writer.start()

    def close(self) -> None:
        """Write what waits, for at most two seconds. Idempotent."""
        if self._writer:
            self._writer.close()

    def flush(self) -> None:
        """Block until everything that waits is on disk or was refused."""
        if self._writer:
            self._writer.flush()

    def __contains__(self, key: str) -> bool:
        """Tell whether the phrase is likely to be there, without looking at the disk."""
        with self._lock:
            return key in self._memory or (self._folder is not None and key in self._folder)

    def get(self, key: str) -> Phrase | None:
        """Return the phrase, which counts as use; from memory in microseconds, from disk in milliseconds."""
        with self._lock:
            phrase = self._memory.get(key)
            if phrase is None:
                self._ask(key)
        from_disk = phrase is None
        if phrase is None:
            phrase = self._read(key)
        with self._lock:
            if phrase is None:
                self._misses += 1
                return None
            self._hits += 1
            if from_disk:
                self._memory.put(key, phrase, phrase.nbytes, protected=True)
        self._keep(key, phrase)
        return phrase

    def put(self, key: str, phrase: Phrase, *, hot: bool = False) -> None:
        """Take a phrase that was made because `get` had none, or, as `hot`, before anybody asked."""
        with self._lock:
            hot = hot or self._asked.get(key, False)
            self._memory.put(key, phrase, phrase.nbytes, protected=hot)
        if hot:
            self._keep(key, phrase)

    def prepare(self, key: str) -> Phrase | None:
        """Return the phrase if there is one, and bring it into memory where there is room for it.

        For what will be asked for; counts as neither hit nor miss. May read from disk.
        """
        with self._lock:
            phrase = self._memory.peek(key)
        if phrase is not None:
            return phrase
        phrase = self._read(key)
        if phrase is not None:
            with self._lock:
                if phrase.nbytes <= self._memory.room():
                    self._memory.put(key, phrase, phrase.nbytes, protected=True)
            self._keep(key, phrase)
        return phrase

    def stats(self, warmed: int = 0, to_warm: int = 0) -> CacheView:
        """Return the figures for `status`. Does not block."""
        folder, writer = self._folder, self._writer
        with self._lock:
            return CacheView(
                entries=len(self._memory),
                memory_mb=round(self._memory.size / _MB, 1),
                disk_entries=folder.entries if folder else 0,
                disk_mb=round(folder.size / _MB, 1) if folder else 0.0,
                hits=self._hits,
                misses=self._misses,
                evicted=self._memory.evicted + (folder.evicted if folder else 0),
                warmed=warmed,
                to_warm=to_warm,
                detail=writer.detail if writer else "",
            )

    def _ask(self, key: str) -> None:
        """Remember that a key that is not in memory was asked for, and whether for the first time."""
        again = key in self._asked
        self._asked[key] = again
        self._asked.move_to_end(key)
        while len(self._asked) > _ASKED:
            self._asked.popitem(last=False)

    def _read(self, key: str) -> Phrase | None:
        if self._folder is None or self._writer is None:
            return None
        try:
            return self._folder.read(key)
        except DamagedPhraseError:
            self._writer.put(("discard", key, None))
            return None

    def _keep(self, key: str, phrase: Phrase) -> None:
        """See to it that a phrase is on disk, and young there."""
        if self._writer is None or self._folder is None:
            return
        if key in self._folder:
            self._writer.put(("touch", key, None))
        else:
            self._writer.put(("write", key, phrase))

    def _on_cleared(self) -> None:
        with self._lock:
            self._memory.clear()
            self._asked.clear()
