"""The cache as a whole: what is admitted where, and what happens when the disk refuses."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.phrases import key_of, phrase_of, same
from vcam_talker.cache import writer as writer_module
from vcam_talker.cache.folder import PhraseFolder
from vcam_talker.cache.phrases import PhraseCache, phrase_folder, phrase_key
from vcam_talker.config import CacheConfig

pytestmark = pytest.mark.unit

KEY = key_of("one")
QUANTA = 250
"""0.24 MB in memory."""


def wait(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., PhraseCache]]:
    made: list[PhraseCache] = []

    def cache(**config: object) -> PhraseCache:
        found = PhraseCache(CacheConfig(folder=str(tmp_path / "cache"), **config))  # type: ignore[arg-type]
        found.start()
        made.append(found)
        return found

    yield cache
    for each in made:
        each.close()


def on_disk(tmp_path: Path) -> set[str]:
    return {f.stem for f in (tmp_path / "cache" / "phrases").glob("*.phrase")}


def test_asked_once_it_stays_in_memory_asked_twice_it_goes_to_disk(
    make: Callable[..., PhraseCache], tmp_path: Path
) -> None:
    cache = make()
    assert cache.get(KEY) is None
    cache.put(KEY, phrase_of("one"))
    cache.flush()
    assert on_disk(tmp_path) == set()
    found = cache.get(KEY)
    assert found is not None
    assert same(found, phrase_of("one"))
    cache.flush()
    assert on_disk(tmp_path) == {KEY}
    view = cache.stats()
    assert (view.hits, view.misses, view.entries, view.disk_entries) == (1, 1, 1, 1)


def test_what_will_be_asked_for_goes_to_disk_at_once(
    make: Callable[..., PhraseCache], tmp_path: Path
) -> None:
    cache = make()
    cache.put(KEY, phrase_of("one"), hot=True)
    cache.flush()
    assert on_disk(tmp_path) == {KEY}
    assert cache.stats().hits == cache.stats().misses == 0


def test_it_survives_a_restart(make: Callable[..., PhraseCache]) -> None:
    first = make()
    first.put(KEY, phrase_of("one"), hot=True)
    first.close()
    second = make()
    found = second.get(KEY)
    assert found is not None
    assert same(found, phrase_of("one"))
    assert second.stats().entries == 1


def test_a_second_miss_is_known_for_one_even_after_the_memory_has_forgotten(
    make: Callable[..., PhraseCache], tmp_path: Path
) -> None:
    cache = make(memory_mb=1)
    assert cache.get(KEY) is None
    cache.put(KEY, phrase_of("one", QUANTA))
    for number in range(10):
        cache.put(key_of(number), phrase_of(number, QUANTA))
    assert cache.get(KEY) is None
    cache.put(KEY, phrase_of("one", QUANTA))
    cache.flush()
    assert on_disk(tmp_path) == {KEY}


def test_a_streams_chatter_wears_no_disk_and_pushes_nothing_hot_out(
    make: Callable[..., PhraseCache], tmp_path: Path
) -> None:
    cache = make(memory_mb=1)
    cache.put(KEY, phrase_of("one", QUANTA), hot=True)
    for number in range(200):
        assert cache.get(key_of(number)) is None
        cache.put(key_of(number), phrase_of(number, QUANTA))
    cache.flush()
    assert on_disk(tmp_path) == {KEY}
    assert cache._memory.peek(KEY) is not None
    assert cache.stats().memory_mb <= 1


def test_memory_and_disk_are_bounded(make: Callable[..., PhraseCache], tmp_path: Path) -> None:
    cache = make(memory_mb=1, disk_mb=2)
    for number in range(30):
        cache.put(key_of(number), phrase_of(number, QUANTA), hot=True)
        cache.flush()
    view = cache.stats()
    assert view.memory_mb <= 1
    assert view.disk_mb <= 2
    files = (tmp_path / "cache" / "phrases").glob("*.phrase")
    assert sum(f.stat().st_size for f in files) <= 2_000_000
    assert view.evicted > 0
    assert cache.get(key_of(29)) is not None


def test_without_a_disk_it_keeps_to_memory(make: Callable[..., PhraseCache], tmp_path: Path) -> None:
    cache = make(disk_mb=0)
    cache.put(KEY, phrase_of("one"), hot=True)
    cache.flush()
    assert cache.get(KEY) is not None
    assert not (tmp_path / "cache").exists()
    assert cache.capacity == 48_000_000


def test_prepare_moves_up_and_counts_nothing(make: Callable[..., PhraseCache]) -> None:
    first = make()
    first.put(KEY, phrase_of("one"), hot=True)
    first.close()
    cache = make()
    assert cache.prepare(key_of("two")) is None
    found = cache.prepare(KEY)
    assert found is not None
    assert cache.prepare(KEY) is found
    assert cache.stats().entries == 1
    assert cache.stats().hits == cache.stats().misses == 0


def test_prepare_pushes_nothing_out(make: Callable[..., PhraseCache]) -> None:
    first = make()
    for number in range(8):
        first.put(key_of(number), phrase_of(number, QUANTA), hot=True)
        first.flush()
    cache = make(memory_mb=1)
    for number in range(8):
        assert cache.prepare(key_of(number)) is not None
    assert cache.stats().evicted == 0
    assert cache.stats().entries == 3


@pytest.mark.parametrize("content", [b"", b"nonsense" * 1000])
def test_a_damaged_file_is_a_miss_and_is_made_anew(
    make: Callable[..., PhraseCache], tmp_path: Path, content: bytes
) -> None:
    first = make()
    first.put(KEY, phrase_of("one"), hot=True)
    first.close()
    file = tmp_path / "cache" / "phrases" / f"{KEY}.phrase"
    file.write_bytes(content)
    cache = make()
    assert cache.get(KEY) is None
    cache.flush()
    assert not file.exists()
    cache.put(KEY, phrase_of("one"), hot=True)
    cache.flush()
    assert file.exists()
    assert make().get(KEY) is not None


def test_a_cleared_cache_is_forgotten_in_memory_too(
    make: Callable[..., PhraseCache], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "LOOK_S", 0.01)
    cache = make()
    cache.put(KEY, phrase_of("one"), hot=True)
    cache.flush()
    PhraseFolder(tmp_path / "cache" / "phrases", 1).clear()
    wait(lambda: cache.stats().entries == 0)
    assert cache.get(KEY) is None
    assert KEY not in cache


def test_a_busy_show_notices_that_the_cache_was_cleared(
    make: Callable[..., PhraseCache], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "LOOK_S", 0.2)
    cache = make()
    cache.put(KEY, phrase_of("one"), hot=True)
    cache.flush()
    PhraseFolder(tmp_path / "cache" / "phrases", 1).clear()

    def forgotten_though_asked_for() -> bool:
        return cache.get(KEY) is None

    wait(forgotten_though_asked_for)


class Disk:
    """A disk that can be filled: `full` makes every sync fail."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.full = False
        self.slow = threading.Event()
        self.slow.set()
        self._sync = os.fsync
        patch.setattr(os, "fsync", self.sync)

    def sync(self, handle: int) -> None:
        self.slow.wait(20)
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._sync(handle)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_a_full_disk_is_told_once_and_tried_again(
    make: Callable[..., PhraseCache],
    tmp_path: Path,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(writer_module, "LOOK_S", 0.01)
    monkeypatch.setattr(writer_module, "RETRY_S", 0.1)
    cache = make()
    disk.full = True
    for number in range(5):
        cache.put(key_of(number), phrase_of(number), hot=True)
        cache.flush()
    detail = cache.stats().detail
    assert "no room" in detail
    assert "cache.disk_mb" in detail
    assert str(tmp_path) in detail
    time.sleep(0.3)
    assert all(cache.get(key_of(number)) for number in range(5))
    assert [r.message for r in caplog.records].count(detail) == 1
    assert on_disk(tmp_path) == set()
    disk.full = False
    wait(lambda: not cache.stats().detail)
    assert len(on_disk(tmp_path)) == 1
    for number in range(5):
        cache.get(key_of(number))
    cache.flush()
    assert len(on_disk(tmp_path)) == 5


def test_a_disk_that_hangs_holds_nobody_up(make: Callable[..., PhraseCache], disk: Disk) -> None:
    cache = make()
    disk.slow.clear()
    begun_s = time.monotonic()
    for number in range(100):
        cache.put(key_of(number), phrase_of(number), hot=True)
        assert cache.get(key_of(number)) is not None
    assert time.monotonic() - begun_s < 5
    disk.slow.set()
    cache.flush()
    assert cache.stats().detail == ""


@pytest.mark.parametrize("obstacle", ["file in its place", "folder of a file"])
def test_a_folder_that_cannot_be_is_told_and_speech_goes_on(
    make: Callable[..., PhraseCache], tmp_path: Path, obstacle: str
) -> None:
    if obstacle == "file in its place":
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / "phrases").write_text("not a folder")
    else:
        (tmp_path / "cache").write_text("not a folder")
    cache = make()
    cache.put(KEY, phrase_of("one"), hot=True)
    cache.flush()
    assert cache.get(KEY) is not None
    assert cache.get(key_of("two")) is None
    assert "stay in memory only" in cache.stats().detail
    assert "cache.folder" in cache.stats().detail


def test_close_twice_and_use_afterwards(make: Callable[..., PhraseCache]) -> None:
    cache = make()
    cache.close()
    cache.close()
    cache.put(KEY, phrase_of("one"), hot=True)
    assert cache.get(KEY) is not None


def test_threads_at_once(make: Callable[..., PhraseCache]) -> None:
    cache = make(memory_mb=1)
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for number in range(60):
                name = (number * seed) % 7
                found = cache.get(key_of(name))
                if found is None:
                    cache.put(key_of(name), phrase_of(name, QUANTA), hot=number % 2 == 0)
                else:
                    assert same(found, phrase_of(name, QUANTA))
                cache.stats()
        except BaseException as e:
            failures.append(e)
            raise

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures


def test_keys_tell_everything_apart() -> None:
    base = {"text": "a", "emotion": "happy", "cast": [{"voice": "slt"}]}
    changed = [{**base, "text": "b"}, {**base, "emotion": "sad"}, {**base, "cast": []}, {**base, "more": 1}]
    keys = [phrase_key(ingredients) for ingredients in (base, *changed)]
    assert len(set(keys)) == 5
    assert phrase_key(dict(reversed(base.items()))) == keys[0]
    assert len(keys[0]) == 40


def test_the_folder_is_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert phrase_folder(CacheConfig()).path == tmp_path / "vcam-talker" / "phrases"
    assert phrase_folder(CacheConfig(folder="/somewhere")).path == Path("/somewhere/phrases")
