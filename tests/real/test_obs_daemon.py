"""The whole daemon with a real OBS and a real PulseAudio: OBS commands, listens, dies, hangs, comes back."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest

from tests.support.obs import SILENCE_DB, ObsStudio, obs_program
from tests.support.pulse import SoundServer, pulse_server
from tests.support.stall import StallMeter
from vcam_talker.bench.harness import MICROPHONE, Daemon, daemon

__all__ = ["pulse_server"]
pytestmark = pytest.mark.real

_PERIOD_MS = 1000 / 30
_CAPTIONS = "vcam_talker captions"
_SOURCE = "presenter"
_LONG = "This sentence is long enough for many things to happen to OBS while it is said. " * 8


@pytest.fixture
def studio(pulse_server: SoundServer, request: pytest.FixtureRequest) -> Iterator[ObsStudio]:
    with obs_program(pulse_server.env, sounds=getattr(request, "param", True)) as program:
        yield program


@pytest.fixture
def on_air(studio: ObsStudio, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A daemon that finds OBS by OBS's own settings, as it does for a user."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(studio.config.parent))
    with daemon(config='[obs]\nconnect = "auto"\n') as running:
        running.wait_microphone()
        running.wait_idle()
        wait_link(running, "open")
        yield running


def wait_link(running: Daemon, state: str, timeout_s: float = 30.0) -> None:
    running.wait_until(
        f"a link that is {state}", lambda: running.client.status()["obs"]["state"] == state, timeout_s
    )


def ask_obs(studio: ObsStudio, **fields: object) -> dict[str, object]:
    studio.client.call("BroadcastCustomEvent", eventData={"vcam_talker": 1, "id": "deck", **fields})
    return next(e for e in studio.client.events("CustomEvent", 10) if e.get("ack") == "deck")


def wait_speaking(running: Daemon) -> None:
    def speaking() -> bool:
        on_air = running.client.status()["on_air"]
        return bool(on_air) and on_air["state"] == "speaking"

    running.wait_until("speech", speaking)


def lost_frames(running: Daemon, since_ns: int) -> int:
    time.sleep(1.5)
    return running.frames().after(since_ns).lost(30)


def test_a_custom_event_is_heard_and_read_in_obs(on_air: Daemon, studio: ObsStudio) -> None:
    obs = studio.client
    kind = next(k for k in obs.call("GetInputKindList")["inputKinds"] if k.startswith("text_"))
    for name, of_kind, settings in (
        (_SOURCE, "pulse_input_capture", {"device_id": MICROPHONE}),
        (_CAPTIONS, kind, {"text": ""}),
    ):
        obs.call("CreateInput", sceneName="Scene", inputName=name, inputKind=of_kind, inputSettings=settings)
    assert obs.wait_for_meter(_SOURCE, lambda level_db: level_db <= SILENCE_DB, timeout_s=20)

    ack = ask_obs(studio, cmd="say", text="Good evening, OBS. Here is another sentence for you.")
    assert ack["ok"] is True, ack
    assert obs.wait_for_meter(_SOURCE, lambda level_db: level_db > -40, timeout_s=10)
    seen: list[str] = []

    def both_read() -> bool:
        seen.append(str(obs.call("GetInputSettings", inputName=_CAPTIONS)["inputSettings"].get("text", "")))
        return "another" in seen[-1]

    on_air.wait_until("the second sentence", both_read)
    assert "Good evening, OBS." in seen
    on_air.wait_until(
        "no caption",
        lambda: obs.call("GetInputSettings", inputName=_CAPTIONS)["inputSettings"].get("text") == "",
    )
    turn = on_air.client.status()["recent"][0]
    assert (turn["source"], turn["state"]) == ("obs", "done")
    assert obs.wait_for_meter(_SOURCE, lambda level_db: level_db <= SILENCE_DB, timeout_s=10)
    assert ask_obs(studio, cmd="persona", name="../mira")["ok"] is False
    status = ask_obs(studio, cmd="status")["result"]
    assert isinstance(status, dict)
    assert status["persona"] == "mira"


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=lambda s: s.name)
def test_obs_fails_while_it_talks_and_comes_back(
    on_air: Daemon, studio: ObsStudio, fault: signal.Signals
) -> None:
    ask_obs(studio, cmd="say", text=_LONG)
    wait_speaking(on_air)
    since_ns = time.monotonic_ns()
    skipped = on_air.client.status()["pacing"]["skipped"]
    with StallMeter() as stall:
        if fault == signal.SIGKILL:
            studio.kill()
        else:
            studio.signal(fault)
        wait_link(on_air, "lost", 15)
        time.sleep(1)
        assert on_air.client.status()["on_air"]["state"] == "speaking"
        if fault == signal.SIGKILL:
            studio.launch()
            studio.wait_port()
        else:
            studio.signal(signal.SIGCONT)
        back_s = time.monotonic()
        wait_link(on_air, "open", 20)
        assert time.monotonic() - back_s < 5 + stall.longest_ms / 1000
        if fault == signal.SIGKILL:
            studio.attach()
    assert lost_frames(on_air, since_ns) == 0
    gap_ms = float(np.diff(on_air.frames().after(since_ns).sent_ns).max()) / 1e6
    assert gap_ms < 3 * _PERIOD_MS + stall.longest_ms
    assert ask_obs(studio, cmd="interrupt", clear_queue=True)["result"] == {"ended": 1}
    assert on_air.client.status()["obs"]["reconnects"] == 1
    assert on_air.client.status()["pacing"]["skipped"] == skipped


def test_a_wrong_password_is_told_and_the_show_goes_on(on_air: Daemon, studio: ObsStudio) -> None:
    secret = studio.config.parent / "vcam-talker" / "secrets" / "obs-password"
    secret.parent.mkdir(mode=0o700, parents=True)
    secret.write_text("wrong\n")
    secret.chmod(0o600)
    studio.kill()
    studio.start()
    wait_link(on_air, "failed")
    warning = next(w for w in on_air.client.status()["warnings"] if "password" in w)
    assert "vcam-talker setup secret obs-password" in warning
    secret.unlink()
    wait_link(on_air, "open")
    assert not [w for w in on_air.client.status()["warnings"] if "password" in w]


@pytest.mark.parametrize("studio", [False], indirect=True, ids=["ours alone"])
def test_a_restarted_sound_server_is_heard_in_obs_again(
    on_air: Daemon, studio: ObsStudio, pulse_server: SoundServer
) -> None:
    """OBS itself keeps a dead input for ever; with ours the only one, the link makes it anew, as it was."""
    obs = studio.client
    assert obs.call("GetInputList")["inputs"] == []
    obs.call("CreateScene", sceneName="Other")
    obs.call(
        "CreateInput",
        sceneName="Scene",
        inputName=_SOURCE,
        inputKind="pulse_input_capture",
        inputSettings={"device_id": MICROPHONE},
    )
    obs.call("CreateSceneItem", sceneName="Other", sourceName=_SOURCE, sceneItemEnabled=False)
    obs.call("SetInputAudioSyncOffset", inputName=_SOURCE, inputAudioSyncOffset=120)
    obs.call(
        "CreateSourceFilter",
        sourceName=_SOURCE,
        filterName="louder",
        filterKind="gain_filter",
        filterSettings={"db": 3.0},
    )
    assert obs.wait_for_meter(_SOURCE, lambda level_db: level_db <= SILENCE_DB, timeout_s=20)
    pulse_server.kill()
    on_air.wait_until("a lost microphone", lambda: on_air.client.status()["sinks"][1]["state"] == "lost")
    pulse_server.start()
    on_air.wait_microphone()

    on_air.client.say(_LONG)
    wait_speaking(on_air)
    hears_nothing = not obs.wait_for_meter(_SOURCE, lambda level_db: level_db > SILENCE_DB, timeout_s=1)
    assert hears_nothing, "this OBS heals itself"
    assert obs.wait_for_meter(_SOURCE, lambda level_db: level_db > -40, timeout_s=20)
    assert obs.call("GetInputAudioSyncOffset", inputName=_SOURCE)["inputAudioSyncOffset"] == 120
    found = obs.call("GetSourceFilterList", sourceName=_SOURCE)["filters"]
    assert [(f["filterName"], f["filterSettings"]) for f in found] == [("louder", {"db": 3.0})]
    items = obs.call("GetSceneItemList", sceneName="Other")["sceneItems"]
    assert [(i["sourceName"], i["sceneItemEnabled"]) for i in items] == [(_SOURCE, False)]
    assert "hears nothing" not in on_air.client.status()["obs"]["detail"]


def test_a_dead_input_that_can_not_be_mended_is_told(
    on_air: Daemon, studio: ObsStudio, pulse_server: SoundServer
) -> None:
    """With other Pulse inputs beside ours (here those that OBS guesses) nothing is touched."""
    obs = studio.client
    settings = {"device_id": MICROPHONE}
    obs.call(
        "CreateInput",
        sceneName="Scene",
        inputName=_SOURCE,
        inputKind="pulse_input_capture",
        inputSettings=settings,
    )
    assert obs.wait_for_meter(_SOURCE, lambda level_db: level_db <= SILENCE_DB, timeout_s=20)
    before = obs.call("GetInputList")["inputs"]
    pulse_server.kill()
    on_air.wait_until("a lost microphone", lambda: on_air.client.status()["sinks"][1]["state"] == "lost")
    pulse_server.start()
    on_air.wait_microphone()
    on_air.client.say(_LONG)
    on_air.wait_until("the warning", lambda: "restart OBS" in on_air.client.status()["obs"]["detail"], 15)
    assert obs.call("GetInputList")["inputs"] == before
