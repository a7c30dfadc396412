"""What an open link does: commands, turns, captions, scenes, triggers, and a microphone that OBS hears."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.fake_obs import FakeObs
from tests.support.obs_link import SHORT_S, home, linked, obs, quick, until
from tests.support.station import FakeStation
from vcam_talker.config import ObsScene, ObsTrigger
from vcam_talker.control.obs import remake as remake_module
from vcam_talker.control.obs import scenes as scenes_module
from vcam_talker.control.obs.connection import ObsConnection
from vcam_talker.control.obs.remake import remake_input
from vcam_talker.control.obs.settings import Server
from vcam_talker.core.errors import SourceError

__all__ = ["home", "obs", "quick"]

pytestmark = pytest.mark.unit


async def test_a_command_is_obeyed_and_acknowledged(obs: FakeObs) -> None:
    station = FakeStation()
    async with linked(obs, station) as link:
        await until(lambda: link.view().state == "open")
        assert "OBS 30.0.0" in link.view().detail
        obs.emit("CustomEvent", {"vcam_talker": 1, "cmd": "say", "id": 1, "text": "Hi"})
        await until(obs.told)
        assert obs.told()[0]["ack"] == 1
        assert station.calls[0][0] == "say"
        assert link.view().lines == 1
        # What we told comes back to us, as OBS does it, and is no command; nor is what others tell.
        for data in (
            *obs.told(),
            {"cmd": "say", "text": "other"},
            {"vcam_talker": 1, "event": "x", "cmd": "mute"},
        ):
            obs.emit("CustomEvent", data)
        obs.emit("CustomEvent", {"vcam_talker": 1, "cmd": "mute", "id": 2})
        await until(lambda: len(obs.told()) == 2)
        assert [call for call, _ in station.calls] == ["say", "mute"]


async def test_commands_can_be_switched_off(obs: FakeObs) -> None:
    station = FakeStation()
    async with linked(obs, station, commands=False) as link:
        await until(lambda: link.view().state == "open")
        obs.emit("CustomEvent", {"vcam_talker": 1, "cmd": "say", "text": "Hi"})
        await asyncio.sleep(SHORT_S)
        assert not station.calls
        assert not obs.told()


async def test_a_flood_of_commands_is_held_back(obs: FakeObs) -> None:
    station = FakeStation()
    async with linked(obs, station) as link:
        await until(lambda: link.view().state == "open")
        for n in range(2000):
            obs.emit("CustomEvent", {"vcam_talker": 1, "cmd": "interrupt", "id": n})
        await until(lambda: [t for t in obs.told() if not t["ok"]])
        await asyncio.sleep(0.3)
        assert link.view().state == "open"
        assert 20 <= len(station.calls) < 100
        refusals = [t for t in obs.told() if not t["ok"]]
        assert refusals[0]["error"]["code"] == "rate_limited"
        assert len(refusals) < 10, "a flood is not answered with a flood"


async def test_turns_are_told(obs: FakeObs) -> None:
    station = FakeStation()
    async with linked(obs, station) as link:
        await until(lambda: link.view().state == "open")
        station.emit(
            {"event": "turn_speaking", "turn": 3, "kind": "say", "text": "Hi", "user": "", "source": "x"}
        )
        station.emit({"event": "turn_ended", "turn": 3, "kind": "say", "state": "done", "heard_text": "Hi"})
        await until(lambda: len(obs.told()) == 2)
        assert [t["event"] for t in obs.told()] == ["turn_started", "turn_ended"]
        assert obs.told()[1]["heard_text"] == "Hi"


async def test_captions_follow_and_end_empty(obs: FakeObs) -> None:
    station = FakeStation()
    async with linked(obs, station, captions="words") as link:
        await until(lambda: link.view().state == "open")
        for n in range(30):
            station.emit({"event": "sentence_heard", "sentence": f"Sentence {n}."})
            await asyncio.sleep(0.02)
        await until(lambda: captions(obs)[-1:] == ["Sentence 29."])
        assert len(captions(obs)) < 10, "five a second at most"
        station.emit({"event": "turn_ended", "turn": 3})
        await until(lambda: captions(obs)[-1] == "")
        station.emit({"event": "sentence_heard", "sentence": "Cut off."})
        await until(lambda: captions(obs)[-1] == "Cut off.")
    assert captions(obs)[-1] == "", "it leaves nothing behind"


def captions(obs: FakeObs) -> list[str]:
    return [data["inputSettings"]["text"] for data in obs.asked("SetInputSettings")]


@pytest.mark.usefixtures("quick")
async def test_captions_are_there_again_after_a_reconnect(obs: FakeObs) -> None:
    station = FakeStation()
    async with linked(obs, station, captions="words") as link:
        await until(lambda: link.view().state == "open")
        station.emit({"event": "sentence_heard", "sentence": "Still speaking."})
        await until(lambda: captions(obs)[-1:] == ["Still speaking."])
        obs.drop()
        await until(lambda: link.view().reconnects == 1)
        await until(lambda: captions(obs).count("Still speaking.") == 2)


async def test_captions_need_a_text_source(obs: FakeObs) -> None:
    station = FakeStation()
    obs.refuse["GetInputSettings"] = 600
    async with linked(obs, station, captions="words") as link:
        await until(lambda: "setup obs" in link.view().detail)
        station.emit({"event": "sentence_heard", "sentence": "Nobody sees this."})
        await asyncio.sleep(SHORT_S)
        assert not captions(obs)
        # The user makes one, but of the wrong kind; then a right one.
        del obs.refuse["GetInputSettings"]
        obs.answers["GetInputSettings"] = {"inputKind": "image_source"}
        obs.emit("InputCreated", {"inputName": "words"})
        await until(lambda: "not a text source" in link.view().detail)
        assert not captions(obs)
        obs.answers["GetInputSettings"] = {"inputKind": "text_gdiplus_v3"}
        obs.emit("InputNameChanged", {"inputName": "words"})
        await until(lambda: captions(obs) == ["Nobody sees this."])
        assert "captions" not in link.view().detail


RULES = (
    ObsScene(when="speaking", scene="Close"),
    ObsScene(when="idle", scene="Wide", after_s=0.1),
    ObsScene(when="listening", scene="Wide"),
)


def switches(obs: FakeObs) -> list[str]:
    return [data["sceneName"] for data in obs.asked("SetCurrentProgramScene")]


async def test_scenes_follow_the_rules(obs: FakeObs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes_module, "HANDS_OFF_S", 0.5)
    station = FakeStation()
    async with linked(obs, station, scenes=RULES) as link:
        await until(lambda: obs.asked("GetCurrentProgramScene"))
        await asyncio.sleep(0.2)
        assert switches(obs) == [], "it is on program already"
        station.emit({"event": "turn_speaking", "kind": "say"})
        await until(lambda: switches(obs) == ["Close"])
        obs.emit("CurrentProgramSceneChanged", {"sceneName": "Close"})
        station.emit({"event": "sentence_heard", "sentence": "More."})
        station.emit({"event": "turn_ended"})
        await until(lambda: switches(obs) == ["Close", "Wide"])
        obs.emit("CurrentProgramSceneChanged", {"sceneName": "Wide"})
        # Somebody switches by hand, to a scene of the rules: hands off, for a while.
        obs.emit("CurrentProgramSceneChanged", {"sceneName": "Close"})
        await asyncio.sleep(0.1)
        station.emit({"event": "voice", "speaking": True})
        await asyncio.sleep(0.1)
        assert len(switches(obs)) == 2
        station.emit({"event": "voice", "speaking": False})
        await asyncio.sleep(0.6)
        station.emit({"event": "voice", "speaking": True})
        await until(lambda: switches(obs)[2:] == ["Wide"])
        obs.emit("CurrentProgramSceneChanged", {"sceneName": "Wide"})
        # A scene that no rule names switches the rules off.
        obs.emit("CurrentProgramSceneChanged", {"sceneName": "Break"})
        await asyncio.sleep(0.7)
        station.emit({"event": "turn_speaking", "kind": "say"})
        await asyncio.sleep(0.2)
        assert len(switches(obs)) == 3
        assert link.view().state == "open"


async def test_quiet_talk_is_speaking_unless_a_rule_names_it(obs: FakeObs) -> None:
    station = FakeStation()
    quiet = (*RULES, ObsScene(when="quiet", scene="Room"))
    for rules, scene in ((RULES, "Close"), (quiet, "Room")):
        obs.requests.clear()
        async with linked(obs, station, scenes=rules):
            await until(lambda: obs.asked("GetCurrentProgramScene"))
            await asyncio.sleep(0.05)
            station.emit({"event": "turn_speaking", "kind": "quiet"})
            await until(lambda expected=scene: switches(obs) == [expected])  # type: ignore[misc]


async def test_a_scene_that_is_not_there_is_told(obs: FakeObs) -> None:
    station = FakeStation()
    obs.refuse["SetCurrentProgramScene"] = 600
    async with linked(obs, station, scenes=RULES) as link:
        await until(lambda: obs.asked("GetCurrentProgramScene"))
        await asyncio.sleep(0.05)
        station.emit({"event": "turn_speaking", "kind": "say"})
        await until(lambda: "no scene 'Close'" in link.view().detail)
        assert link.view().state == "open"
        del obs.refuse["SetCurrentProgramScene"]
        station.emit({"event": "turn_ended"})
        await asyncio.sleep(0.05)
        station.emit({"event": "turn_speaking", "kind": "say"})
        await until(lambda: "no scene" not in link.view().detail)


async def test_triggers(obs: FakeObs) -> None:
    station = FakeStation()
    triggers = (
        ObsTrigger(event="StreamStateChanged", match={"outputActive": True}, do="say", text="We're live!"),
        ObsTrigger(event="CurrentProgramSceneChanged", do="say", text="Another scene."),
        ObsTrigger(event="CustomEvent", match={"from": "deck"}, do="mute"),
    )
    async with linked(obs, station, triggers=triggers, scenes=RULES) as link:
        await until(lambda: obs.asked("GetCurrentProgramScene"))
        await asyncio.sleep(0.05)
        obs.emit("StreamStateChanged", {"outputActive": False})
        obs.emit("StreamStateChanged", {"outputActive": True})
        await until(lambda: station.calls)
        assert station.calls[0][1]["text"] == "We're live!"
        obs.emit("CustomEvent", {"from": "deck"})
        await until(lambda: len(station.calls) == 2)
        # Our own switch sets off no trigger: they could go round in circles.
        station.emit({"event": "turn_speaking", "kind": "say"})
        await until(lambda: switches(obs) == ["Close"])
        obs.emit("CurrentProgramSceneChanged", {"sceneName": "Close"})
        await asyncio.sleep(0.1)
        assert len(station.calls) == 2
        for _ in range(50):
            obs.emit("CurrentProgramSceneChanged", {"sceneName": "Break"})
        await until(lambda: len(station.calls) > 2)
        await asyncio.sleep(0.1)
        assert len(station.calls) < 12
        assert link.view().state == "open"


@pytest.mark.usefixtures("quick")
async def test_an_input_that_obs_does_not_let_go_of_comes_back_under_another_name(
    obs: FakeObs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remake_module, "_GONE_S", 0.2)
    obs.answers |= {
        "GetInputSettings": {"inputKind": "pulse_input_capture", "inputSettings": {"device_id": "mic"}},
        "GetSourceFilterList": {"filters": []},
        "GetInputVolume": {"inputVolumeMul": 0.5},
        "GetSceneList": {"scenes": [{"sceneName": "Wide"}]},
        "GetSceneItemList": {"sceneItems": [{"sourceName": "m", "sceneItemId": 3, "sceneItemEnabled": True}]},
        "GetInputList": {"inputs": [{"inputName": "m"}]},
    }
    for what in ("Mute", "AudioBalance", "AudioSyncOffset", "AudioMonitorType", "AudioTracks"):
        obs.refuse[f"GetInput{what}"] = 604
    obs.refuse["SetInputVolume"] = 600
    connection = ObsConnection(Server("127.0.0.1", obs.port))
    await asyncio.to_thread(connection.connect)
    try:
        assert await asyncio.to_thread(remake_input, connection, "m") == "m (anew)"
    finally:
        connection.close()
    created = obs.asked("CreateInput")
    assert [(c["inputName"], c["inputSettings"], c["sceneName"]) for c in created] == [
        ("m (anew)", {"device_id": "mic"}, "Wide")
    ]
    assert obs.asked("SetInputVolume") == [{"inputName": "m (anew)", "inputVolumeMul": 0.5}]


@pytest.mark.usefixtures("quick")
async def test_an_input_is_not_made_in_another_scene_collection(
    obs: FakeObs, monkeypatch: pytest.MonkeyPatch
) -> None:
    obs.answers |= {
        "GetInputSettings": {"inputKind": "pulse_input_capture", "inputSettings": {}},
        "GetSourceFilterList": {"filters": []},
        "GetSceneList": {"scenes": [{"sceneName": "Wide"}]},
        "GetSceneItemList": {"sceneItems": []},
    }
    for what in ("Volume", "Mute", "AudioBalance", "AudioSyncOffset", "AudioMonitorType", "AudioTracks"):
        obs.refuse[f"GetInput{what}"] = 604
    connection = ObsConnection(Server("127.0.0.1", obs.port))
    await asyncio.to_thread(connection.connect)

    def switch(*_: object) -> bool:
        obs.answers["GetSceneCollectionList"] = {"currentSceneCollectionName": "Evening"}
        return True

    monkeypatch.setattr(remake_module, "_is_gone", switch)
    try:
        with pytest.raises(SourceError, match="another scene collection"):
            await asyncio.to_thread(remake_input, connection, "m")
    finally:
        connection.close()
    assert obs.asked("CreateInput") == []


async def test_a_voice_that_obs_hears_is_no_matter(obs: FakeObs) -> None:
    station = FakeStation()
    obs.answers["GetInputList"] = {"inputs": [{"inputName": "m"}]}
    obs.answers["GetInputSettings"] = {
        "inputKind": "pulse_input_capture",
        "inputSettings": {"device_id": "vcam_talker_mic"},
    }
    obs.answers["GetInputMute"] = {"inputMuted": False}
    async with linked(obs, station, captions="") as link:
        await until(lambda: link.view().state == "open")
        station.emit({"event": "turn_speaking", "kind": "say"})
        await until(lambda: obs.masks)
        assert obs.masks[0] & (1 << 16)
        for level in (0.0, 0.3) * 20:
            meter = {"inputName": "m", "inputLevelsMul": [[level, level, level]]}
            obs.emit("InputVolumeMeters", {"inputs": [meter]})
        await until(lambda: len(obs.masks) == 2)
        assert not obs.masks[1] & (1 << 16), "the meters are switched off again"
        await asyncio.sleep(0.1)
        assert not obs.asked("RemoveInput")
        assert "hears nothing" not in link.view().detail
        # Known to be well: the next turn is not listened to.
        station.emit({"event": "turn_ended"})
        station.emit({"event": "turn_speaking", "kind": "say"})
        await asyncio.sleep(0.2)
        assert len(obs.masks) == 2


async def test_a_turn_that_is_too_short_tells_nothing(obs: FakeObs) -> None:
    station = FakeStation()
    obs.answers["GetInputList"] = {"inputs": [{"inputName": "m"}]}
    obs.answers["GetInputSettings"] = {"inputKind": "x", "inputSettings": {"device_id": "vcam_talker_mic"}}
    obs.answers["GetInputMute"] = {"inputMuted": False}
    async with linked(obs, station, captions="") as link:
        await until(lambda: link.view().state == "open")
        for count in (1, 2):
            station.emit({"event": "turn_speaking", "kind": "say"})
            await until(lambda wanted=2 * count - 1: len(obs.masks) == wanted)  # type: ignore[misc]
            await asyncio.sleep(0.1)
            station.emit({"event": "turn_ended"})
            await until(lambda wanted=2 * count: len(obs.masks) == wanted)  # type: ignore[misc]
        assert not obs.asked("RemoveInput")
