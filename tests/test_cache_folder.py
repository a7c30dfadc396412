"""Phrases on disk: whole or absent, private, bounded, shared."""

from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path

import pytest

from tests.support.phrases import key_of, phrase_of, same
from vcam_talker.cache import folder as folder_module
from vcam_talker.cache.folder import PhraseFolder
from vcam_talker.cache.phrase import MAX_FILE_BYTES, DamagedPhraseError, encode

pytestmark = pytest.mark.unit

KEY = key_of("one")
FILE_BYTES = len(encode(KEY, phrase_of("one")))


@pytest.fixture
def folder(tmp_path: Path) -> PhraseFolder:
    return PhraseFolder(tmp_path / "deep" / "phrases", 10 * FILE_BYTES)


def age(folder: PhraseFolder, key: str, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(folder.path / f"{key}.phrase", (at, at))


def names(folder: PhraseFolder) -> set[str]:
    return {p.name for p in folder.path.iterdir()}


def test_what_is_written_is_read_by_anybody(folder: PhraseFolder) -> None:
    assert folder.read(KEY) is None
    folder.write(KEY, phrase_of("one"))
    other = PhraseFolder(folder.path, 1)
    for reader in (folder, other):
        found = reader.read(KEY)
        assert found is not None
        assert same(found, phrase_of("one"))
    assert KEY in folder
    assert KEY not in other
    assert other.look() is False
    assert KEY in other
    assert (other.entries, other.size) == (1, FILE_BYTES)


def test_nothing_is_touched_before_it_is_used(tmp_path: Path) -> None:
    folder = PhraseFolder(tmp_path / "phrases", 100)
    assert folder.read(KEY) is None
    folder.discard(KEY)
    assert folder.clear() == 0
    assert list(folder.listing()) == []
    assert not folder.path.exists()


def test_viewers_sentences_are_nobody_elses_business(folder: PhraseFolder) -> None:
    folder.path.mkdir(parents=True)
    folder.path.chmod(0o777)
    folder.write(KEY, phrase_of("one"))
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert [stat.S_IMODE(f.stat().st_mode) for f in folder.path.iterdir()] == [0o600]


def test_the_least_recently_used_make_room(folder: PhraseFolder) -> None:
    for number in range(10):
        folder.write(key_of(number), phrase_of(number))
        age(folder, key_of(number), 10_000 - number)
    folder.look()
    folder.touch(key_of(0))
    folder.write(key_of(10), phrase_of(10))
    folder.write(key_of(11), phrase_of(11))
    assert folder.size <= folder.capacity
    assert {n for n in range(12) if folder.read(key_of(n))} == {0, 3, 4, 5, 6, 7, 8, 9, 10, 11}
    assert folder.evicted == 2
    assert folder.entries == 10


def test_two_processes_share_one_bound(folder: PhraseFolder) -> None:
    other = PhraseFolder(folder.path, folder.capacity)
    for number in range(20):
        (folder, other)[number % 2].write(key_of(number), phrase_of(number))
        age(folder, key_of(number), 10_000 - number)
    folder.look()
    folder.write(key_of("last"), phrase_of("last"))
    assert sum(f.stat().st_size for f in folder.path.iterdir()) <= folder.capacity


def test_the_time_of_use_is_written_seldom(folder: PhraseFolder) -> None:
    folder.write(KEY, phrase_of("one"))
    age(folder, KEY, 300)
    folder.look()
    before = (folder.path / f"{KEY}.phrase").stat().st_mtime
    folder._seen_ns = -1
    folder.look()
    folder.touch(KEY)
    assert (folder.path / f"{KEY}.phrase").stat().st_mtime == before
    age(folder, KEY, 3000)
    folder._seen_ns = -1
    folder.look()
    folder.touch(KEY)
    assert time.time() - (folder.path / f"{KEY}.phrase").stat().st_mtime < 60


def test_a_clock_that_was_set_back_makes_nothing_immortal(folder: PhraseFolder) -> None:
    folder.write(KEY, phrase_of("one"))
    age(folder, KEY, -86_400)
    folder._seen_ns = -1
    folder.look()
    assert folder._index[KEY][1] <= time.time()


def test_a_vanished_file_is_a_miss(folder: PhraseFolder) -> None:
    folder.write(KEY, phrase_of("one"))
    (folder.path / f"{KEY}.phrase").unlink()
    assert folder.read(KEY) is None
    folder.touch(KEY)
    folder.look()
    assert KEY not in folder
    assert folder.size == 0


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "foreign", "huge", "renamed"])
def test_a_damaged_file_is_told_and_removed(folder: PhraseFolder, damage: str) -> None:
    folder.write(KEY, phrase_of("one"))
    file = folder.path / f"{KEY}.phrase"
    data = bytearray(file.read_bytes())
    if damage == "empty":
        file.write_bytes(b"")
    elif damage == "truncated":
        file.write_bytes(data[:-1])
    elif damage == "flipped":
        data[-5] ^= 1
        file.write_bytes(data)
    elif damage == "foreign":
        file.write_bytes(b"\x89PNG" * 100)
    elif damage == "huge":
        with file.open("r+b") as sparse:
            sparse.truncate(MAX_FILE_BYTES + 1)
    else:
        file.write_bytes(encode(key_of("two"), phrase_of("two")))
    with pytest.raises(DamagedPhraseError):
        folder.read(KEY)
    folder.discard(KEY)
    assert folder.read(KEY) is None
    assert not file.exists()
    assert (folder.entries, folder.size) == (0, 0)


def test_discard_spares_a_file_that_is_whole_again(folder: PhraseFolder) -> None:
    folder.write(KEY, phrase_of("one"))
    folder.discard(KEY)
    assert folder.read(KEY) is not None


def test_links_pipes_and_folders_are_no_phrases(folder: PhraseFolder, tmp_path: Path) -> None:
    folder.write(KEY, phrase_of("one"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes((folder.path / f"{KEY}.phrase").read_bytes())
    link, pipe, inner = (folder.path / f"{key_of(n)}.phrase" for n in ("link", "pipe", "folder"))
    link.symlink_to(elsewhere)
    os.mkfifo(pipe)
    inner.mkdir()
    for name in ("link", "pipe", "folder"):
        with pytest.raises(DamagedPhraseError):  # and the pipe must not be waited for
            folder.read(key_of(name))
        folder.discard(key_of(name))
    assert not link.is_symlink()
    assert not pipe.exists()
    assert elsewhere.exists()
    handles = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(DamagedPhraseError):
            folder.read(key_of("folder"))
    assert len(list(Path("/proc/self/fd").iterdir())) == handles


def test_leftovers_of_a_crash_are_removed_and_other_files_are_not(folder: PhraseFolder) -> None:
    folder.write(KEY, phrase_of("one"))
    for name in (".new-old", ".new-young", "notes.txt", "x.phrase", f"{KEY}.phrase.bak"):
        (folder.path / name).write_text("mine")
    old = time.time() - 3600
    os.utime(folder.path / ".new-old", (old, old))
    folder.look()
    kept = {".new-young", "notes.txt", "x.phrase", f"{KEY}.phrase.bak", f"{KEY}.phrase"}
    assert names(folder) == kept
    assert folder.entries == 1
    assert folder.clear() == 1
    assert names(folder) == {"notes.txt", "x.phrase", f"{KEY}.phrase.bak", ".cleared"}


def test_clear_is_noticed_by_others_once(folder: PhraseFolder) -> None:
    folder.write(KEY, phrase_of("one"))
    other = PhraseFolder(folder.path, folder.capacity)
    assert other.look() is False
    assert folder.clear() == 1
    assert other.look() is True
    assert other.look() is False
    assert (other.entries, other.size) == (0, 0)
    folder.clear()
    assert other.look() is True


def test_a_file_that_can_never_fit_is_not_written(tmp_path: Path) -> None:
    folder = PhraseFolder(tmp_path / "phrases", FILE_BYTES - 1)
    folder.write(KEY, phrase_of("one"))
    assert folder.read(KEY) is None


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_refuses_leaves_everything_as_it_was(
    folder: PhraseFolder, monkeypatch: pytest.MonkeyPatch, step: str, error: int
) -> None:
    folder.write(KEY, phrase_of("one"))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    if step == "write":
        real = os.fdopen

        class Full:
            def __init__(self, handle: int) -> None:
                self.file = real(handle, "wb")

            def __enter__(self) -> Full:
                return self

            def __exit__(self, *_: object) -> None:
                self.file.close()

            write = refuse

        monkeypatch.setattr(folder_module.os, "fdopen", lambda handle, *_: Full(handle))
    elif step == "fsync":
        monkeypatch.setattr(folder_module.os, "fsync", refuse)
    else:
        monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match=os.strerror(error)):
        folder.write(key_of("two"), phrase_of("two"))
    monkeypatch.undo()
    assert names(folder) == {f"{KEY}.phrase"}
    assert (folder.entries, folder.size) == (1, FILE_BYTES)
    folder.write(key_of("two"), phrase_of("two"))
    assert folder.entries == 2


def test_the_list_shows_heads_and_survives_what_is_no_phrase(folder: PhraseFolder) -> None:
    folder.write(KEY, phrase_of("one"))
    folder.write(key_of("two"), phrase_of("two", 20))
    (folder.path / f"{key_of('bad')}.phrase").write_bytes(b"nonsense")
    listed = {p.head.text: p for p in folder.listing()}
    assert set(listed) == {"one", "two"}
    assert listed["two"].duration_s == 0.2
    assert listed["one"].file_bytes == FILE_BYTES
    assert listed["one"].head.voice == "flite:slt"
