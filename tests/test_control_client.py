"""Address file, listening socket, and the command line's client against a real server on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import RunningServer
from tests.support.station import FakeStation
from vcam_talker.config import ControlConfig
from vcam_talker.control.address import Address, publish_address, read_address, remove_address
from vcam_talker.control.client import ControlClient
from vcam_talker.control.listen import bind, is_loopback, url_of
from vcam_talker.control.ratelimit import RateLimiter
from vcam_talker.core.errors import (
    AlreadyRunningError,
    BadInputError,
    ConfigError,
    DeviceError,
    NotRunningError,
    PersonaError,
    QueueFullError,
)

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "vcam-talker"


@pytest.fixture
def station() -> FakeStation:
    return FakeStation()


@pytest.fixture
def client(station: FakeStation) -> Iterator[ControlClient]:
    config = ControlConfig(port=0, token="s3cret-token")  # noqa: S106
    with RunningServer(station, config) as server:
        publish_address(server.url, config.token)
        yield ControlClient.discover()


def test_every_verb(client: ControlClient, station: FakeStation) -> None:
    assert client.say("hello", emotion="happy").turn == 1
    assert client.ask("who are you?", user="ada").position == 1
    assert client.interrupt(clear_queue=True) == 2
    assert client.persona("lin").title == "Lin"
    assert [p.name for p in client.personas()] == ["mira", "lin"]
    assert client.status()["persona"]["name"] == "lin"
    assert client.devices()["cameras"][0]["label"] == "vcam_talker"
    client.mute(muted=True)
    client.pause(paused=True)
    client.emotion("sad")
    show = client.status()["show"]
    assert (show["muted"], show["paused"], show["emotion"]) == (True, True, "sad")
    client.emotion(None)
    assert client.status()["show"]["emotion"] == ""
    assert station.calls[0] == ("say", {"text": "hello", "emotion": "happy", "source": "cli"})


def test_refusals_are_raised_as_what_they_are(client: ControlClient, station: FakeStation) -> None:
    station.raises = QueueFullError("queue", "32 turns wait already", "Try later")
    with pytest.raises(QueueFullError, match=r"32 turns wait already\. Try later"):
        client.say("x")
    with pytest.raises(PersonaError, match="mira, lin"):
        client.persona("nobody")
    with pytest.raises(BadInputError):
        client.say("")
    with pytest.raises(BadInputError, match=r"too long: 2,000 characters.*20,000"):
        client.ask("x" * 1_000_000)
    with pytest.raises(ConfigError, match="token"):
        ControlClient(Address(1, client.url, "wrong")).status()


def test_a_large_body_sent_anyway_gets_its_answer(
    client: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcam_talker.control.client.MAX_BODY_BYTES", 10**9)
    with pytest.raises((BadInputError, NotRunningError)):
        client.ask("x" * 200_000)
    assert client.say("still alive").turn == 1


def test_nobody_home() -> None:
    with pytest.raises(NotRunningError, match="vcam-talker run"):
        ControlClient.discover()
    with bind("127.0.0.1", 0) as sock:
        free = url_of(sock)
    with pytest.raises(NotRunningError, match="nobody answers"):
        ControlClient(Address(1, free)).status()


def test_a_proxy_in_the_environment_is_not_used(
    client: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert client.status()["version"] == "0.1.0"


def test_the_address_file_is_private_and_complete(runtime: Path) -> None:
    path = publish_address("http://127.0.0.1:1234", "s3cret-token")
    assert path == runtime / "daemon.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert runtime.stat().st_mode & 0o777 == 0o700
    assert read_address() == Address(os.getpid(), "http://127.0.0.1:1234", "s3cret-token")
    assert [p.name for p in runtime.iterdir()] == ["daemon.json"]
    remove_address()
    remove_address()
    assert not path.exists()


def test_an_address_left_by_a_dead_daemon_is_stale(runtime: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    publish_address("http://127.0.0.1:1234", pid=child.pid)
    with pytest.raises(NotRunningError, match="did not stop cleanly"):
        read_address()
    remove_address()
    assert (runtime / "daemon.json").exists(), "only its owner removes it"


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"pid": "x", "url": 1, "token": 2}', "x" * 10_000])
def test_a_broken_address_file_means_not_running(runtime: Path, content: str) -> None:
    runtime.mkdir()
    (runtime / "daemon.json").write_text(content)
    with pytest.raises(NotRunningError):
        read_address()


def test_an_address_others_could_have_written_is_not_trusted() -> None:
    path = publish_address("http://127.0.0.1:1234", "s3cret-token")
    path.chmod(0o622)
    with pytest.raises(NotRunningError, match="not this user's"):
        read_address()


def test_a_taken_port_is_named_at_once() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(DeviceError, match=f"control port {port}: is taken by another program"):
            bind("127.0.0.1", port)
        publish_address(url_of(first))
        with pytest.raises(AlreadyRunningError):
            bind("127.0.0.1", port)


def test_addresses_that_are_not_ours() -> None:
    for host in ("203.0.113.9", "no.such.host.invalid", "a" * 300):
        with pytest.raises(ConfigError, match="is no address of this machine"):
            bind(host, 0)


def test_urls() -> None:
    with bind("0.0.0.0", 0) as sock:  # noqa: S104 - for a moment, nothing is served
        assert url_of(sock) == f"http://127.0.0.1:{sock.getsockname()[1]}"
    assert [is_loopback(h) for h in ("localhost", "127.9.9.9", "::1", "0.0.0.0", "", "host")] == [  # noqa: S104
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_connections_made_before_the_server_starts_are_answered(station: FakeStation) -> None:
    sock = bind("127.0.0.1", 0)
    answers: list[str] = []
    caller = threading.Thread(
        target=lambda: answers.append(ControlClient(Address(1, url_of(sock))).status()["version"])
    )
    caller.start()
    with RunningServer(station, ControlConfig(), sock=sock):
        caller.join(10)
    assert answers == ["0.1.0"]


def test_the_server_stops_with_clients_connected(station: FakeStation) -> None:
    with RunningServer(station, ControlConfig(port=0)) as server:
        client = socket.create_connection(("127.0.0.1", server.port))
        client.sendall(b"GET /api/status HTTP/1.1\r\n")
    client.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port))


async def test_a_preview_viewer_that_reads_nothing_delays_no_other_call(station: FakeStation) -> None:
    from websockets.asyncio.client import connect

    from tests.support.station import LiveFeed

    with RunningServer(station, ControlConfig(port=0)) as server, LiveFeed(station.preview):
        url = server.url.replace("http", "ws") + "/api/preview"
        async with connect(url, max_queue=1, close_timeout=0.1), connect(url) as reader:
            async with asyncio.timeout(10):
                for _ in range(100):
                    await reader.recv()
            client = ControlClient(Address(1, server.url))
            assert (await asyncio.to_thread(client.say, "hello")).turn == 1


async def test_a_message_of_1_mb_ends_that_socket_only(station: FakeStation) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    with RunningServer(station, ControlConfig(port=0)) as server:
        async with connect(server.url.replace("http", "ws") + "/api/events") as socket:
            await socket.send("x" * 1_000_000)
            await socket.recv()  # the status, sent before
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        assert ControlClient(Address(1, server.url)).status()["version"] == "0.1.0"
    assert station.calls == []


def test_the_client_imports_nothing_heavy() -> None:
    code = "import sys, vcam_talker.control.client; print({'fastapi', 'pydantic', 'av'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_rate_limiter_refills_and_forgets() -> None:
    now_s = 0.0
    limiter = RateLimiter(2.0, lambda: now_s)
    assert [limiter.wait_s("a") for _ in range(5)] == [0, 0, 0, 0, 1]
    assert limiter.wait_s("b") == 0
    now_s = 0.5
    assert [limiter.wait_s("a") for _ in range(2)] == [0, 1]
    for n in range(10_000):
        limiter.wait_s(str(n))
    assert len(limiter._buckets) <= 4096


def test_the_address_is_json_for_other_programs(runtime: Path) -> None:
    publish_address("http://127.0.0.1:1", "t", pid=os.getpid())
    assert json.loads((runtime / "daemon.json").read_text()) == {
        "pid": os.getpid(), "url": "http://127.0.0.1:1", "token": "t",
    }  # fmt: skip
