"""The hot-phrase cache for real: killed writers, full disks, and the whole daemon with real voices."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vcam_talker.bench.harness import Daemon, daemon, loud_spans
from vcam_talker.cache.folder import PhraseFolder
from vcam_talker.dsp.wav import parse_wav

pytestmark = pytest.mark.real

_ROOT = Path(__file__).parents[2]
_CAPACITY = 600_000
_LINE = "Hello, my dear friends."

_WRITE_FOR_EVER = f"""
import itertools, os, sys
from pathlib import Path
from tests.support.phrases import key_of, phrase_of
from vcam_talker.cache.folder import PhraseFolder
folder = PhraseFolder(Path(sys.argv[1]), {_CAPACITY})
folder.look()
print("ready", flush=True)
for number in itertools.count():
    name = f"{{os.getpid()}} {{number % 40}}" if number % 2 else number % 40
    folder.write(key_of(name), phrase_of(name, 20 + number % 30))
    folder.look()
"""

_FILL_A_TINY_DISK = """
import subprocess, sys, time
from pathlib import Path
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", sys.argv[1]], check=True)
from tests.support.phrases import key_of, phrase_of, same
from vcam_talker.cache import writer
from vcam_talker.cache.phrases import PhraseCache
from vcam_talker.config import CacheConfig
writer.LOOK_S, writer.RETRY_S = 0.02, 0.1
filler = Path(sys.argv[1], "somebody else's")
filler.write_bytes(bytes(250_000))
cache = PhraseCache(CacheConfig(folder=sys.argv[1]))
cache.start()
for number in range(8):
    cache.put(key_of(number), phrase_of(number, 40), hot=True)
    cache.flush()
assert "no room left" in cache.stats().detail, cache.stats()
assert all(same(cache.get(key_of(n)), phrase_of(n, 40)) for n in range(8))
whole = sorted(p.name for p in Path(sys.argv[1], "phrases").iterdir())
assert 1 <= len(whole) <= 5 and all(name.endswith(".phrase") for name in whole), whole
filler.unlink()
for _ in range(500):
    if not cache.stats().detail:
        break
    time.sleep(0.02)
assert not cache.stats().detail, cache.stats()
cache.close()
print("done")
"""


@contextmanager
def writer(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes phrases until it is killed with SIGKILL."""
    command = [sys.executable, "-c", _WRITE_FOR_EVER, str(folder)]
    process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)
        process.stdout.close()


def test_killed_at_any_moment_it_leaves_whole_phrases_only(tmp_path: Path) -> None:
    rng = random.Random(7)
    kills = 8
    for _ in range(kills):
        with writer(tmp_path), writer(tmp_path):
            time.sleep(rng.uniform(0.0, 0.25))
        folder = PhraseFolder(tmp_path, _CAPACITY)
        folder.look()
        keys = [file.stem for file in tmp_path.glob("*.phrase")]
        assert keys
        for key in keys:
            assert folder.read(key) is not None  # a damaged one raises
    leftovers = list(tmp_path.glob(".new-*"))
    assert len(leftovers) <= 2 * kills
    for leftover in leftovers:
        os.utime(leftover, (0, 0))
    (tmp_path / "changed").touch()
    folder = PhraseFolder(tmp_path, _CAPACITY)
    folder.look()
    assert not list(tmp_path.glob(".new-*"))
    assert folder.size <= 3 * _CAPACITY, "each writer knows of its own and of what it saw last"


def test_a_tiny_disk_that_is_full_and_then_has_room_again(tmp_path: Path) -> None:
    # A mount that nobody else sees and that goes with the process, root or not.
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    done = subprocess.run(
        [*alone, sys.executable, "-c", _FILL_A_TINY_DISK, str(tmp_path)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr


def cache_verb(config: Path, *arguments: str) -> Any:
    """What `vcam-talker cache ... --json` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "vcam_talker", "cache", *arguments, "--config", str(config), "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(done.stdout)


def say(running: Daemon, text: str) -> dict[str, Any]:
    """Say a line, some silence after the one before, and return its turn once it has ended."""
    running.wait_idle()
    time.sleep(0.7)
    turn = running.client.say(text).turn

    def ended() -> list[dict[str, Any]]:
        return [t for t in running.client.status()["recent"] if t["turn"] == turn]

    running.wait_until(f"'{text}' to end", lambda: bool(ended()))
    return ended()[0]


def wait_cache(running: Daemon, what: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    running.wait_until(what, lambda: condition(running.client.status()["cache"] or {}))
    found: dict[str, Any] = running.client.status()["cache"]
    return found


def test_a_phrase_is_hot_from_the_second_time_on_and_outlives_the_engine(tmp_path: Path) -> None:
    sound = tmp_path / "show.wav"
    config = tmp_path / "config.toml"
    config.write_text(f'[cache]\nfolder = "{tmp_path}"\n')
    with daemon(mic=f"file:{sound}", cache=tmp_path) as running:
        turns = [say(running, _LINE) for _ in range(2)]
        assert [t["cached"] for t in turns] == [False, True]
        assert [t["state"] for t in turns] == ["done", "done"]
        assert turns[0]["heard_text"] == turns[1]["heard_text"] == _LINE
        assert turns[0]["duration_s"] == turns[1]["duration_s"]
        wait_cache(running, "the phrase on disk", lambda c: c.get("disk_entries") == 1)
        listed = cache_verb(config, "list")
        assert [p["text"] for p in listed] == [_LINE]
        assert listed[0]["voice"] == "flite:slt"

        pid = running.engine_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        running.wait_until("another engine", lambda: running.engine_pid() not in {pid, None})
        assert say(running, _LINE)["cached"], "found on disk by the next engine"

        assert cache_verb(config, "clear", "--yes") == {"removed": 1}
        wait_cache(running, "an empty cache", lambda c: c.get("entries") == 0 == c.get("disk_entries"))
        assert not say(running, _LINE)["cached"]
    samples, rate = parse_wav(sound.read_bytes())
    takes = [samples[a - 200 : b + 200] for a, b in loud_spans(samples, gap_s=0.5)]
    assert rate == 48_000
    assert len(takes) == 4
    for hit in takes[1:3]:
        assert same_sound(takes[0], hit)


def same_sound(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two takes are equal but for rounding, wherever each begins."""
    length = min(one.size, other.size) - 20
    shifted = (np.abs(one[10 : 10 + length] - other[at : at + length]).max() for at in range(20))
    return min(shifted) <= 2.1 / 32767


def test_what_was_warmed_without_a_daemon_is_hot_at_once(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[cache]\nfolder = "{tmp_path}"\n')
    done = cache_verb(config, "warm", "--persona", "testcard")
    assert done["made"] > 0
    assert done["failed"] == done["full"] == 0
    assert cache_verb(config, "stats")["phrases"] == done["made"]
    with daemon(persona="testcard", mic="null", cache=tmp_path) as running:
        running.wait_idle()
        answer = running.client.ask("What is this?")
        running.wait_until(
            "the answer", lambda: any(t["turn"] == answer.turn for t in running.client.status()["recent"])
        )
        assert running.client.status()["recent"][0]["cached"]
    again = cache_verb(config, "warm", "--persona", "testcard")
    assert (again["made"], again["there"]) == (0, done["made"])


def test_the_daemon_warms_by_itself_and_says_how_far_it_is(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'greet = false\n[cache]\nfolder = "{tmp_path}"\n')
    with daemon("--config", str(config), persona="testcard", mic="null") as running:
        view = wait_cache(running, "warm phrases", lambda c: c.get("warmed", 0) == c.get("to_warm", 1) > 0)
        assert view["misses"] == 0
        running.wait_until("phrases on disk", lambda: len(cache_verb(config, "list")) == view["to_warm"])


def test_a_disk_that_refuses_is_told_and_speech_goes_on(tmp_path: Path) -> None:
    with daemon(mic="null", cache=tmp_path) as running:
        running.wait_idle()
        pid = running.engine_pid()
        assert pid is not None
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1000, 1000))
        assert [say(running, _LINE)["cached"] for _ in range(3)] == [False, True, True]
        view = wait_cache(running, "a word about the disk", lambda c: bool(c.get("detail")))
        assert "stay in memory only" in view["detail"]
        assert "cache.disk_mb" in view["detail"]
        assert view["entries"] == 1
        assert running.engine_pid() == pid
    assert not list(tmp_path.glob("phrases/*"))
