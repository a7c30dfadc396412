"""The whole daemon with a real PulseAudio: it speaks, loses its engine, its sound server, its life."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.pulse import SoundServer, pulse_server
from tests.support.stall import StallMeter
from vcam_talker.bench.harness import Daemon, MicRecorder, daemon, loud_spans
from vcam_talker.core.errors import BadInputError, PersonaError

__all__ = ["pulse_server"]
pytestmark = pytest.mark.real

_PERIOD_MS = 1000 / 30
_LONG = "This sentence is long enough to be broken off in the middle, and then it goes on for quite a while. "


@pytest.fixture
def on_air(pulse_server: SoundServer) -> Iterator[Daemon]:
    assert pulse_server.names("sinks") == ["speakers"]
    with daemon() as running:
        running.wait_microphone()
        running.wait_idle()
        yield running


@pytest.fixture
def microphone(on_air: Daemon) -> Iterator[MicRecorder]:
    assert on_air.process.poll() is None
    recorder = MicRecorder()
    recorder.wait_started()
    yield recorder
    recorder.close()


def _assert_no_gap(running: Daemon, since_ns: int, stall: StallMeter, periods: float = 3) -> None:
    """No gap between frames, but for the time in which the machine itself stood still."""
    time.sleep(1.5)
    gap_ms = float(np.diff(running.frames().after(since_ns).sent_ns).max()) / 1e6
    assert gap_ms < periods * _PERIOD_MS + stall.longest_ms


@pytest.fixture
def stall() -> Iterator[StallMeter]:
    with StallMeter() as meter:
        yield meter


def _wait_turn(running: Daemon, text: str, state: str) -> None:
    def reached() -> bool:
        status = running.client.status()
        turns = [status["on_air"], *status["recent"]]
        return any(t and t["text"] == text and t["state"] == state for t in turns)

    running.wait_until(f"'{text}' {state}", reached)


def test_a_typed_line_is_heard_and_reported(on_air: Daemon, microphone: MicRecorder) -> None:
    on_air.client.say("Welcome to the show, everyone.")
    _wait_turn(on_air, "Welcome to the show, everyone.", "done")
    time.sleep(0.5)
    spans = loud_spans(microphone.samples(), gap_s=0.5)
    assert len(spans) == 1
    assert 1.0 < (spans[0][1] - spans[0][0]) / 48_000 < 4.0
    turn = on_air.client.status()["recent"][0]
    assert turn["heard_text"] == "Welcome to the show, everyone."
    assert 0 < turn["first_audio_ms"] <= turn["on_air_ms"]


@pytest.mark.parametrize(
    "text", ["你好,欢迎来到直播间。", "Guten Abend, meine Damen und Herren.", "Привет, друзья!"]
)
def test_other_languages_are_spoken(on_air: Daemon, microphone: MicRecorder, text: str) -> None:
    on_air.client.say(text)
    _wait_turn(on_air, text, "done")
    assert loud_spans(microphone.samples())


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=lambda s: s.name)
def test_a_lost_engine_is_no_gap_in_the_picture(
    on_air: Daemon, microphone: MicRecorder, stall: StallMeter, fault: signal.Signals
) -> None:
    on_air.client.say(_LONG * 3)
    _wait_turn(on_air, (_LONG * 3).strip(), "speaking")
    time.sleep(1)
    pid = on_air.engine_pid()
    assert pid is not None
    since_ns = time.monotonic_ns()
    heard = len(microphone.samples())
    os.kill(pid, fault)
    on_air.client.say("Here I am again.")
    _wait_turn(on_air, "Here I am again.", "done")
    back = loud_spans(microphone.samples()[heard:], gap_s=0.5)
    assert len(back) >= 2, "the broken-off sentence and the next turn"
    _assert_no_gap(on_air, since_ns, stall)
    # The microphone never stopped: its samples kept coming while the engine was gone.
    assert np.diff(microphone.arrivals_ns()).max() / 1e6 < 200 + stall.longest_ms
    assert on_air.client.status()["engine"]["restarts"] == 1


def test_an_interruption_silences_within_a_moment(
    on_air: Daemon, microphone: MicRecorder, stall: StallMeter
) -> None:
    on_air.client.say(_LONG * 3)
    on_air.client.say("Never said.")
    _wait_turn(on_air, (_LONG * 3).strip(), "speaking")
    time.sleep(1)
    asked_ns = time.monotonic_ns()
    assert on_air.client.interrupt(clear_queue=True) == 2
    time.sleep(1.0)
    last = loud_spans(microphone.samples(), 0.003)[-1][1]
    assert (microphone.arrival_ns(last) - asked_ns) / 1e6 < 300 + stall.longest_ms
    turn = next(
        t for t in on_air.client.status()["recent"] if t["state"] == "interrupted" and t["heard_text"]
    )
    assert _LONG.startswith(turn["heard_text"][:20])
    assert len(turn["heard_text"]) < len(_LONG)


def test_the_sound_server_may_restart(on_air: Daemon, pulse_server: SoundServer, stall: StallMeter) -> None:
    since_ns = time.monotonic_ns()
    pulse_server.kill()
    on_air.wait_until(
        "a lost microphone", lambda: on_air.client.status()["sinks"][1]["state"] == "lost", timeout_s=10
    )
    assert any("sound server" in w or "microphone" in w for w in on_air.client.status()["warnings"])
    pulse_server.start()
    on_air.wait_microphone()
    recorder = MicRecorder()
    try:
        recorder.wait_started()
        on_air.client.say("Can you hear me?")
        _wait_turn(on_air, "Can you hear me?", "done")
        time.sleep(0.3)
        assert loud_spans(recorder.samples())
    finally:
        recorder.close()
    _assert_no_gap(on_air, since_ns, stall)


def test_bad_input_changes_nothing(on_air: Daemon) -> None:
    for text in ("x" * 1_000_000, "\x00\x07", "🎉🎉🎉", "   "):
        with pytest.raises(BadInputError):
            on_air.client.say(text)
    with pytest.raises(PersonaError, match="mirra"):
        on_air.client.persona("mirra")
    status = on_air.client.status()
    assert status["persona"]["name"] == "mira"
    assert not status["queue"]
    assert not status["on_air"]


def test_control_characters_and_emoji_are_removed_and_said_so(on_air: Daemon) -> None:
    receipt = on_air.client.say("Hello\x07 there 🎉!")
    assert receipt.note
    _wait_turn(on_air, "Hello there !", "done")


def test_the_persona_changes_without_a_gap(on_air: Daemon, stall: StallMeter) -> None:
    since_ns = time.monotonic_ns()
    assert on_air.client.persona("testcard").title == "Test card"
    on_air.client.say("beep")
    _wait_turn(on_air, "beep", "done")
    _assert_no_gap(on_air, since_ns, stall, 6)
    on_air.client.persona("mira")
    assert on_air.client.status()["persona"]["name"] == "mira"


def test_a_second_daemon_is_refused(on_air: Daemon) -> None:
    done = _run(
        "run", "--camera", "null", "--mic", "null", "--port", "0", runtime=on_air.folder / "vcam-talker"
    )
    assert done.returncode == 6
    assert str(on_air.process.pid) in done.stderr
    assert on_air.client.status()["pacing"]["frames"] > 0


def test_a_killed_daemon_leaves_nothing_in_the_way(pulse_server: SoundServer) -> None:
    with daemon() as first:
        first.wait_idle()
        engine = first.engine_pid()
        assert engine is not None
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(10)
        runtime = first.folder / "vcam-talker"
        deadline_s = time.monotonic() + 10
        while Path(f"/proc/{engine}").exists() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert not Path(f"/proc/{engine}").exists(), "the engine ends with air"
        done = _run("run", "--camera", "null", "--mic", "null", "--port", "0", "--for", "2", runtime=runtime)
        assert done.returncode == 0, done.stderr
    with daemon() as second:
        second.wait_microphone()
        assert [n for n in pulse_server.names("sources") if n == "vcam_talker_bench"]


def test_it_ends_though_a_helper_process_hangs(pulse_server: SoundServer) -> None:
    del pulse_server
    with daemon() as running:
        running.wait_idle()
        children = (
            Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
        )
        server = next(int(c) for c in children if b"forkserver" in Path(f"/proc/{c}/cmdline").read_bytes())
        os.kill(server, signal.SIGSTOP)
        try:
            running.process.send_signal(signal.SIGTERM)
            running.process.wait(40)
        finally:
            os.kill(server, signal.SIGKILL)
        assert "something hangs" in (running.folder / "log").read_text()


def _run(*arguments: str, runtime: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vcam_talker", *arguments],
        env=dict(os.environ, VCAM_TALKER_RUNTIME_DIR=str(runtime)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
