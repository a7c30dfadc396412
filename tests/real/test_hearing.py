"""The ears on real sound servers: a call is heard, understood and answered, and its own voice is not."""

from __future__ import annotations

import subprocess
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from tests.support.chromium import Chromium
from tests.support.meeting import FLAGS, meeting
from tests.support.pulse import SoundServer, pipewire_server, pulse_server
from tests.support.stall import StallMeter
from vcam_talker.air.devices import list_devices
from vcam_talker.bench.harness import Daemon, MicRecorder, daemon
from vcam_talker.core.types import SAMPLE_RATE, Samples, Sentence, TurnId, VoiceSpec
from vcam_talker.tts.flite import FliteSynthesizer

__all__ = ["pipewire_server", "pulse_server"]
pytestmark = pytest.mark.real

MICROPHONE = "vcam_talker_mic"
SPEAKER = "vcam_talker_speaker"
CALL = '\n[ears]\nmode = "call"\nengine = "pocketsphinx"\n'
LONG = "This goes on and on, so that somebody can cut in, and it goes on and on after that. " * 4
_TIMEOUT_S = 20.0


def spoken(line: str, voice: str = "slt") -> Samples:
    flite = FliteSynthesizer()
    try:
        sentence = Sentence(TurnId(1), 0, line, language="en")
        parts = list(flite.synthesize(sentence, VoiceSpec("flite", voice), lambda: False))
    finally:
        flite.close()
    sound = np.concatenate([part.samples for part in parts])
    sound = soxr.resample(sound, parts[0].rate, SAMPLE_RATE).astype(np.float32)
    return np.concatenate((sound, np.zeros(SAMPLE_RATE, np.float32)))


def play(sink: str, sound: Samples) -> None:
    command = [
        "pacat",
        f"--device={sink}",
        "--raw",
        "--format=float32le",
        f"--rate={SAMPLE_RATE}",
        "--channels=1",
    ]
    subprocess.run(command, input=sound.tobytes(), check=True, timeout=30)


def until(condition: Callable[[], Any], what: str, timeout_s: float = _TIMEOUT_S) -> Any:
    deadline_s = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline_s, f"no {what}"
        time.sleep(0.05)
    return found


def ears(running: Daemon) -> dict[str, Any]:
    found: dict[str, Any] = running.client.status()["ears"]
    return found


def listening(running: Daemon) -> None:
    until(lambda: ears(running)["state"] == "listening" and ears(running)["engine"], "listening ears")


def voice_turn(running: Daemon) -> dict[str, Any]:
    """Return the first turn that a voice asked for, once it has been answered."""

    def find() -> dict[str, Any] | None:
        turns = [t for t in running.client.status()["recent"] if t["source"] == "voice"]
        return turns[0] if turns else None

    found: dict[str, Any] = until(find, "answer to a voice")
    return found


TORN_MS = 30
"""So long a standstill tears a hole into what is played."""


def understood(running: Daemon, ask: Callable[[], object]) -> dict[str, Any]:
    """Ask for its name; again only when the machine stood still meanwhile, which tears words apart."""
    with StallMeter() as stall:
        for _ in range(3):
            stall.longest_ms = 0.0
            turn = _asked(running, ask)
            if "Mira" in turn["answer"] or stall.longest_ms < TORN_MS:
                break
    return turn


def _asked(running: Daemon, ask: Callable[[], object]) -> dict[str, Any]:
    known = {t["turn"] for t in running.client.status()["recent"]}
    ask()

    def find() -> dict[str, Any] | None:
        turns = [t for t in running.client.status()["recent"] if t["source"] == "voice"]
        return next((t for t in turns if t["turn"] not in known), None)

    found: dict[str, Any] = until(find, "answer to a voice")
    return found


@contextmanager
def in_a_call(config: str = CALL) -> Iterator[Daemon]:
    with daemon(microphone=MICROPHONE, config=config) as running:
        running.wait_microphone()
        listening(running)
        yield running


@pytest.mark.parametrize("flavour", ["pulse_server", "pipewire_server"])
def test_a_question_in_a_call_is_answered_at_the_microphone(
    flavour: str, request: pytest.FixtureRequest
) -> None:
    server: SoundServer = request.getfixturevalue(flavour)
    asked: list[None] = []
    with in_a_call() as running:
        assert SPEAKER in server.names("sinks")
        assert "Default Sink: speakers" in server.pactl("info")
        recorder = MicRecorder(MICROPHONE)
        try:
            recorder.wait_started()
            turn = understood(running, lambda: asked.append(play(SPEAKER, spoken("what is your name"))))
            heard = np.abs(recorder.samples()).max()
        finally:
            recorder.close()
        assert "name" in turn["text"].lower()
        assert "Mira" in turn["answer"]
        assert heard > 0.05
        assert -3000 < turn["heard_ms"] < -300, "counted from where the voice ended"
        assert turn["brain"] == "script"
        assert ears(running)["utterances"] == len(asked)
    until(lambda: SPEAKER not in server.names("sinks"), "end of the virtual speaker")


# A web call: what the others say comes out of the speaker that was chosen, and they hear the microphone.
_CALL_IN_A_BROWSER = """(async () => {
  const first = await navigator.mediaDevices.getUserMedia({audio: true});
  first.getTracks().forEach((track) => track.stop());
  const devices = await navigator.mediaDevices.enumerateDevices();
  const named = (kind, name) => devices.find((d) => d.kind === kind && d.label.includes(name));
  const speaker = named('audiooutput', '%s'), microphone = named('audioinput', '%s');
  if (!speaker || !microphone) return {labels: devices.map((d) => `${d.kind} ${d.label}`), level: -1};
  const stream = await navigator.mediaDevices.getUserMedia({audio: {
    deviceId: {exact: microphone.deviceId},
    echoCancellation: false, noiseSuppression: false, autoGainControl: false}});
  const context = new AudioContext(), analyser = context.createAnalyser(), wave = new Float32Array(2048);
  context.createMediaStreamSource(stream).connect(analyser);
  const voice = new Audio('question.wav');
  await voice.setSinkId(speaker.deviceId);
  await voice.play();
  await new Promise((done) => { voice.onended = done; });
  let level = 0;
  for (const end = performance.now() + 4000; performance.now() < end && level < 0.1;) {
    await new Promise((done) => setTimeout(done, 20));
    analyser.getFloatTimeDomainData(wave);
    level = Math.max(level, ...wave.map(Math.abs));
  }
  stream.getTracks().forEach((track) => track.stop());
  return {labels: [], level};
})()"""


def test_a_browser_that_chose_the_speaker_talks_with_it(pulse_server: SoundServer, tmp_path: Path) -> None:
    del pulse_server
    question = (spoken("what is your name") * 32767).astype("<i2")
    with wave.open(str(tmp_path / "question.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(question.tobytes())
    with in_a_call() as running, meeting(tmp_path) as url, Chromium(flags=FLAGS) as browser:
        browser.page.open(url)
        script = _CALL_IN_A_BROWSER % ("vcam_talker speaker", MICROPHONE)
        found: list[dict[str, float]] = []
        turn = understood(running, lambda: found.append(browser.page.evaluate(script)))
        assert found[-1]["level"] > 0.05, found
        assert "Mira" in turn["answer"]


def test_faster_whisper_hears_the_call(pulse_server: SoundServer) -> None:
    del pulse_server
    model = Path(__file__).parents[1] / "data" / "whisper-phrases"
    with in_a_call(f'\n[ears]\nmode = "call"\nengine = "faster-whisper"\nmodel = "{model}"\n') as running:
        assert ears(running)["engine"] == "faster-whisper"
        play(SPEAKER, spoken("What is your name?"))
        turn = voice_turn(running)
        assert turn["text"] == "What is your name?"
        assert "Mira" in turn["answer"]


def test_a_voice_cuts_in(pulse_server: SoundServer) -> None:
    del pulse_server
    with in_a_call() as running:
        running.client.say(LONG)
        until(lambda: (running.client.status()["on_air"] or {}).get("state") == "speaking", "speech")
        play(SPEAKER, spoken("what is your name"))
        interrupted = [t for t in running.client.status()["recent"] if t["text"].startswith("This goes")]
        assert interrupted
        assert interrupted[0]["state"] == "interrupted"
        assert voice_turn(running)["state"] in {"done", "speaking", "interrupted"}


def test_the_call_is_heard_again_after_the_sound_server_was_killed(pulse_server: SoundServer) -> None:
    with in_a_call() as running:
        pulse_server.kill()
        until(lambda: ears(running)["state"] == "lost", "loss")
        frames = running.client.status()["pacing"]["frames"]
        pulse_server.start()
        listening(running)
        running.wait_microphone()
        assert running.client.status()["pacing"]["frames"] > frames
        turn = understood(running, lambda: play(SPEAKER, spoken("what is your name")))
        assert "Mira" in turn["answer"]


def test_a_speaker_that_was_removed_comes_back_and_nothing_else_is_heard(pulse_server: SoundServer) -> None:
    with in_a_call() as running:
        for line in pulse_server.pactl("list", "short", "modules").splitlines():
            if f"sink_name={SPEAKER} " in line:
                pulse_server.pactl("unload-module", line.split("\t")[0])
        until(lambda: SPEAKER not in pulse_server.names("sinks") or ears(running)["state"] == "lost", "loss")
        listening(running)
        until(lambda: SPEAKER in pulse_server.names("sinks"), "a new speaker")
        turn = understood(running, lambda: play(SPEAKER, spoken("what is your name")))
        assert "Mira" in turn["answer"]


@pytest.mark.parametrize(
    ("device", "why"),
    [
        (MICROPHONE, "presenter's own voice"),
        (f"{MICROPHONE}_sink.monitor", "own voice"),
        ("nothing", "no microphone"),
        ("auto", "no microphone"),  # the server's default source is the loudspeakers' monitor
    ],
)
def test_a_wrong_device_is_named_and_the_show_goes_on(
    pulse_server: SoundServer, device: str, why: str
) -> None:
    del pulse_server
    config = f'\n[ears]\nmode = "microphone"\ndevice = "{device}"\nengine = "pocketsphinx"\n'
    with daemon(microphone=MICROPHONE, config=config) as running:
        running.wait_microphone()
        until(lambda: ears(running)["state"] == "lost", "refusal")
        assert why in ears(running)["detail"]
        assert any(why in warning for warning in running.client.status()["warnings"])
        running.client.say("Hello.")
        until(lambda: running.client.status()["recent"], "speech")
        assert running.client.status()["recent"][0]["state"] == "done"


def test_devices_lists_what_the_ears_may_be_given(pulse_server: SoundServer) -> None:
    pulse_server.pactl("load-module", "module-null-source", "source_name=usb_microphone")
    found = [(d.kind, d.id) for d in list_devices().microphones]
    assert found == [("source", "usb_microphone")]


def cuts_in(running: Daemon, line: Samples) -> bool:
    """Say a line in the room, and again when it is not heard: a busy machine may lose the first one."""
    for _ in range(3):
        play("room", line)
        deadline_s = time.monotonic() + 3
        while time.monotonic() < deadline_s:
            if any(turn["state"] == "interrupted" for turn in running.client.status()["recent"]):
                return True
            time.sleep(0.05)
    return False


def test_loudspeakers_do_not_make_it_answer_itself_and_somebody_still_cuts_in(
    pulse_server: SoundServer,
) -> None:
    # A room: what the microphone carries comes out of a loudspeaker there, and the ears listen to all of it.
    pulse_server.pactl("load-module", "module-null-sink", "sink_name=room", "rate=48000")
    config = '\n[ears]\nmode = "microphone"\ndevice = "room.monitor"\nengine = "pocketsphinx"\n'
    with in_a_call(config) as running:
        pulse_server.pactl(
            "load-module", "module-loopback", f"source={MICROPHONE}", "sink=room", "latency_msec=60"
        )
        running.client.say(
            "Good evening, what is your name, and how are you today? I am fine, thank you. " * 2
        )
        until(lambda: running.client.status()["recent"], "end of the speech", 40)
        time.sleep(1.5)
        status = running.client.status()
        assert [t["state"] for t in status["recent"]] == ["done"], (
            "it did not cut itself off, nor answer itself"
        )
        assert status["on_air"] is None
        running.client.say(LONG)
        until(lambda: (running.client.status()["on_air"] or {}).get("state") == "speaking", "speech")
        time.sleep(1.0)
        assert cuts_in(running, 1.5 * spoken("excuse me please, what is your name", "awb"))
