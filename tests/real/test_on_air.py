"""What viewers and streamers meet: the whole daemon in a real browser and in a real OBS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chromium import Chromium
from tests.support.meeting import FLAGS, meeting
from tests.support.obs import SILENCE_DB, obs_studio
from tests.support.pulse import SoundServer, pulse_server
from vcam_talker.bench.harness import Daemon, daemon

__all__ = ["pulse_server"]
pytestmark = pytest.mark.real

MICROPHONE = "vcam_talker_mic"
OUT = Path(__file__).resolve().parents[2] / "out"
_TALK = "Good evening, and welcome to the show! Ask me anything you like, I am here all night. " * 3

# Open the microphone as a web meeting does, and return its label and the loudest level within three seconds.
_LISTEN = """(async () => {
  const first = await navigator.mediaDevices.getUserMedia({audio: true});
  first.getTracks().forEach((track) => track.stop());
  const devices = await navigator.mediaDevices.enumerateDevices();
  const labels = devices.filter((d) => d.kind === 'audioinput').map((d) => d.label);
  const ours = devices.find((d) => d.kind === 'audioinput' && d.label.includes('vcam_talker_mic'));
  if (!ours) return {labels, level: -1};
  const stream = await navigator.mediaDevices.getUserMedia({audio: {
    deviceId: {exact: ours.deviceId},
    echoCancellation: false, noiseSuppression: false, autoGainControl: false}});
  const context = new AudioContext(), analyser = context.createAnalyser(), wave = new Float32Array(2048);
  context.createMediaStreamSource(stream).connect(analyser);
  let level = 0;
  for (const end = performance.now() + 3000; performance.now() < end;) {
    await new Promise((done) => setTimeout(done, 20));
    analyser.getFloatTimeDomainData(wave);
    level = Math.max(level, ...wave.map(Math.abs));
  }
  stream.getTracks().forEach((track) => track.stop());
  return {labels, level};
})()"""


@pytest.fixture
def on_air(pulse_server: SoundServer) -> Iterator[Daemon]:
    assert pulse_server.names("sinks") == ["speakers"]
    with daemon(persona="elena", microphone=MICROPHONE) as running:
        running.wait_microphone()
        running.wait_idle()
        yield running


def test_a_viewer_types_and_sees_and_hears_the_answer(on_air: Daemon) -> None:
    with Chromium() as browser:
        page = browser.page
        page.resize(1440, 900)
        page.open(f"{on_air.client.url}/")
        page.wait("document.querySelector('#link').dataset.tone === 'good'")
        page.wait("Number(document.querySelector('#picture').dataset.frames) > 30")
        page.click("textarea")
        page.type("Who are you?")
        page.press("Enter")
        # Loud enough that the mouth is open on the picture that is kept.
        page.wait("Number(document.querySelector('#picture').dataset.level) > 0.1")
        page.screenshot(OUT / "on-air.png")
        figures = page.evaluate("({...document.querySelector('#picture').dataset})")
        assert abs(float(figures["skewMs"])) < 60, figures
        answer = on_air.client.status()["on_air"]["answer"]
        assert "Elena" in answer
        page.wait(f"document.body.textContent.includes({answer!r})")
        page.press("Escape")
        page.wait("Number(document.querySelector('#picture').dataset.level) < 0.005")
        assert page.complaints == []
    assert on_air.client.status()["recent"][0]["state"] == "interrupted"


def test_a_web_meeting_lists_the_microphone_and_hears_it(on_air: Daemon, tmp_path: Path) -> None:
    with meeting(tmp_path) as url, Chromium(flags=FLAGS) as browser:
        browser.page.open(url)
        on_air.client.say(_TALK)
        on_air.wait_until(
            "speech", lambda: (on_air.client.status()["on_air"] or {}).get("state") == "speaking"
        )
        heard = browser.page.evaluate(_LISTEN)
    assert any("vcam_talker_mic" in label for label in heard["labels"]), heard
    assert heard["level"] > 0.02, heard


def test_obs_hears_the_presenter_speak(on_air: Daemon, pulse_server: SoundServer) -> None:
    with obs_studio(pulse_server.env) as obs:
        obs.call(
            "CreateInput",
            sceneName="Scene",
            inputName="presenter",
            inputKind="pulse_input_capture",
            inputSettings={"device_id": MICROPHONE},
        )
        assert obs.wait_for_meter("presenter", lambda level_db: level_db <= SILENCE_DB, timeout_s=20)
        on_air.client.say(_TALK)
        assert obs.wait_for_meter("presenter", lambda level_db: level_db > -40, timeout_s=20)
        on_air.client.interrupt(clear_queue=True)
        time.sleep(0.5)
        assert obs.wait_for_meter("presenter", lambda level_db: level_db <= SILENCE_DB, timeout_s=20)


def test_nothing_plays_on_the_speakers(on_air: Daemon, pulse_server: SoundServer) -> None:
    on_air.client.say(_TALK)
    _wait_speaking(on_air)
    listing = pulse_server.pactl("list", "short", "sink-inputs")
    sinks = dict(line.split("\t")[:2] for line in pulse_server.pactl("list", "short", "sinks").splitlines())
    playing_on = {sinks[line.split("\t")[1]] for line in listing.splitlines()}
    assert playing_on
    assert all(name.startswith(MICROPHONE) for name in playing_on)
    assert "speakers" in pulse_server.pactl("get-default-sink")


def _wait_speaking(running: Daemon) -> None:
    def speaking() -> bool:
        turn = running.client.status()["on_air"]
        return bool(turn) and turn["state"] == "speaking"

    running.wait_until("speech", speaking)
