"""What tests of the link to OBS share: a server, a link to it, and short pauses."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_obs import FakeObs
from tests.support.station import FakeStation
from vcam_talker.config import ObsConfig
from vcam_talker.control.obs import connection as connection_module
from vcam_talker.control.obs import owner as owner_module
from vcam_talker.control.obs.link import ObsLink
from vcam_talker.control.obs.settings import ServerFinder

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
