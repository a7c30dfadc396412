"""The whole loop: a typed question, a spoken one, and a voice that cuts in."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import soxr

from vcam_talker.bench.harness import Daemon, MicRecorder, daemon, loud_spans, ms
from vcam_talker.bench.options import Options
from vcam_talker.bench.report import Report, percentile
from vcam_talker.core.errors import DeviceError, EngineError
from vcam_talker.core.extras import how_to_install
from vcam_talker.core.types import NS_PER_S, SAMPLE_RATE, Samples, Sentence, TurnId, VoiceSpec
from vcam_talker.tts.flite import FliteSynthesizer

_DEFAULT_S = 90.0
_SPEAKER = "vcam_talker_bench_speaker"
_CONFIG = f"""
[ears]
mode = "call"
speaker_name = "{_SPEAKER}"
engine = "pocketsphinx"
"""
_QUIET = 0.01
_TYPED = ("Who are you?", "What can you do?", "How old are you?", "Are you a robot?", "Where are you from?")
_SPOKEN = ("what is your name", "how old are you", "what can you do", "thank you very much")
_LONG = "This goes on and on, so that somebody can cut in, and it goes on and on after that. " * 3
_ANSWER_TIMEOUT_S = 8.0


@dataclass(frozen=True, slots=True)
class _Clip:
    """A spoken line, float32[N] at 48 kHz; voice from `first` to `last`."""

    samples: Samples
    first: int
    last: int


def run(options: Options) -> Report:
    """Ask by hand and by voice, and cut in, at a reader of the microphone."""
    length_s = options.seconds or _DEFAULT_S
    if find_spec("pocketsphinx") is None:
        raise EngineError("pocketsphinx", "is not installed", how_to_install("asr"))
    report = Report("loop")
    rng = random.Random(3)
    clips = [_spoken(line) for line in _SPOKEN]
    typed: list[float] = []
    answered: list[float] = []
    decided: list[float] = []
    stopped: list[float] = []
    unanswered = 0
    with daemon(camera=options.camera, config=_CONFIG) as under_test:
        under_test.wait_idle()
        under_test.wait_microphone()
        under_test.wait_until("listening ears", lambda: _listens(under_test))
        recorder = MicRecorder()
        try:
            recorder.wait_started()
            time.sleep(1)
            end_s = time.monotonic() + length_s
            while time.monotonic() < end_s:
                typed.append(_ask(under_test, recorder, rng.choice(_TYPED)))
                heard = _speak_to(under_test, recorder, rng.choice(clips))
                if heard is None:
                    unanswered += 1
                else:
                    answered.append(heard[0])
                    decided.append(heard[1])
                stopped.append(_cut_in(under_test, recorder, rng.choice(clips), rng))
        finally:
            recorder.close()
    report.add("typed question -> first sample, p50", percentile(typed, 50), "ms", 200)
    report.add("typed question -> first sample, p95", percentile(typed, 95), "ms")
    report.add("end of voice -> first sample, p50", percentile(answered, 50), "ms", 900)
    report.add("end of voice -> first sample, p95", percentile(answered, 95), "ms")
    report.add("of which until the words are there, p50", percentile(decided, 50), "ms")
    report.add("onset of a voice -> silence, p50", percentile(stopped, 50), "ms")
    report.add("onset of a voice -> silence, p95", percentile(stopped, 95), "ms", 250)
    report.notes.append(
        f"{len(typed)} typed, {len(answered)} spoken ({unanswered} not understood), endpoint 450 ms"
    )
    report.notes.append(f"{len(stopped)} interruptions by voice")
    return report


def _listens(under_test: Daemon) -> bool:
    ears = under_test.client.status()["ears"]
    return bool(ears["state"] == "listening" and ears["engine"])


def _spoken(line: str) -> _Clip:
    """Return a line in flite's voice, with a second of silence behind it."""
    flite = FliteSynthesizer()
    try:
        spec = VoiceSpec("flite", "slt")
        parts = list(flite.synthesize(Sentence(TurnId(1), 0, line, language="en"), spec, lambda: False))
    finally:
        flite.close()
    if not parts:
        raise EngineError("flite", f"said nothing for '{line}'")
    sound = np.concatenate([part.samples for part in parts])
    sound = soxr.resample(sound, parts[0].rate, SAMPLE_RATE).astype(np.float32)
    loud = loud_spans(sound, 0.02)
    padded = np.concatenate((sound, np.zeros(SAMPLE_RATE, np.float32)))
    return _Clip(padded, loud[0][0], loud[-1][1])


class _Player:
    """Plays a clip into the virtual speaker, as a call does, and knows when its samples were heard there.

    A recording of the speaker's own monitor tells when: what the server buffers before is not ours to count.
    """

    def __init__(self, clip: _Clip) -> None:
        program = shutil.which("pacat")
        if program is None:
            raise DeviceError("pacat", "is not installed", "Install pulseaudio-utils")
        self._clip = clip
        self._monitor = MicRecorder(f"{_SPEAKER}.monitor")
        self._monitor.wait_started()
        command = [
            program, f"--device={_SPEAKER}", "--raw", "--format=float32le", f"--rate={SAMPLE_RATE}",
            "--channels=1", "--latency-msec=20",
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert self._process.stdin is not None  # noqa: S101 - opened with a pipe
        self._process.stdin.write(clip.samples.tobytes())
        self._process.stdin.close()

    def wait(self, timeout_s: float) -> None:
        """Wait until the clip has been played."""
        self._process.wait(timeout_s)

    def onset_ns(self) -> int:
        """Return when the voice began to be heard."""
        return self._monitor.arrival_ns(self._spans()[0][0])

    def end_ns(self) -> int:
        """Return when the voice ended."""
        length_ns = (self._clip.last - self._clip.first) * NS_PER_S // SAMPLE_RATE
        return self.onset_ns() + length_ns

    def close(self) -> None:
        """Stop playing and recording."""
        self._process.kill()
        self._process.wait(5)
        self._monitor.close()

    def _spans(self) -> list[tuple[int, int]]:
        spans = loud_spans(self._monitor.samples(), 0.02)
        if not spans:
            raise TimeoutError("the virtual speaker carried nothing")
        return spans


def _ask(under_test: Daemon, recorder: MicRecorder, line: str) -> float:
    under_test.wait_idle()
    time.sleep(0.25)
    heard = recorder.heard
    asked_ns = time.monotonic_ns()
    under_test.client.ask(line)
    first = _first_loud(recorder, heard)
    under_test.client.interrupt(clear_queue=True)
    if first is None:
        raise TimeoutError("nothing was heard within 8 s")
    return ms(recorder.arrival_ns(first) - asked_ns)


def _speak_to(under_test: Daemon, recorder: MicRecorder, clip: _Clip) -> tuple[float, float] | None:
    """Return (end of voice -> first sample, end of voice -> words), ms; None when nothing was understood."""
    under_test.wait_idle()
    time.sleep(0.3)
    heard = recorder.heard
    player = _Player(clip)
    try:
        first = _first_loud(recorder, heard)
        if first is None:
            return None
        under_test.client.interrupt(clear_queue=True)
        turn = under_test.client.status()["recent"][0]
        return ms(recorder.arrival_ns(first) - player.end_ns()), -turn["heard_ms"]
    finally:
        player.close()


def _cut_in(under_test: Daemon, recorder: MicRecorder, clip: _Clip, rng: random.Random) -> float:
    under_test.wait_idle()
    time.sleep(0.3)
    heard = recorder.heard
    under_test.client.say(_LONG)
    if _first_loud(recorder, heard) is None:
        raise TimeoutError("nothing was heard within 8 s")
    time.sleep(rng.uniform(0.3, 1.2))
    before = recorder.heard
    player = _Player(clip)
    try:
        time.sleep(0.9)
        onset_ns = player.onset_ns()
        samples = recorder.samples(before)
        last = loud_spans(samples, _QUIET)[0][1] + before
        return max(0.0, ms(recorder.arrival_ns(last) - onset_ns))
    finally:
        player.close()
        under_test.client.interrupt(clear_queue=True)
        # What was understood of the clip must not be answered in the next measurement.
        time.sleep(1.2)
        under_test.client.interrupt(clear_queue=True)


def _first_loud(recorder: MicRecorder, start: int) -> int | None:
    deadline_s = time.monotonic() + _ANSWER_TIMEOUT_S
    while time.monotonic() < deadline_s:
        loud = np.flatnonzero(np.abs(recorder.samples(start)) > _QUIET)
        if loud.size:
            return start + int(loud[0])
        time.sleep(0.01)
    return None
