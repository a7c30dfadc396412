"""The link against a server that refuses, hangs, dies and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from pathlib import Path

import pytest

from tests.support.fake_obs import FakeObs
from tests.support.obs_link import SHORT_S, home, linked, obs, quick, until
from tests.support.station import FakeStation
from vcam_talker.config import ObsConfig
from vcam_talker.control.obs import connection as connection_module
from vcam_talker.control.obs import owner as owner_module
from vcam_talker.control.obs.connection import ObsConnection
from vcam_talker.control.obs.link import ObsLink
from vcam_talker.control.obs.settings import Server, ServerFinder
from vcam_talker.core.errors import SourceError
from vcam_talker.core.secrets import write_secret

__all__ = ["home", "obs", "quick"]

pytestmark = pytest.mark.unit

PASSWORD = "correct horse"  # noqa: S105


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
        obs.close_at["GetStats"] = 4011
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
