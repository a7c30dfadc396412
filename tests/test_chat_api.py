"""POST /api/chat and its WebSocket: one line or a list, refusals, budgets, the guard before them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from tests.support.station import FakeStation
from vcam_talker.config import ControlConfig
from vcam_talker.control.api import create_app
from vcam_talker.control.chat import LINES_PER_S, MAX_LINES, ChatIntake, ChatLineRequest
from vcam_talker.core.errors import BadInputError, SourceError
from vcam_talker.core.types import ChatLine

pytestmark = pytest.mark.unit

URL = "http://127.0.0.1:8470"
SOCKET = "ws://127.0.0.1:8470/api/chat"
TOKEN = "a-long-enough-token-for-a-test-0"  # noqa: S105


@pytest.fixture
def station() -> FakeStation:
    return FakeStation()


@pytest.fixture
def client(station: FakeStation) -> TestClient:
    return TestClient(create_app(station, ControlConfig(requests_per_s=1000), 8470), base_url=URL)


def told(station: FakeStation) -> list[ChatLine]:
    return [line for name, arguments in station.calls if name == "chat" for line in arguments["lines"]]


def lines(count: int) -> list[dict[str, Any]]:
    return [{"user": "ada", "text": f"line {n}"} for n in range(count)]


def test_one_line(client: TestClient, station: FakeStation) -> None:
    body = {"user": "ada", "text": "hi?", "room": "bilibili", "id": "1", "user_id": "7"}
    answer = client.post("/api/chat", json=body)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "dropped": 0})
    assert told(station) == [ChatLine("ada", "hi?", "bilibili", "1", "7")]


def test_a_viewer_has_no_role_that_a_bridge_could_claim(client: TestClient, station: FakeStation) -> None:
    assert client.post("/api/chat", json={"text": "hi", "role": "owner"}).status_code == 422
    client.post("/api/chat", json={"text": "hi"})
    assert told(station)[0].role == "viewer"


def test_a_list(client: TestClient, station: FakeStation) -> None:
    answer = client.post("/api/chat", json=lines(MAX_LINES))
    assert answer.json() == {"accepted": MAX_LINES, "dropped": 0}
    assert len(told(station)) == MAX_LINES
    assert len(station.calls) == 1


def test_a_hundred_kilobytes_are_refused_and_twenty_are_not(client: TestClient, station: FakeStation) -> None:
    assert client.post("/api/chat", json={"text": "x" * 100_000}).status_code in {413, 422}
    assert client.post("/api/chat", json={"text": "x" * 20_000}).status_code == 202
    assert len(told(station)) == 1


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        "3",
        '"text"',
        "[" * 5000,
        json.dumps(lines(MAX_LINES + 1)),
        '[{"text": 1}]',
        '{"text": ""}',
        '{"text": "x", "user": "' + "u" * 101 + '"}',
        '{"text": "x", "volume": 11}',
        "[[]]",
        '[{"text": "fine"}, null]',
        '{"text": "\\ud800"}',
        '{"text": "x", "id": {"$gt": ""}}',
        "\x00",
    ],
)
def test_hostile_bodies_are_refused_in_one_line(client: TestClient, station: FakeStation, body: str) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/api/chat", content=body.encode(), headers=headers)
    assert answer.status_code in {400, 422}
    error = answer.json()["error"]
    assert error["why"]
    assert "\n" not in error["why"]
    assert len(answer.content) < 1500
    with client.websocket_connect(SOCKET) as socket:
        socket.send_text(body)
        refused = socket.receive_json()
        assert (refused["event"], bool(refused["error"]["why"])) == ("refused", True)
        assert len(json.dumps(refused)) < 1500
        socket.send_json({"text": "still open"})
        station.wait_for_call("chat")
    assert [line.text for line in told(station)] == ["still open"]


def test_over_budget_lines_are_counted_as_dropped(client: TestClient, station: FakeStation) -> None:
    answers = [client.post("/api/chat", json=lines(MAX_LINES)).json() for _ in range(6)]
    accepted = sum(a["accepted"] for a in answers)
    dropped = sum(a["dropped"] for a in answers)
    assert accepted + dropped == 6 * MAX_LINES
    assert dropped > 0
    assert accepted == len(told(station))


def test_the_budget_is_a_rate() -> None:
    now_s = 100.0
    intake = ChatIntake(FakeStation(), lambda: now_s)
    assert intake.allow(1000) == 2 * LINES_PER_S
    assert intake.allow(1) == 0
    now_s += 0.1
    assert intake.allow(1000) == pytest.approx(0.1 * LINES_PER_S, abs=1)
    now_s += 3600
    assert intake.allow(100_000) == 2 * LINES_PER_S


async def test_lines_of_bridges_go_on_in_batches_in_order() -> None:
    station = FakeStation()
    intake = ChatIntake(station)
    for n in range(300):
        intake.put([ChatLineRequest(user="ada", text=f"line {n}")])
    assert station.calls == []
    await intake.drained()
    assert [line.text for line in told(station)] == [f"line {n}" for n in range(300)]
    assert [len(arguments["lines"]) for _, arguments in station.calls] == [200, 100]


async def test_while_the_senses_are_slow_no_lines_pile_up() -> None:
    class Slow(FakeStation):
        async def chat(self, lines: Sequence[ChatLine]) -> int:
            self.calls.append(("refused", {"lines": lines}))
            raise SourceError("the chat", "is not there at the moment")

    station = Slow()
    intake = ChatIntake(station)
    intake.put([ChatLineRequest(user="ada", text="lost")])
    await intake.drained()
    intake.put([ChatLineRequest(user="ada", text="lost too")])
    await intake.drained()
    assert [len(arguments["lines"]) for _, arguments in station.calls] == [1, 1]


def test_a_bridge_that_floods_is_cut_back_and_told(client: TestClient, station: FakeStation) -> None:
    with client.websocket_connect(SOCKET) as socket:
        for n in range(1000):
            socket.send_json({"user": "ada", "text": f"line {n}"})
        told_of = socket.receive_json()
    assert told_of["event"] == "dropped"
    assert told_of["messages"] > 0
    assert 2 * LINES_PER_S <= len(told(station)) < 1000


def test_many_lines_in_one_message(client: TestClient, station: FakeStation) -> None:
    with client.websocket_connect(SOCKET) as socket:
        socket.send_json(lines(150))
        station.wait_for_call("chat")
    assert len(told(station)) == 150


def test_bytes_on_the_socket_are_refused(client: TestClient) -> None:
    with client.websocket_connect(SOCKET) as socket:
        socket.send_bytes(b"\xff\x00")
        assert socket.receive_json()["event"] == "refused"


def test_a_ninth_bridge_is_sent_away_and_a_place_comes_free(client: TestClient) -> None:
    sockets = [client.websocket_connect(SOCKET) for _ in range(8)]
    for socket in sockets:
        socket.__enter__()
    with client.websocket_connect(SOCKET) as ninth, pytest.raises(WebSocketDisconnect) as closed:
        ninth.receive_json()
    assert closed.value.code == 1013
    sockets.pop().__exit__(None, None, None)
    with client.websocket_connect(SOCKET) as again:
        again.send_text("[]")
        assert again.receive_json()["event"] == "refused"
    for socket in sockets:
        socket.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadInputError("the chat's webhook", "is off", "Set chat.webhook.enabled = true"), 422),
        (SourceError("the chat", "is not there at the moment", "Send it again in a second"), 503),
    ],
)
def test_the_chat_is_off_or_away(
    client: TestClient, station: FakeStation, error: Exception, status: int
) -> None:
    station.raises = error
    answer = client.post("/api/chat", json={"text": "hi"})
    assert answer.status_code == status
    assert answer.json()["error"]["remedy"]
    assert client.post("/api/chat", json={"text": "hi"}).status_code == 202


def test_another_sites_page_is_refused(client: TestClient, station: FakeStation) -> None:
    foreign = {"origin": "http://evil.example"}
    assert client.post("/api/chat", json={"text": "hi"}, headers=foreign).status_code == 403
    with pytest.raises(WebSocketDenialResponse), client.websocket_connect(SOCKET, headers=foreign):
        pass
    rebound = TestClient(create_app(station, ControlConfig(), 8470), base_url="http://evil.example:8470")
    assert rebound.post("/api/chat", json={"text": "hi"}).status_code in {403, 421}
    assert told(station) == []


def test_a_token_is_asked_for(station: FakeStation) -> None:
    guarded = TestClient(create_app(station, ControlConfig(token=TOKEN), 8470), base_url=URL)
    assert guarded.post("/api/chat", json={"text": "hi"}).status_code == 401
    with pytest.raises(WebSocketDenialResponse), guarded.websocket_connect(SOCKET):
        pass
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert guarded.post("/api/chat", json={"text": "hi"}, headers=headers).status_code == 202
    with guarded.websocket_connect(f"{SOCKET}?token={TOKEN}") as socket:
        socket.send_text("[]")
        assert socket.receive_json()["event"] == "refused"
