"""A real OBS takes our microphone as an audio input and hears what is spoken, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from tests.support.obs import SILENCE_DB, ObsClient, obs_studio
from tests.support.pulse import SoundServer, pulse_server
from vcam_talker.air.sinks.microphone import MicrophoneSink
from vcam_talker.core.clock import sample_pts
from vcam_talker.core.types import SAMPLE_RATE, AudioChunk

pytestmark = pytest.mark.real

__all__ = ["pulse_server"]

MICROPHONE = "vcam_talker_test"
BLOCK = 480
TONE_HZ = 440.0
TONE_DB = -12.0
"""Peak of the tone in dBFS."""


class Feed:
    """Feeds a sink from a thread of its own, as the playout does: silence, or a tone while `tone` is set."""

    def __init__(self, sink: MicrophoneSink) -> None:
        self.tone = threading.Event()
        self._sink = sink
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        n = 0
        while not self._stop.is_set():
            gain = 10 ** (TONE_DB / 20) if self.tone.is_set() else 0.0
            phase = 2 * np.pi * TONE_HZ / SAMPLE_RATE * np.arange(n, n + BLOCK)
            samples = (gain * np.sin(phase)).astype(np.float32)
            self._sink.write(AudioChunk(sample_pts(n, SAMPLE_RATE), SAMPLE_RATE, samples))
            n += BLOCK

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join(timeout=5)


@pytest.fixture
def feed(pulse_server: SoundServer) -> Iterator[Feed]:
    sink = MicrophoneSink(MICROPHONE, "vcam_talker test", start_server=False)
    sink.open(SAMPLE_RATE)
    try:
        assert MICROPHONE in pulse_server.names("sources")
        feeding = Feed(sink)
        with feeding.running():
            yield feeding
    finally:
        sink.close()


@pytest.fixture
def obs(pulse_server: SoundServer) -> Iterator[ObsClient]:
    with obs_studio(pulse_server.env) as client:
        yield client


def test_obs_lists_the_microphone_and_hears_it(feed: Feed, obs: ObsClient) -> None:
    obs.call(
        "CreateInput",
        sceneName="Scene",
        inputName="presenter",
        inputKind="pulse_input_capture",
        inputSettings={"device_id": MICROPHONE},
    )
    listed = obs.call("GetInputPropertiesListPropertyItems", inputName="presenter", propertyName="device_id")
    items = {item["itemValue"]: item["itemName"] for item in listed["propertyItems"]}
    assert "vcam_talker test" in items[MICROPHONE]

    # OBS needs about 3 s before its meters of a new input run at all.
    assert obs.wait_for_meter("presenter", lambda level_db: level_db <= SILENCE_DB, timeout_s=20)
    assert set(obs.loudness_db("presenter", 1.0)) == {SILENCE_DB}, "it hums"

    feed.tone.set()
    assert obs.wait_for_meter("presenter", lambda level_db: level_db > TONE_DB - 6, timeout_s=5)
    # Its resampler swings for a while after a hold-up of the machine: the level is the one it settles at.
    seconds = [obs.loudness_db("presenter", 1.0)]
    while abs(np.median(seconds[-1]) - TONE_DB) > 3.0 and len(seconds) < 6:
        seconds.append(obs.loudness_db("presenter", 1.0))
    assert float(np.median(seconds[-1])) == pytest.approx(TONE_DB, abs=3.0), seconds

    feed.tone.clear()
    assert obs.wait_for_meter("presenter", lambda level_db: level_db <= SILENCE_DB, timeout_s=5)
    assert set(obs.loudness_db("presenter", 1.0)) == {SILENCE_DB}, "it goes on humming"
