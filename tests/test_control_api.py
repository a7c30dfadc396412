"""Each endpoint of the HTTP API, and each way it refuses."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import vcam_talker
from tests.support.station import FakeStation, status
from vcam_talker.config import ControlConfig
from vcam_talker.control.api import create_app
from vcam_talker.control.events import EVENTS
from vcam_talker.control.health import judge
from vcam_talker.core.errors import (
    BadInputError,
    ConfigError,
    EngineError,
    PersonaError,
    QueueFullError,
    VcamTalkerError,
)
from vcam_talker.core.status import EngineView, LipsView, SinkView

pytestmark = pytest.mark.unit

URL = "http://127.0.0.1:8470"


@pytest.fixture
def station() -> FakeStation:
    return FakeStation()


@pytest.fixture
def client(station: FakeStation) -> TestClient:
    return TestClient(create_app(station, ControlConfig(), 8470), base_url=URL)


def client_with(station: FakeStation, **settings: Any) -> TestClient:
    return TestClient(create_app(station, ControlConfig(**settings), 8470), base_url=URL)


def error_of(response: Any, status_code: int) -> dict[str, str]:
    assert response.status_code == status_code, response.text
    error = response.json()["error"]
    assert set(error) == {"what", "why", "remedy", "code"}
    return error


def test_say_queues_the_text(client: TestClient, station: FakeStation) -> None:
    response = client.post("/api/say", json={"text": "Hello 你好 👋", "emotion": "happy"})
    assert response.status_code == 202
    assert response.json() == {"turn": 1, "position": 0, "note": ""}
    assert station.calls == [("say", {"text": "Hello 你好 👋", "emotion": "happy", "source": "api"})]


def test_ask_queues_the_line(client: TestClient, station: FakeStation) -> None:
    client.post("/api/ask", json={"text": "first"})
    response = client.post("/api/ask", json={"text": "who?", "user": "ada", "source": "cli"})
    assert response.json() == {"turn": 2, "position": 1, "note": ""}
    assert station.calls[-1] == ("ask", {"text": "who?", "user": "ada", "source": "cli"})


def test_interrupt_with_and_without_a_body(client: TestClient, station: FakeStation) -> None:
    client.post("/api/say", json={"text": "one"})
    client.post("/api/say", json={"text": "two"})
    assert client.post("/api/interrupt", json={"clear_queue": True}).json() == {"ended": 2}
    headers = {"Content-Type": "application/json"}
    assert client.post("/api/interrupt", headers=headers).json() == {"ended": 0}
    assert station.calls[-1] == ("interrupt", {"clear_queue": False})
    del station.calls[:]
    assert client.post("/api/interrupt").json() == {"ended": 0}
    assert station.calls == [("interrupt", {"clear_queue": False})]


@pytest.mark.parametrize(
    ("name", "body", "told", "shows"),
    [
        ("mute", {"muted": True}, {"muted": True}, {"muted": True}),
        ("mute", {"muted": False}, {"muted": False}, {"muted": False}),
        ("pause", {"paused": True}, {"paused": True}, {"paused": True}),
        ("emotion", {"emotion": "happy"}, {"emotion": "happy"}, {"emotion": "happy"}),
        ("emotion", {"emotion": None}, {"emotion": None}, {"emotion": ""}),
    ],
)
def test_the_show_is_steered(
    client: TestClient, station: FakeStation, name: str, body: Any, told: Any, shows: Any
) -> None:
    for _ in range(2):  # the second time changes nothing
        response = client.post(f"/api/{name}", json=body)
        assert (response.status_code, response.json()) == (200, body)
    assert station.calls == [(name, told)] * 2
    show = client.get("/api/status").json()["show"]
    assert {key: show[key] for key in shows} == shows


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("mute", {}),
        ("mute", {"muted": "yes"}),
        ("mute", {"muted": 1}),
        ("pause", {"paused": None}),
        ("pause", {"muted": True}),
        ("emotion", {}),
        ("emotion", {"emotion": "hapy"}),
        ("emotion", {"emotion": ""}),
    ],
)
def test_the_show_is_not_steered_by_accident(
    client: TestClient, station: FakeStation, name: str, body: Any
) -> None:
    assert error_of(client.post(f"/api/{name}", json=body), 422)["code"] == "bad_request"
    assert station.calls == []


def test_a_viewers_line_goes_to_the_chat_and_is_guarded_like_all(
    client: TestClient, station: FakeStation
) -> None:
    response = client.post("/api/chat", json={"user": "ada", "text": "hello"})
    assert (response.status_code, response.json()) == (202, {"accepted": 1, "dropped": 0})
    assert [name for name, _ in station.calls] == ["chat"]
    error_of(client.post("/api/chat", json={"text": "x"}, headers={"Host": "evil.example"}), 403)


def test_persona_changes(client: TestClient) -> None:
    assert client.post("/api/persona", json={"name": "lin"}).json()["title"] == "Lin"
    assert client.get("/api/status").json()["persona"]["name"] == "lin"


def test_personas_status_and_devices(client: TestClient) -> None:
    assert [p["name"] for p in client.get("/api/personas").json()] == ["mira", "lin"]
    found = client.get("/api/status").json()
    assert found["pacing"]["fps"] == 30
    assert found["sinks"][1]["latency_ms"] == 31.0
    assert client.get("/api/devices").json()["cameras"][0]["id"] == "/dev/video10"


def test_health_is_ok_while_frames_leave(client: TestClient) -> None:
    response = client.get("/api/health")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "problems": []}


def test_health_fails_when_a_device_is_lost(client: TestClient, station: FakeStation) -> None:
    station.current = status(sinks=(SinkView("camera", "/dev/video10", "lost"),))
    response = client.get("/api/health")
    assert response.status_code == 503
    assert response.json()["problems"] == ["camera /dev/video10 is lost"]


def test_health_tells_standing_still_from_degraded() -> None:
    still = status()
    assert judge(still, still).problems == ["no frames leave", "the media clock stands still"]
    moved = status(
        pacing=type(still.pacing)(30, 400, 0, 0, 0, 0, 0, 0, "idle"),
        media_clock_s=13.0,
        engine=EngineView("restarting", None, 1),
    )
    assert judge(still, moved).status == "degraded"
    shapes = replace(moved, engine=still.engine, lips=LipsView("restarting"))
    assert judge(still, shapes).problems == ["the lips' network is restarting"]


@pytest.mark.parametrize(
    ("raised", "status_code", "code"),
    [
        (BadInputError("text", "is empty", "Type something"), 422, "bad_input"),
        (QueueFullError("queue", "32 turns wait already", "Try later"), 503, "queue_full"),
        (EngineError("voice", "died"), 503, "engine"),
        (VcamTalkerError("x", "y"), 500, "internal"),
    ],
)
def test_errors_of_the_station_become_answers(
    client: TestClient, station: FakeStation, raised: Exception, status_code: int, code: str
) -> None:
    station.raises = raised
    response = client.post("/api/say", json={"text": "x"})
    error = error_of(response, status_code)
    assert (error["what"], error["why"], error["remedy"]) == raised.args
    assert error["code"] == code
    assert ("retry-after" in response.headers) == (code == "queue_full")


def test_unknown_and_unusable_personas_differ(client: TestClient, station: FakeStation) -> None:
    assert error_of(client.post("/api/persona", json={"name": "nobody"}), 404)["code"] == "unknown_persona"
    station.raises = PersonaError("persona 'lin'", "lacks the file rig.toml", "Put it there")
    assert error_of(client.post("/api/persona", json={"name": "lin"}), 422)["code"] == "unusable_persona"


def test_a_path_is_no_persona_name(client: TestClient, station: FakeStation) -> None:
    for name in ("../../etc", "/etc", "a\\b"):
        error_of(client.post("/api/persona", json={"name": name}), 422)
    assert station.calls == []


@pytest.mark.parametrize(
    ("body", "status_code", "code"),
    [
        (b'{"text": "x"', 400, "malformed_json"),
        (b"", 422, "bad_request"),
        (b"[1, 2]", 422, "bad_request"),
        (b'{"text": 5}', 422, "bad_request"),
        (b'{"text": ""}', 422, "bad_request"),
        (b'{"txt": "x"}', 422, "bad_request"),
        (b'{"text": "x", "volume": 11}', 422, "bad_request"),
        (b'{"text": "x", "emotion": "<script>"}', 422, "bad_request"),
        (b'{"text": "\\ud800"}', 422, "bad_request"),
        (b'{"text": "\xff\xfe"}', 400, "malformed_json"),
        (b"[" * 60_000, 400, "malformed_json"),
    ],
)
def test_malformed_requests(
    client: TestClient, station: FakeStation, body: bytes, status_code: int, code: str
) -> None:
    response = client.post("/api/say", content=body, headers={"Content-Type": "application/json"})
    assert error_of(response, status_code)["code"] == code
    assert station.calls == []


def test_the_field_is_named(client: TestClient) -> None:
    error = error_of(client.post("/api/say", json={"text": "x", "volume": 11}), 422)
    assert error["what"] == "field 'volume'"


def test_an_empty_text_reads_as_the_command_line_prints_it(client: TestClient) -> None:
    error = error_of(client.post("/api/say", json={"text": ""}), 422)
    assert (error["what"], error["why"]) == ("text", "is empty")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_only_json_is_taken(client: TestClient, station: FakeStation, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    response = client.post("/api/say", content=b'{"text": "x"}', headers=headers)
    assert error_of(response, 415)["code"] == "not_json"
    assert station.calls == []


def test_a_line_of_1_mb_is_refused_unread(client: TestClient, station: FakeStation) -> None:
    response = client.post("/api/ask", json={"text": "x" * 1_000_000})
    assert error_of(response, 413)["code"] == "too_large"
    assert station.calls == []


async def test_a_body_without_end_is_read_no_further_than_the_limit(station: FakeStation) -> None:
    app = create_app(station, ControlConfig(), 8470)
    received = 0
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        nonlocal received
        received += 8192
        return {"type": "http.request", "body": b"x" * 8192, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/api/ask", "headers": headers, "query_string": b""}
    await app(scope, receive, send)
    assert sent[0]["status"] == 413
    assert received <= 64 * 1024 + 8192


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8470", "localhost.evil.example", "10.0.0.7", "127.0.0.1@evil", ""]
)
def test_foreign_host_names_are_refused(client: TestClient, host: str) -> None:
    for path in ("/", "/api/status"):
        assert error_of(client.get(path, headers={"Host": host}), 403)["code"] == "forbidden_host"


@pytest.mark.parametrize("host", ["localhost:8470", "127.0.0.1", "[::1]:9000", "LOCALHOST", "localhost."])
def test_loopback_names_are_ours_through_any_tunnel(client: TestClient, host: str) -> None:
    assert client.get("/api/status", headers={"Host": host}).status_code == 200


def test_allowed_hosts(station: FakeStation) -> None:
    client = client_with(station, allowed_hosts=("talk.example",))
    assert client.get("/api/status", headers={"Host": "Talk.example"}).status_code == 200
    assert client.get("/api/status", headers={"Host": "other.example"}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "https://127.0.0.1"},
        {"Origin": "file://127.0.0.1:8470"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_command_nothing(
    client: TestClient, station: FakeStation, headers: dict[str, str]
) -> None:
    response = client.post("/api/say", json={"text": "x"}, headers=headers)
    assert error_of(response, 403)["code"] == "forbidden_origin"
    assert station.calls == []


def test_our_own_page_may(client: TestClient) -> None:
    headers = {"Origin": URL, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/say", json={"text": "x"}, headers=headers).status_code == 202


def test_a_token_is_required_where_others_can_reach(station: FakeStation) -> None:
    for host in ("0.0.0.0", "192.168.1.5", "::"):  # noqa: S104 - refused
        with pytest.raises(ConfigError, match=r"control\.token"):
            create_app(station, ControlConfig(host=host), 8470)


def test_the_token_guards_the_api_and_not_the_page(station: FakeStation) -> None:
    client = client_with(station, host="0.0.0.0", token="s3cret-token")  # noqa: S104, S106
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret-token"}):
        response = client.get("/api/status", headers=headers)
        assert error_of(response, 401)["code"] == "unauthorized"
        assert response.headers["www-authenticate"] == "Bearer"
    assert client.get("/api/openapi.json").status_code == 401
    assert client.get("/api/status?token=s3cret-token").status_code == 401
    authorized = {"Authorization": "Bearer s3cret-token"}
    assert client.get("/api/status", headers={**authorized, "Host": "192.168.1.5:8470"}).status_code == 200
    assert client.get("/api/status", headers={**authorized, "Host": "rebound.example"}).status_code == 403
    for path in ("/?token=s3cret-token", "/api.js", "/style.css", "/docs"):
        assert client.get(path).status_code == 200, path


def test_guessing_tokens_is_slowed_down(station: FakeStation) -> None:
    client = client_with(station, token="s3cret-token", requests_per_s=1)  # noqa: S106
    codes = [client.get("/api/status").status_code for _ in range(4)]
    assert codes == [401, 401, 429, 429]


def test_too_many_requests_are_told_when_to_come_back(station: FakeStation) -> None:
    client = client_with(station, requests_per_s=0.5)
    assert client.post("/api/say", json={"text": "x"}).status_code == 202
    response = client.post("/api/say", json={"text": "x"})
    assert error_of(response, 429)["code"] == "rate_limited"
    assert response.headers["retry-after"] in {"1", "2"}
    assert client.get("/api/status").status_code == 200


def test_unknown_paths_and_methods(client: TestClient) -> None:
    assert error_of(client.get("/api/nothing"), 404)["code"] == "not_found"
    assert error_of(client.get("/..%2f..%2fetc%2fpasswd"), 404)["code"] == "not_found"
    assert error_of(client.get("/api/say"), 405)["code"] == "wrong_method"
    assert error_of(client.put("/api/say", json={}), 405)["code"] == "wrong_method"
    assert error_of(client.delete("/api/say"), 405)["code"] == "wrong_method"


def test_headers_are_strict_everywhere(client: TestClient) -> None:
    for path in ("/", "/api/status", "/api/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
    assert client.get("/api/status").headers["cache-control"] == "no-store"


def test_the_page_is_served_and_revalidated(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    again = client.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/app.js").headers["content-type"].startswith("text/javascript")


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    for name in ("", "app.js", "style.css", "docs", "docs.js"):
        text = client.get(f"/{name}").text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in text, name
        assert "http://" not in text, name


def test_the_openapi_document_is_complete(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    assert set(document["paths"]) == {
        "/api/say", "/api/ask", "/api/interrupt", "/api/persona", "/api/personas",
        "/api/status", "/api/devices", "/api/health", "/api/mute", "/api/pause", "/api/emotion",
        "/api/chat",
    }  # fmt: skip
    say = document["paths"]["/api/say"]["post"]
    assert set(say["responses"]) == {"202", "400", "401", "403", "413", "415", "422", "429", "503"}
    assert "ErrorBody" in str(say["responses"]["422"])
    schemas = document["components"]["schemas"]
    assert schemas["SayRequest"]["examples"]
    assert "HTTPValidationError" not in schemas
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation.get("description"), path
    for name, what in EVENTS.items():
        assert f"- `{name}`: {what}" in document["info"]["description"]
        schema = what.partition(".")[0]
        assert schema in schemas or not schema.isidentifier(), name


def test_every_event_that_the_daemon_tells_is_described() -> None:
    package = Path(vcam_talker.__file__).parent
    sources = [*(package / "app").glob("*.py"), package / "show/director.py"]
    told: set[str] = set()
    for source in sources:
        told |= set(re.findall(r'_emit\((?:\{"event": )?"(\w+)"', source.read_text(encoding="utf-8")))
    assert "sentence_heard" in told
    assert "muted" in told
    assert told == set(EVENTS)


def test_a_misspelt_field_is_named(client: TestClient) -> None:
    error = error_of(client.post("/api/say", json={"txt": "hello"}), 422)
    assert (error["what"], error["why"]) == ("field 'txt'", "is unknown here")
