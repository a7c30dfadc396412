"""The two WebSockets: commands and their acknowledgements, events, the preview, refusals."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.support.server import RunningServer
from tests.support.station import FakeStation, moving_picture
from vcam_talker.air.sinks.preview import PICTURE, SOUND
from vcam_talker.config import ControlConfig
from vcam_talker.control.api import create_app
from vcam_talker.control.events import QUEUE_EVENTS, EventHub, Listener
from vcam_talker.control.sockets import MAX_CLIENTS
from vcam_talker.core.types import SAMPLE_RATE, AudioChunk, Pts, VideoFrame

pytestmark = pytest.mark.unit

URL = "http://127.0.0.1:8470"
SOCKETS = "ws://127.0.0.1:8470"


@pytest.fixture
def station() -> FakeStation:
    return FakeStation()


@pytest.fixture
def client(station: FakeStation) -> TestClient:
    return TestClient(create_app(station, ControlConfig(), 8470), base_url=URL)


def ack(socket: Any) -> dict[str, Any]:
    while True:
        message = socket.receive_json()
        if message["event"] == "ack":
            return message


def test_the_status_comes_first(client: TestClient) -> None:
    with client.websocket_connect(f"{SOCKETS}/api/events") as socket:
        message = socket.receive_json()
        assert message["event"] == "status"
        assert message["status"]["persona"]["name"] == "mira"
        assert "voices" not in message["status"]["engine"]
    assert client.get("/api/status").json()["engine"]["voices"]


def test_commands_are_acknowledged_with_their_id(client: TestClient, station: FakeStation) -> None:
    with client.websocket_connect(f"{SOCKETS}/api/events") as socket:
        socket.send_json({"cmd": "say", "id": "a", "text": "hi", "emotion": "sad"})
        assert ack(socket) == {
            "event": "ack", "id": "a", "ok": True, "result": {"turn": 1, "position": 0, "note": ""},
        }  # fmt: skip
        socket.send_json({"cmd": "ask", "id": 2, "text": "who?", "user": "ada"})
        assert ack(socket)["result"]["position"] == 1
        socket.send_json({"cmd": "interrupt", "id": 3, "clear_queue": True})
        assert ack(socket)["result"] == {"ended": 2}
        socket.send_json({"cmd": "persona", "id": 4, "name": "lin"})
        assert ack(socket)["result"]["title"] == "Lin"
        socket.send_json({"cmd": "mute", "id": 5, "muted": True})
        assert ack(socket)["result"] == {"muted": True}
        socket.send_json({"cmd": "pause", "id": 6, "paused": False})
        assert ack(socket)["result"] == {"paused": False}
        socket.send_json({"cmd": "emotion", "id": 7, "emotion": "sad"})
        assert ack(socket)["result"] == {"emotion": "sad"}
        socket.send_json({"cmd": "emotion", "id": 8, "emotion": None})
        assert ack(socket)["result"] == {"emotion": None}
    called = [name for name, _ in station.calls]
    assert called == ["say", "ask", "interrupt", "persona", "mute", "pause", "emotion", "emotion"]


@pytest.mark.parametrize(
    ("raw", "request_id", "code"),
    [
        ("{", None, "malformed_json"),
        ("[" * 60_000, None, "malformed_json"),
        ('{"cmd": "dance", "id": 1}', 1, "bad_request"),
        ('{"id": 1}', 1, "bad_request"),
        ('{"cmd": "say", "id": 1}', 1, "bad_request"),
        ('{"cmd": "say", "id": 1, "text": "x", "volume": 11}', 1, "bad_request"),
        ('{"cmd": "persona", "id": 1, "name": "nobody"}', 1, "unknown_persona"),
        ('{"cmd": "mute", "id": 1}', 1, "bad_request"),
        ('{"cmd": "emotion", "id": 1, "emotion": "hapy"}', 1, "bad_request"),
        ("null", None, "bad_request"),
    ],
)
def test_bad_commands_are_refused_and_the_socket_lives(
    client: TestClient, raw: str, request_id: object, code: str
) -> None:
    with client.websocket_connect(f"{SOCKETS}/api/events") as socket:
        socket.send_text(raw)
        answer = ack(socket)
        assert (answer["id"], answer["ok"], answer["error"]["code"]) == (request_id, False, code)
        socket.send_bytes(b"\x00\x01")
        assert ack(socket)["error"]["code"] == "malformed_json"
        socket.send_json({"cmd": "say", "id": 9, "text": "still here"})
        assert ack(socket)["ok"]


def test_commands_are_rate_limited(station: FakeStation) -> None:
    app = create_app(station, ControlConfig(requests_per_s=1), 8470)
    with TestClient(app, base_url=URL).websocket_connect(f"{SOCKETS}/api/events") as socket:
        for n in range(3):
            socket.send_json({"cmd": "interrupt", "id": n})
        assert [ack(socket)["ok"] for _ in range(3)] == [True, False, False]


def test_events_reach_every_client_and_bring_a_fresh_status(client: TestClient) -> None:
    with (
        client.websocket_connect(f"{SOCKETS}/api/events") as one,
        client.websocket_connect(f"{SOCKETS}/api/events") as two,
    ):
        for socket in (one, two):
            assert socket.receive_json()["event"] == "status"
        one.send_json({"cmd": "say", "id": 1, "text": "hello"})
        for socket in (one, two):
            kinds = []
            while True:
                message = socket.receive_json()
                kinds.append(message["event"])
                if message["event"] == "status" and "turn_queued" in kinds:
                    assert message["status"]["on_air"]["text"] == "hello"
                    break


def test_the_last_client_takes_the_subscription_with_it(client: TestClient, station: FakeStation) -> None:
    with client.websocket_connect(f"{SOCKETS}/api/events") as socket:
        socket.receive_json()
        assert len(station.listeners) == 1
    assert station.listeners == []


@pytest.mark.parametrize("path", ["/api/events", "/api/preview"])
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": "https://evil.example"}, "forbidden_origin"),
        ({"Origin": "null"}, "forbidden_origin"),
        ({"Host": "rebound.example"}, "forbidden_host"),
    ],
)
def test_sockets_are_guarded(client: TestClient, path: str, headers: dict[str, str], code: str) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(SOCKETS + path, headers=headers),
    ):
        pass
    assert refused.value.json()["error"]["code"] == code


def test_a_refused_socket_is_no_error_in_the_log(
    station: FakeStation, caplog: pytest.LogCaptureFixture
) -> None:
    with RunningServer(station, ControlConfig(port=0)) as server:
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws://127.0.0.1:{server.port}/api/events", origin=Origin("https://evil.example"))
        assert refused.value.response.status_code == 403
        assert b"forbidden_origin" in (refused.value.response.body or b"")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_the_token_may_be_in_the_query_of_a_socket(station: FakeStation) -> None:
    client = TestClient(create_app(station, ControlConfig(token="s3cret-token"), 8470), base_url=URL)  # noqa: S106
    for query in ("", "?token=wrong", "?token=" + "x" * 5000):
        with (
            pytest.raises(WebSocketDenialResponse) as refused,
            client.websocket_connect(f"{SOCKETS}/api/events{query}"),
        ):
            pass
        assert refused.value.status_code == 401
    with client.websocket_connect(f"{SOCKETS}/api/events?token=s3cret-token") as socket:
        assert socket.receive_json()["event"] == "status"
    with client.websocket_connect(
        f"{SOCKETS}/api/events", headers={"Authorization": "Bearer s3cret-token"}
    ) as socket:
        assert socket.receive_json()["event"] == "status"


def test_the_number_of_clients_is_bounded(client: TestClient, station: FakeStation) -> None:
    sockets = [client.websocket_connect(f"{SOCKETS}/api/preview") for _ in range(MAX_CLIENTS)]
    for socket in sockets:
        socket.__enter__()
    with (
        client.websocket_connect(f"{SOCKETS}/api/preview") as extra,
        pytest.raises(WebSocketDisconnect) as refused,
    ):
        extra.receive_bytes()
    assert refused.value.code == 1013
    for socket in sockets:
        socket.__exit__(None, None, None)
    assert not station.preview.watched


def test_picture_and_sound_reach_the_viewer(client: TestClient, station: FakeStation) -> None:
    with client.websocket_connect(f"{SOCKETS}/api/preview") as socket:
        socket.send_text("whatever a viewer says is ignored")
        station.preview.write(VideoFrame(Pts(5), moving_picture(0)))
        station.preview.audio.write(AudioChunk(Pts(0), SAMPLE_RATE, np.zeros(960, np.float32)))
        kinds = {socket.receive_bytes()[0], socket.receive_bytes()[0]}
        assert kinds == {PICTURE, SOUND}
    assert not station.preview.watched
    station.preview.close()


async def test_a_client_that_does_not_read_is_bounded_and_stalls_nobody() -> None:
    station = FakeStation()
    hub = EventHub(station)
    slow, quick = hub.join(), hub.join()
    await quick.get()
    for n in range(QUEUE_EVENTS * 4):
        station.emit({"event": "turn_started", "n": n})
        assert json.loads(await quick.get())["n"] == n
    assert slow.dropped == QUEUE_EVENTS * 3 + 1
    assert json.loads(await slow.get())["n"] == QUEUE_EVENTS * 3
    hub.leave(slow)
    hub.leave(quick)
    assert station.listeners == []


async def test_while_somebody_speaks_the_status_comes_more_often() -> None:
    station = FakeStation()
    await station.say("hello")
    assert station.current.on_air is not None
    station.current = replace(station.current, on_air=replace(station.current.on_air, state="speaking"))
    hub = EventHub(station)
    listener: Listener = hub.join()
    await listener.get()
    async with asyncio.timeout(0.9):
        for _ in range(2):
            assert json.loads(await listener.get())["event"] == "status"
    hub.leave(listener)
