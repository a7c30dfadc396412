"""What the doctor says of OBS, chat, cache, secrets and the service."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.doctor import config, own_folders, states
from tests.support.fake_obs import FakeObs
from tests.support.llm_server import LlmServer, hangs
from tests.support.twitch_server import TwitchServer
from vcam_talker.config import Config, override
from vcam_talker.core.secrets import write_secret
from vcam_talker.doctor import Finding, Machine, diagnose, links, service, storage

__all__ = ["own_folders"]

pytestmark = pytest.mark.unit


# OBS


@pytest.fixture
def obs() -> Iterator[FakeObs]:
    with FakeObs(password="right") as server:  # noqa: S106
        server.answers["GetInputList"] = {"inputs": [{"inputName": "vcam_talker captions"}]}
        yield server


def look_at_obs(port: int, connect: str = "on", **changes: object) -> list[Finding]:
    return links.check_obs(config(obs__connect=connect, obs__port=port, **changes), Machine())


def test_obs_lets_us_in(obs: FakeObs) -> None:
    write_secret("obs-password", "right")
    found = look_at_obs(obs.port)
    assert states(found) == ["ok", "ok"]
    assert "30.0.0" in found[0].message
    assert {name for name, _ in obs.requests} == {"GetVersion", "GetInputList"}


def test_obs_without_our_captions(obs: FakeObs) -> None:
    write_secret("obs-password", "right")
    obs.answers["GetInputList"] = {"inputs": [{"inputName": "Webcam"}]}
    found = look_at_obs(obs.port)
    assert states(found) == ["ok", "warn"]
    assert "setup obs" in found[1].remedy
    assert states(look_at_obs(obs.port, obs__captions="")) == ["ok"]


@pytest.mark.parametrize("password", ["wrong", None])
def test_obs_with_another_password(obs: FakeObs, password: str | None) -> None:
    if password:
        write_secret("obs-password", password)
    found = look_at_obs(obs.port)
    assert states(found) == ["fail"]
    assert "password" in found[0].message
    assert "setup secret obs-password" in found[0].remedy


def test_an_obs_that_is_too_old(obs: FakeObs) -> None:
    write_secret("obs-password", "right")
    obs.answers["GetVersion"] = {"obsVersion": "27.0", "availableRequests": []}
    found = look_at_obs(obs.port)
    assert states(found) == ["fail"]
    assert "Update OBS" in found[0].remedy


def test_an_obs_that_stands_still(obs: FakeObs, monkeypatch: pytest.MonkeyPatch) -> None:
    write_secret("obs-password", "right")
    monkeypatch.setattr(links, "_TIMEOUT_S", 0.3)
    obs.hello = None
    found = look_at_obs(obs.port)
    assert states(found) == ["warn"]
    assert "does not answer" in found[0].message
    obs.hello, obs.mute = {"rpcVersion": 1}, True
    assert "does not answer" in look_at_obs(obs.port)[0].message


def test_no_obs(tmp_path: Path) -> None:
    assert states(look_at_obs(9, "off")) == ["ok"]
    assert states(look_at_obs(0, "auto")) == ["ok"]
    found = look_at_obs(9, "on")
    assert states(found) == ["warn"]
    assert found[0].remedy == "Start OBS"
    settings = tmp_path / "config/obs-studio/plugin_config/obs-websocket/config.json"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"server_enabled": true, "server_port": 9, "auth_required": false}')
    found = look_at_obs(0, "auto")
    assert states(found) == ["ok"]
    assert "does not run" in found[0].message


# Chat


async def test_a_chat_that_answers() -> None:
    async with TwitchServer() as server:
        wanted = config(chat__twitch__channel="mira", chat__twitch__url=server.url)
        found = await asyncio.to_thread(links.check_chat, wanted, Machine())
    assert states(found) == ["ok"]
    assert "#mira" in found[0].message


async def test_a_chat_that_does_not() -> None:
    gone = config(chat__twitch__channel="mira", chat__twitch__url="ws://127.0.0.1:9")
    found = links.check_chat(gone, Machine())
    assert states(found) == ["warn"]
    assert "can't be reached" in found[0].message
    async with LlmServer(hangs) as page:
        wanted = override(gone, {"chat.twitch.url": f"ws://127.0.0.1:{page.port}"})
        found = await asyncio.to_thread(links.check_chat, wanted, Machine())
    assert states(found) == ["warn"]
    assert "404" in found[0].message


async def test_a_chat_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_TIMEOUT_S", 0.2)
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    async with server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        wanted = config(chat__twitch__channel="mira", chat__twitch__url=url)
        found = await asyncio.to_thread(links.check_chat, wanted, Machine())
    assert states(found) == ["warn"]
    assert "does not answer" in found[0].message


def test_no_chat_and_a_webhook() -> None:
    assert states(links.check_chat(Config(), Machine())) == ["ok"]
    found = links.check_chat(config(chat__webhook__enabled=True), Machine())
    assert states(found) == ["ok"]
    assert "/api/chat" in found[0].message


# Cache and secrets


def test_the_cache_makes_nothing(tmp_path: Path) -> None:
    found = storage.check_cache(config(cache__folder=str(tmp_path / "not/yet")), Machine())
    assert states(found) == ["ok"]
    assert not (tmp_path / "not").exists()


@pytest.mark.parametrize("change", [{"cache__enabled": False}, {"cache__disk_mb": 0}])
def test_a_cache_that_is_off(change: dict[str, object]) -> None:
    assert states(storage.check_cache(config(**change), Machine())) == ["ok"]


def test_a_cache_that_can_not_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    found = storage.check_cache(config(cache__folder=str(tmp_path / "file")), Machine())
    assert states(found) == ["warn"]
    (tmp_path / "theirs/phrases").mkdir(parents=True)
    wanted = config(cache__folder=str(tmp_path / "theirs"))
    monkeypatch.setattr("os.geteuid", lambda: 4242)
    assert "another user" in storage.check_cache(wanted, Machine())[0].message
    monkeypatch.undo()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1_000_000}))
    found = storage.check_cache(wanted, Machine())
    assert states(found) == ["warn"]
    assert "1 MB free" in found[0].message


def test_secrets_are_named_and_never_shown() -> None:
    assert states(storage.check_secrets(Config(), Machine())) == ["ok"]
    write_secret("obs-password", "hush")
    file = write_secret("openai-api-key", "hush")
    file.chmod(0o644)
    found = storage.check_secrets(Config(), Machine())
    assert states(found) == ["ok", "fail"]
    assert found[0].message == "obs-password"
    assert "chmod 600" in found[1].remedy
    assert "hush" not in repr(found)


# Service


def systemd(tmp_path: Path, answer: str | Exception) -> Machine:
    (tmp_path / "run/systemd/system").mkdir(parents=True, exist_ok=True)

    def run(argv: Sequence[str]) -> str:
        assert argv[:3] == ["systemctl", "--user", "show"]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Machine(tmp_path, run=run)


@pytest.mark.parametrize(
    ("load", "file", "active", "state", "says"),
    [
        ("not-found", "", "inactive", "ok", "setup service"),
        ("loaded", "enabled", "active", "warn", "log out"),
        ("loaded", "enabled", "inactive", "warn", "not running"),
        ("loaded", "enabled", "activating", "warn", "not on air yet"),
        ("loaded", "enabled", "failed", "fail", "failed"),
        ("loaded", "disabled", "active", "warn", "not enabled"),
    ],
)
def test_the_service(tmp_path: Path, load: str, file: str, active: str, state: str, says: str) -> None:
    shown = f"LoadState={load}\nActiveState={active}\nUnitFileState={file}\n"
    found = service.check_service(Config(), systemd(tmp_path, shown))
    assert states(found) == [state]
    assert says in found[0].message


def test_a_service_that_outlives_the_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    (tmp_path / "var/lib/systemd/linger").mkdir(parents=True)
    (tmp_path / "var/lib/systemd/linger/ada").touch()
    shown = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"
    assert states(service.check_service(Config(), systemd(tmp_path, shown))) == ["ok"]


def test_no_systemd_and_one_that_is_out_of_reach(tmp_path: Path) -> None:
    assert states(service.check_service(Config(), Machine(tmp_path))) == ["ok"]
    target = systemd(tmp_path, subprocess.CalledProcessError(1, "systemctl"))
    assert states(service.check_service(Config(), target)) == ["warn"]


# All together


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_check_that_finds_nothing_to_say_says_nothing() -> None:
    threads: list[threading.Thread] = []

    def check_nothing(_config: Config, _machine: Machine) -> list[Finding]:
        return []

    def check_crashing(_config: Config, _machine: Machine) -> list[Finding]:
        threads.append(threading.current_thread())
        raise AssertionError("a fault of ours")

    assert diagnose(Config(), checks=[check_nothing]) == []
    found = diagnose(Config(), checks=[check_nothing, check_crashing])
    threads[0].join(10)
    assert [(f.area, f.state) for f in found] == [("crashing", "warn")]
