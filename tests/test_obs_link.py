"""The link against a server that refuses, hangs, dies, floods and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_obs import FakeObs
from tests.support.station import FakeStation
from vcam_talker.config import ObsConfig, ObsScene, ObsTrigger
from vcam_talker.control.obs import connection as connection_module
from vcam_talker.control.obs import owner as owner_module
from vcam_talker.control.obs import remake as remake_module
from vcam_talker.control.obs import scenes as scenes_module
from vcam_talker.control.obs.connection import ObsConnection
from vcam_talker.control.obs.link import ObsLink
from vcam_talker.control.obs.remake import remake_input
from vcam_talker.control.obs.settings import Server, ServerFinder
from vcam_talker.core.errors import SourceError
from vcam_talker.core.secrets import write_secret

pytestmark = pytest.mark.unit

PASSWORD = "correct horse"  # noqa: S105
SHORT_S = 0.15


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every pause and patience of the link short."""
    for name in ("HEARTBEAT_S", "_PROBE_S", "_MUTE_PAUSE_S", "_BACKOFF_MIN_S"):
        monkeypatch.setattr(owner_module, name, SHORT_S)
    monkeypatch.setattr(connection_module, "_ANSWER_TIMEOUT_S", 2 * SHORT_S)
    monkeypatch.setattr(connection_module, "_HANDSHAKE_TIMEOUT_S", 2 * SHORT_S)


@pytest.fixture
def obs() -> Iterator[FakeObs]:
    with FakeObs() as server:
        yield server


@asynccontextmanager
async def linked(obs: FakeObs, station: FakeStation | None = None, **changes: Any) -> AsyncIterator[ObsLink]:
    """Run a link to `obs`, and leave nothing behind."""
    before = set(threading.enumerate())
    config = ObsConfig(connect="on", port=obs.port, **changes)
    link = ObsLink(config, station or FakeStation(), finder=ServerFinder(config, ()))
    task = asyncio.create_task(link.run())
    try:
        yield link
        assert not task.done(), "it never ends by itself"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    left = {thread for thread in set(threading.enumerate()) - before if thread.name.startswith("obs")}
    assert not left, "threads are left behind"


async def until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen"
        await asyncio.sleep(0.01)


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
async def test_a_wrong_password_is_told_and_not_tried_in_vain(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    write_secret("obs-password", "battery staple")
    with FakeObs(PASSWORD) as obs:
        async with linked(obs) as link:
            await until(lambda: link.view().state == "failed")
            detail = link.view().detail
            assert "the password is wrong" in detail
            assert "vcam-talker setup secret obs-password" in detail
            await asyncio.sleep(5 * SHORT_S)
            assert obs.logins == 0
            write_secret("obs-password", PASSWORD)
            await until(lambda: link.view().state == "open")
            assert obs.logins == 1
    assert PASSWORD not in caplog.text
    assert "battery staple" not in caplog.text


@pytest.mark.usefixtures("quick")
async def test_no_password_at_all_is_told() -> None:
    with FakeObs(PASSWORD) as obs:
        async with linked(obs) as link:
            await until(lambda: link.view().state == "failed")
            assert "none is known" in link.view().detail


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["silent", "rpc", "requests"])
async def test_an_obs_that_is_too_old_is_told(obs: FakeObs, kind: str) -> None:
    if kind == "silent":
        obs.hello = None
    elif kind == "rpc":
        obs.hello = {"rpcVersion": 0}
    else:
        obs.answers["GetVersion"] = {"obsVersion": "28.0.0", "availableRequests": ["GetStats"]}
    async with linked(obs) as link:
        await until(lambda: link.view().state == "failed")
        assert "Update OBS to version 28 or newer" in link.view().detail


@pytest.mark.usefixtures("quick")
async def test_another_program_on_the_port_is_told() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, linked(FakeObs(port=port)) as link:
        await until(lambda: link.view().state == "failed")
        assert "another program answers there (HTTP 404)" in link.view().detail


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("drips", [False, True], ids=["says its name", "drips for ever"])
@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"220 mail ready\r\n", b"\x00\xff\r\n"])
async def test_what_is_no_web_server_at_all_is_left_in_time(greeting: bytes, *, drips: bool) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readline()
            while drips:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(SHORT_S / 10)
            writer.write(greeting)
            await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        error = await connect_error(port)
        assert "the connection failed" in error if drips else "another program answers there" in error


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "hello",
    ['{"op": 0}', '{"op": 0, "d": null}', '{"d": {}}', "[0]", '"x"', "[" * 100_000, "hi", '{"op": []}'],
)
async def test_a_greeting_that_means_nothing_is_one_clear_error(obs: FakeObs, hello: str) -> None:
    obs.greeting = hello
    error = await connect_error(obs.port)
    assert "it does not speak obs-websocket 5" in error or "another program answers there" in error
    assert len(error) < 300


@pytest.mark.usefixtures("quick")
async def test_events_may_come_before_the_log_in_is_over(obs: FakeObs) -> None:
    obs.before_identified = [{"op": 5, "d": {"eventType": "ExitStarted", "eventIntent": 1}}] * 3
    async with linked(obs) as link:
        await until(lambda: link.view().state == "open")


@pytest.mark.usefixtures("quick")
async def test_closed_during_the_log_in_it_comes_back(obs: FakeObs) -> None:
    obs.close_at_log_in = 1001
    async with linked(obs) as link:
        await until(lambda: "closed with code 1001" in link.view().detail)
        obs.close_at_log_in = 0
        await until(lambda: link.view().state == "open")


async def test_events_that_mean_nothing_end_no_connection(obs: FakeObs) -> None:
    station = FakeStation()
    async with linked(obs, station) as link:
        await until(lambda: link.view().state == "open")
        for data in ("null", "[]", '["vcam_talker"]', '"vcam_talker"', "1", "[" * 50_000 + "]" * 50_000):
            obs.emit_raw('{"op": 5, "d": {"eventType": "CustomEvent", "eventData": ' + data + "}}")
        obs.emit_raw('{"op": 5, "d": {"eventType": "FutureEvent"}}')
        obs.emit("CustomEvent", {"vcam_talker": 1, "cmd": "say", "text": "Hello."})
        await until(lambda: station.calls)
        assert (link.view().state, link.view().reconnects, obs.logins) == ("open", 0, 1)


async def connect_error(port: int) -> str:
    """Return why no connection can be made there."""
    connection = ObsConnection(Server("127.0.0.1", port))
    with pytest.raises(SourceError) as caught:
        await asyncio.wait_for(asyncio.to_thread(connection.connect), 20)
    return str(caught.value)


@pytest.mark.usefixtures("quick")
async def test_an_obs_that_is_still_starting_is_waited_for(obs: FakeObs) -> None:
    obs.refuse["GetVersion"] = 207
    async with linked(obs) as link:
        await until(lambda: len(obs.asked("GetVersion")) > 2)
        assert link.view().state == "connecting"
        del obs.refuse["GetVersion"]
        await until(lambda: link.view().state == "open")
        assert obs.logins == 1


@pytest.mark.usefixtures("quick")
async def test_a_session_thrown_out_in_obs_stays_out(obs: FakeObs) -> None:
    async with linked(obs) as link:
        await until(lambda: link.view().state == "open")
        obs.drop(4011)
        await until(lambda: link.view().state == "failed")
        await asyncio.sleep(4 * SHORT_S)
        assert obs.logins == 1


@pytest.mark.usefixtures("quick")
async def test_thrown_out_in_the_middle_of_a_request_it_stays_out(obs: FakeObs) -> None:
    async with linked(obs) as link:
        await until(lambda: link.view().state == "open")
        obs.mute = True
        asked = len(obs.asked("GetStats"))
        await until(lambda: len(obs.asked("GetStats")) > asked)
        obs.drop(4011)
        await until(lambda: link.view().state == "failed")
        assert obs.logins == 1


@pytest.mark.usefixtures("quick")
async def test_a_mute_obs_is_given_up_and_taken_up_again(obs: FakeObs) -> None:
    async with linked(obs) as link:
        await until(lambda: link.view().state == "open")
        obs.mute = True
        await until(lambda: link.view().state == "lost")
        assert "no answer" in link.view().detail
        obs.mute = False
        await until(lambda: link.view().state == "open")
        assert link.view().reconnects >= 1


@pytest.mark.usefixtures("quick")
async def test_a_request_fails_at_once_when_the_connection_goes(obs: FakeObs) -> None:
    connection = ObsConnection(Server("127.0.0.1", obs.port))
    await asyncio.to_thread(connection.connect)
    obs.mute = True
    request = asyncio.create_task(asyncio.to_thread(connection.request, "GetStats", timeout_s=60))
    await until(lambda: obs.asked("GetStats"))
    obs.drop()
    with pytest.raises(SourceError):
        await asyncio.wait_for(request, 10)
    connection.close()
    assert not connection.events


@pytest.mark.usefixtures("quick")
async def test_a_hundred_reconnects_leave_nothing_behind(obs: FakeObs) -> None:
    async with linked(obs) as link:
        await until(lambda: link.view().state == "open")
        obs.drop()
        await until(lambda: link.view().reconnects == 1)
        threads, files = ours(), open_files()
        for n in range(2, 102):
            owner_reset(link)
            obs.drop()
            await until(lambda count=n: link.view().reconnects == count)  # type: ignore[misc]
        await until(lambda: ours() <= threads)
        await until(lambda: open_files() <= files + 2)


def ours() -> int:
    return sum(thread.name.startswith("obs") for thread in threading.enumerate())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def owner_reset(link: ObsLink) -> None:
    """Spare the test the back-off of a hundred losses in a row."""
    link._owner._backoff_s = 0.01


@pytest.mark.usefixtures("quick")
async def test_it_comes_back_soon_after_the_port_opens(obs: FakeObs) -> None:
    async with linked(obs) as link:
        await until(lambda: link.view().state == "open")
        obs.close()
        await until(lambda: link.view().state == "lost")
        await until(lambda: "nobody listens" in link.view().detail)
        obs.open()
        await until(lambda: link.view().state == "open")
        assert link.view().reconnects == 1


async def test_pauses_grow_but_not_while_obs_is_absent() -> None:
    assert owner_module._PROBE_S <= 2
    assert owner_module.HEARTBEAT_S + connection_module._ANSWER_TIMEOUT_S <= 7
    assert (owner_module._BACKOFF_MIN_S, owner_module._BACKOFF_MAX_S) == (0.5, 15.0)


async def test_the_loop_is_never_held_up(obs: FakeObs) -> None:
    """Not even by an OBS that takes a connection and says nothing at all."""
    listening = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    longest_s = 0.0
    async with listening, linked(FakeObs(port=port)):
        for _ in range(100):
            before_s = time.monotonic()
            await asyncio.sleep(0.005)
            longest_s = max(longest_s, time.monotonic() - before_s)
    assert longest_s < 1.0
    assert obs.logins == 0


async def test_off_is_off() -> None:
    link = ObsLink(ObsConfig(connect="off"), FakeStation())
    await asyncio.wait_for(link.run(), 5)
    assert link.view().state == "off"


async def test_auto_without_an_obs_says_how_to_switch_it_on() -> None:
    config = ObsConfig()
    link = ObsLink(config, FakeStation(), finder=ServerFinder(config, ()))
    task = asyncio.create_task(link.run())
    await until(lambda: link.view().state == "off")
    await until(lambda: "WebSocket Server Settings" in link.view().detail)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


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
