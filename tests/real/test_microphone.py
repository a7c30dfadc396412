"""The virtual microphone on real sound servers, read back as an application reads it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from tests.support.pulse import SoundServer, record, recording, sound_server
from tests.support.stall import StallMeter
from vcam_talker.air.devices import list_devices
from vcam_talker.air.sinks import microphone, pulse
from vcam_talker.air.sinks.microphone import MicrophoneSink
from vcam_talker.config import Config, override
from vcam_talker.core.errors import DeviceError, DeviceLostError
from vcam_talker.core.types import SAMPLE_RATE, AudioChunk, Pts

pytestmark = pytest.mark.real

NAME, LABEL = "test_mic", "Test microphone"
LOSS_S = 10.0


@pytest.fixture
def stall() -> Iterator[StallMeter]:
    with StallMeter() as meter:
        yield meter


@pytest.fixture(params=["pulseaudio", "pipewire"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    with sound_server(request.param, monkeypatch) as running:
        yield running


@pytest.fixture
def pulseaudio(monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    with sound_server("pulseaudio", monkeypatch) as running:
        yield running


@pytest.fixture
def sink() -> Iterator[MicrophoneSink]:
    created = MicrophoneSink(NAME, LABEL)
    yield created
    created.close()


def chunk(samples: np.ndarray) -> AudioChunk:
    return AudioChunk(Pts(0), SAMPLE_RATE, samples.astype(np.float32))


SILENCE = chunk(np.zeros(480))
TONE = chunk(0.5 * np.sin(2 * np.pi * 1000 * np.arange(480) / SAMPLE_RATE))


@contextmanager
def speaking(sink: MicrophoneSink, block: AudioChunk = TONE) -> Iterator[list[Exception]]:
    """Write without end; yield the list that the loss is put into."""
    stop, errors = threading.Event(), []

    def run() -> None:
        try:
            while not stop.is_set():
                sink.write(block)
        except DeviceLostError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield errors
    finally:
        stop.set()
        thread.join(LOSS_S)


def await_loss(errors: list[Exception]) -> str:
    deadline = time.monotonic() + LOSS_S
    while not errors:
        assert time.monotonic() < deadline, "the loss was never noticed"
        time.sleep(0.005)
    return str(errors[0])


def await_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LOSS_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_tone_arrives_at_the_reader_and_nowhere_else(server: SoundServer, sink: MicrophoneSink) -> None:
    sink.open(SAMPLE_RATE)
    with speaking(sink):
        heard = record(server, NAME, 1.0)[SAMPLE_RATE // 2 :]
        elsewhere = record(server, "speakers.monitor", 0.3)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert np.argmax(spectrum) * SAMPLE_RATE / len(heard) == pytest.approx(1000, abs=3)
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert np.abs(elsewhere).max() == 0


def test_applications_find_it_by_label_and_defaults_stay(server: SoundServer, sink: MicrophoneSink) -> None:
    sink.open(SAMPLE_RATE)
    assert NAME in server.names("sources")
    assert f"Description: {LABEL}" in server.pactl("list", "sources")
    assert "Default Sink: speakers" in server.pactl("info")
    report = list_devices(override(Config(), {"microphone.name": NAME}))
    assert [(view.id, view.label) for view in report.microphones] == [(NAME, LABEL)]
    sink.close()
    assert NAME not in server.names("sources")
    assert f"{NAME}_sink" not in server.names("sinks")


def test_the_users_own_microphone_stays_the_default(server: SoundServer, sink: MicrophoneSink) -> None:
    server.pactl("load-module", "module-remap-source", "source_name=real_mic", "master=speakers.monitor")
    await_true(lambda: "real_mic" in server.names("sources"))
    server.pactl("set-default-source", "real_mic")
    sink.open(SAMPLE_RATE)
    assert "Default Source: real_mic" in server.pactl("info")


def test_opening_twice_makes_one_microphone(server: SoundServer, sink: MicrophoneSink) -> None:
    sink.open(SAMPLE_RATE)
    script = (
        "from vcam_talker.air.sinks.microphone import MicrophoneSink\n"
        f"second = MicrophoneSink({NAME!r}, {LABEL!r}); second.open(48000)\n"
        "print(second.server_name, flush=True); input(); second.close()"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as second:
        assert second.stdout is not None
        assert second.stdout.readline().strip()
        assert server.names("sources").count(NAME) == 1
        second.communicate("\n", timeout=LOSS_S)
    assert NAME in server.names("sources"), "the second did not make it, so it may not remove it"
    sink.write(SILENCE)


def test_an_open_that_fails_leaves_no_microphone(
    pulseaudio: SoundServer, sink: MicrophoneSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        assert NAME in pulseaudio.names("sources")
        raise DeviceError("sound output", "it is broken")

    with monkeypatch.context() as patch:
        patch.setattr(microphone, "PortAudioOutput", broken)
        with pytest.raises(DeviceError, match="it is broken"):
            sink.open(SAMPLE_RATE)
    assert NAME not in pulseaudio.names("sources")
    assert f"{NAME}_sink" not in pulseaudio.names("sinks")


def test_what_an_earlier_life_of_this_process_left_is_ours(
    pulseaudio: SoundServer, sink: MicrophoneSink
) -> None:
    with pulse.connect() as connection:
        assert pulse.ensure_microphone(connection, NAME, LABEL)
    sink.open(SAMPLE_RATE)
    assert pulseaudio.names("sources").count(NAME) == 1
    sink.close()
    assert NAME not in pulseaudio.names("sources")


def test_what_a_crashed_run_left_is_taken_over_and_removed(server: SoundServer, sink: MicrophoneSink) -> None:
    script = (
        "from vcam_talker.air.sinks.microphone import MicrophoneSink; import os, signal\n"
        f"MicrophoneSink({NAME!r}, {LABEL!r}).open(48000); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    with recording(server, NAME) as reader:
        sink.open(SAMPLE_RATE)
        assert server.names("sources").count(NAME) == 1
        with speaking(sink):
            assert reader.stdout is not None
            data = np.frombuffer(reader.stdout.read(SAMPLE_RATE * 4), "<f4")
        assert np.abs(data).max() > 0.4, "a reader from before the crash hears us again"
    sink.close()
    assert NAME not in server.names("sources")


def test_a_killed_server_is_noticed_and_the_microphone_comes_back(
    server: SoundServer, sink: MicrophoneSink, stall: StallMeter
) -> None:
    sink.open(SAMPLE_RATE)
    with speaking(sink) as errors:
        time.sleep(0.2)
        killed_s = time.monotonic()
        server.kill()
        await_loss(errors)
        assert time.monotonic() - killed_s < 2 + stall.longest_ms / 1000
    sink.close()
    with pytest.raises(DeviceError):
        sink.open(SAMPLE_RATE)
    server.start()
    back_s = time.monotonic()
    sink.open(SAMPLE_RATE)
    assert time.monotonic() - back_s < 2 + stall.longest_ms / 1000
    with speaking(sink):
        assert np.abs(record(server, NAME, 1.0)).max() > 0.4


def test_a_stopped_server_costs_a_second_and_not_the_caller(
    pulseaudio: SoundServer, sink: MicrophoneSink
) -> None:
    sink.open(SAMPLE_RATE)
    with speaking(sink) as errors:
        pulseaudio.signal(signal.SIGSTOP)
        await_loss(errors)
    sink.close()
    pulseaudio.signal(signal.SIGCONT)
    await_true(lambda: not sink._retired.alive)
    sink.open(SAMPLE_RATE)
    sink.write(SILENCE)


@pytest.mark.parametrize("module", ["module-null-sink", "module-remap-source"])
def test_a_microphone_removed_behind_our_back_is_noticed(
    server: SoundServer, sink: MicrophoneSink, module: str
) -> None:
    sink.open(SAMPLE_RATE)
    with speaking(sink) as errors:
        # A module's arguments end its line; the null sink of the speakers has none of ours.
        index = next(
            line.split("\t")[0]
            for line in server.pactl("list", "short", "modules").splitlines()
            if module in line and NAME in line
        )
        server.pactl("unload-module", index)
        assert "removed" in await_loss(errors) or module == "module-null-sink"
    sink.close()
    sink.open(SAMPLE_RATE)
    assert NAME in server.names("sources")


def test_a_stream_moved_to_the_speakers_is_brought_back(
    pulseaudio: SoundServer, sink: MicrophoneSink
) -> None:
    sink.open(SAMPLE_RATE)
    with speaking(sink) as errors:
        stream = pulseaudio.pactl("list", "short", "sink-inputs").split("\t")[0]
        pulseaudio.pactl("move-sink-input", stream, "speakers")
        await_true(lambda: sink._keeper is not None and sink._keeper.placed())
        time.sleep(0.1)
        assert np.abs(record(pulseaudio, "speakers.monitor", 0.3)).max() == 0
        # A sound server that is held up tears a hole into 0.1 s; it is listened to again then.
        level = pytest.approx(0.354, rel=0.05)
        await_true(lambda: np.sqrt(np.mean(record(pulseaudio, NAME, 0.5)[-4800:] ** 2)) == level)
        assert not errors


def test_what_a_mixer_did_to_an_earlier_stream_is_undone(
    pulseaudio: SoundServer, sink: MicrophoneSink
) -> None:
    sink.open(SAMPLE_RATE)
    with speaking(sink):
        stream = pulseaudio.pactl("list", "short", "sink-inputs").split("\t")[0]
        pulseaudio.pactl("set-sink-input-volume", stream, "20%")
        pulseaudio.pactl("set-sink-input-mute", stream, "1")
        time.sleep(0.3)
    sink.close()
    sink.open(SAMPLE_RATE)
    with speaking(sink):
        heard = record(pulseaudio, NAME, 1.0)[SAMPLE_RATE // 2 :]
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.354, rel=0.02)


def test_a_late_writer_makes_a_gap_and_no_stall(pulseaudio: SoundServer, sink: MicrophoneSink) -> None:
    sink.open(SAMPLE_RATE)
    stream = pulseaudio.pactl("list", "short", "sink-inputs").split("\t")[0]
    for _ in range(5):
        time.sleep(0.08)  # four times the buffer: the stream runs dry
        began_s = time.monotonic()
        for _ in range(10):
            sink.write(SILENCE)
        assert time.monotonic() - began_s < 2
    assert pulseaudio.pactl("list", "short", "sink-inputs").split("\t")[0] == stream, "made anew"


def test_the_reported_latency_is_what_a_reader_sees(server: SoundServer, sink: MicrophoneSink) -> None:
    sink.open(SAMPLE_RATE)
    written, reported, arrived = [], [], []
    with recording(server, NAME) as reader:
        assert reader.stdout is not None
        descriptor = reader.stdout.fileno()

        def listen() -> None:
            while data := os.read(descriptor, 65_536):
                now_s = time.monotonic()
                sound = np.frombuffer(data[: len(data) // 4 * 4], "<f4")
                if np.abs(sound).max() > 0.3 and (not arrived or now_s - arrived[-1] > 0.05):
                    arrived.append(now_s)

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        click = np.zeros(480)
        click[-1] = 1.0
        for index in range(300):
            is_click = index >= 100 and index % 20 == 10
            sink.write(chunk(click) if is_click else SILENCE)
            if is_click:
                written.append(time.monotonic())
                reported.append(sink.latency_ns() / 1e6)
    measured = [
        next(1e3 * (seen - sent) for seen in arrived if seen > sent)
        for sent in written
        if any(sent < seen < sent + 0.19 for seen in arrived)
    ]
    assert len(measured) >= 8
    assert np.median(measured) == pytest.approx(np.median(reported), abs=12)


def test_a_server_of_our_own_is_started_and_leaves_with_us(
    monkeypatch: pytest.MonkeyPatch, pulseaudio: SoundServer
) -> None:
    pulseaudio.kill()
    monkeypatch.delenv("PULSE_SERVER")
    sink = MicrophoneSink(NAME, LABEL, start_server=False)
    with pytest.raises(DeviceError, match=r"sound server: none answers.*Install one"):
        sink.open(SAMPLE_RATE)
    sink = MicrophoneSink(NAME, LABEL)
    try:
        sink.open(SAMPLE_RATE)
        pid = int((pulseaudio.root / "run" / "pulse" / "pid").read_text())
        try:
            sink.write(SILENCE)
            assert NAME in list_names(pulseaudio)
            os.kill(pid, signal.SIGKILL)
            with speaking(sink) as errors:
                await_loss(errors)
            sink.close()
            sink.open(SAMPLE_RATE)
            sink.write(SILENCE)
            pid = int((pulseaudio.root / "run" / "pulse" / "pid").read_text())
        finally:
            sink.close()
            os.kill(pid, signal.SIGKILL)
    finally:
        sink.close()


def list_names(server: SoundServer) -> list[str]:
    environment = {k: v for k, v in server.env.items() if k != "PULSE_SERVER"}
    done = subprocess.run(
        ["pactl", "list", "short", "sources"], env=environment, capture_output=True, text=True, check=True
    )
    return [line.split("\t")[1] for line in done.stdout.splitlines()]


def test_nothing_of_ours_or_of_the_libraries_lands_on_stderr(
    server: SoundServer,  # noqa: ARG001 - it has to run
    sink: MicrophoneSink,
    capfd: pytest.CaptureFixture[str],
) -> None:
    sink.open(SAMPLE_RATE)
    sink.write(SILENCE)
    sink.close()
    assert capfd.readouterr().err == ""
