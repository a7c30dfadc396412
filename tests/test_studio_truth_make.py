"""Making sets with the real voices and real processes: repeatable, resumable, safe to kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from studio.pack import StudioError
from studio.truth import voices
from studio.truth.clips import Plan
from studio.truth.draw import Split
from studio.truth.make import make_set
from studio.truth.shards import shard_path, shard_paths
from studio.truth.voices import Speaker, Voice

pytestmark = pytest.mark.real

PLAN = Plan(seed=7, split="val", shard_frames=100, shard_clips=2, shard_people=2)
_RUN = """
import sys
from pathlib import Path
from studio.truth.clips import Plan
from studio.truth.make import make_set
plan = Plan(seed=7, split="val", shard_frames=100, shard_clips=2, shard_people=2)
make_set(Path(sys.argv[1]), plan, int(sys.argv[2]), "fake", workers=2, say=lambda s: print(s, flush=True))
"""
_WAIT_S = 90.0
_NO_SOUND = {"language", "name", "gender"}
"""Lines of a variant that nobody hears."""


def heard_lines(variant: str) -> set[str]:
    """Return what an espeak-ng variant changes of the plain voice, a line each."""
    version = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True).stdout
    folder = Path(version.partition("Data at:")[2].strip()) / "voices" / "!v"
    lines = (" ".join(line.split()) for line in (folder / variant).read_text("utf-8", "replace").splitlines())
    return {line for line in lines if line and line[0] not in "#/" and line.split()[0] not in _NO_SOUND}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in shard_paths(folder)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    made = make_set(folder, PLAN, 390, "fake", workers=2, say=lambda _: None)
    assert (made.shards, made.made, made.frames) == (4, 4, 400)
    return folder


def test_every_voice_speaks_every_language_it_is_asked_to() -> None:
    speaker = Speaker()
    try:
        drawn: dict[tuple[str, str], Voice] = {}
        for split in ("train", "val", "test"):
            for n in range(700):
                voice = voices.draw_voice(split, np.random.default_rng(n))
                drawn.setdefault((split, voice.key), voice)
        assert {key for _, key in drawn} == {
            k for s in ("train", "val", "test") for k in voices.voice_keys(s)
        }
        for voice in drawn.values():
            (speech,) = speaker.say(voice, ["Mama, 1 2 3."])
            assert speech.samples.size > 8000, voice
            assert len(speech.phones) > 3, voice
            assert np.abs(speech.samples).max() > 0.02, voice
    finally:
        speaker.close()


@pytest.mark.parametrize("split", ["val", "test"])
def test_nobody_held_out_is_a_training_voice_by_another_name(split: Split) -> None:
    def variants(of: Split) -> dict[str, set[str]]:
        keys = [key.split("/") for key in voices.voice_keys(of)]
        return {name: heard_lines(name) for engine, name in keys if engine == "espeak-ng"}

    def shared(mine: set[str], other: set[str]) -> float:
        return len(mine & other) / max(1, len(mine))

    trained = variants("train")
    assert shared(heard_lines("Henrique"), trained["Hugo"]) > 0.9
    for held_out, lines in variants(split).items():
        formants = {line for line in lines if line.startswith("formant")}
        assert len(lines) > 3, held_out
        for name, others in trained.items():
            assert shared(lines, others) <= 0.5, (held_out, name)
            assert shared(formants, others) <= 0.5, (held_out, name)


@pytest.mark.parametrize(
    ("engine", "name"), [("espeak-ng", "m3"), ("espeak-ng", "whisper"), ("flite", "slt")]
)
def test_a_voice_says_the_same_whatever_it_said_before(engine: str, name: str) -> None:
    voice = Voice(engine, name, "en", "en" if engine == "flite" else "en-us", 1.1, 1.5, -20.0)
    speaker = Speaker()
    try:
        first = list(speaker.say(voice, ["How are you?", "Fine."]))
        list(speaker.say(voice, ["Something else in between."]))
        again = list(speaker.say(voice, ["How are you?", "Fine."]))
    finally:
        speaker.close()
    assert all(
        (a.samples == b.samples).all() and a.phones == b.phones for a, b in zip(first, again, strict=True)
    )


def test_one_process_makes_what_two_make(whole: Path, tmp_path: Path) -> None:
    make_set(tmp_path, PLAN, 200, "fake", workers=1, say=lambda _: None)
    mine, theirs = contents(tmp_path), contents(whole)
    assert len(mine) == 2
    assert all(theirs[name] == raw for name, raw in mine.items())


def test_what_is_there_stays_and_what_is_damaged_is_named_and_remade(whole: Path, tmp_path: Path) -> None:
    original = contents(whole)
    for name, raw in original.items():
        (tmp_path / name).write_bytes(raw)
    kept = tmp_path / "val-000000.safetensors"
    stamp = kept.stat().st_mtime_ns
    (tmp_path / "val-000001.safetensors").unlink()
    damaged = tmp_path / "val-000003.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    said: list[str] = []
    made = make_set(tmp_path, PLAN, 400, "fake", workers=2, say=said.append)
    assert made.made == 2
    assert any("val-000003" in line and "damaged" in line for line in said)
    assert contents(tmp_path) == original
    assert kept.stat().st_mtime_ns == stamp


def test_another_sets_folder_is_refused(whole: Path) -> None:
    with pytest.raises(StudioError, match="its seed is 7, not 8"):
        make_set(whole, Plan(8, "val", 128, 100, 2, 2), 400, "fake", say=lambda _: None)


def test_killed_at_any_time_it_goes_on_where_it_was(whole: Path, tmp_path: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(tmp_path), "400"], stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert "val-" in run.stdout.readline()
    children = _children(run.pid)
    run.send_signal(signal.SIGKILL)
    run.wait(_WAIT_S)
    run.stdout.close()
    _gone(children)
    names = [path.name for path in tmp_path.iterdir() if path.suffix == ".safetensors"]
    original = contents(whole)
    assert names
    assert all((tmp_path / name).read_bytes() == original[name] for name in names)
    made = make_set(tmp_path, PLAN, 400, "fake", workers=2, say=lambda _: None)
    assert made.made == 4 - len(names)
    assert contents(tmp_path) == original
    assert not list(tmp_path.glob(".*.part"))
    assert not list(tmp_path.glob(".*.clips"))


def test_a_process_that_is_killed_is_replaced(whole: Path, tmp_path: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(tmp_path), "400"], stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    first = run.stdout.readline()
    for pid in _children(run.pid):
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            break
    rest = run.stdout.read()
    run.stdout.close()
    assert run.wait(_WAIT_S) == 0
    assert "ended with -9" in first + rest
    assert contents(tmp_path) == contents(whole)


def test_two_runs_do_not_work_in_one_folder(tmp_path: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(tmp_path), "400"], stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    try:
        run.stdout.readline()
        with pytest.raises(StudioError, match="another run is making shards"):
            make_set(tmp_path, PLAN, 400, "fake", say=lambda _: None)
    finally:
        children = _children(run.pid)
        run.kill()
        run.wait(_WAIT_S)
        run.stdout.close()
        _gone(children)


def test_a_write_that_is_refused_ends_the_run_with_one_line(tmp_path: Path) -> None:
    # The largest file that a process may write: a real refusal by the kernel, half-way through a shard.
    script = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    script += " resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));" + _RUN.replace(
        "\nimport sys", " import sys"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), "200"],
        capture_output=True,
        text=True,
        timeout=_WAIT_S,
        check=False,
    )
    assert run.returncode != 0
    assert "can't be written (File too large)" in run.stderr.splitlines()[-1]
    assert not shard_paths(tmp_path)


def test_the_command_line_makes_checks_and_reports(tmp_path: Path) -> None:
    def truth(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "studio.truth", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=_WAIT_S, check=False)

    make_set(tmp_path, PLAN, 100, "fake", workers=1, say=lambda _: None)
    assert "1 shards of 1 are whole: 100 frames" in truth("check", str(tmp_path)).stdout
    assert truth("report", str(tmp_path)).returncode == 0
    assert (tmp_path / "report.md").exists()
    path = shard_path(tmp_path, "val", 0)
    path.write_bytes(path.read_bytes()[:-1])
    broken = truth("check", str(tmp_path))
    assert broken.returncode == 1
    assert "val-000000.safetensors: is damaged" in broken.stdout
    missing = truth("make", "--out", str(tmp_path), "--frames", "10", "--renderer", "oil")
    assert missing.returncode == 3
    assert missing.stderr.count("\n") == 1
    assert "renderer 'oil': can't be loaded" in missing.stderr


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _gone(pids: list[int]) -> None:
    """Wait until these processes have ended; they do by themselves when their parent has."""
    deadline = time.monotonic() + _WAIT_S
    while any(Path(f"/proc/{pid}").exists() and _alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "orphans stay behind"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
