"""What tests of the brain behind a server share: its settings, its key, and patience."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.llm_server import LlmServer
from vcam_talker.config import BrainConfig, OpenAIConfig
from vcam_talker.core.types import Question
from vcam_talker.llm.openai import OpenAIResponder
from vcam_talker.persona import load_persona

MIRA = load_persona("mira")
KEY = "sk-test-0123456789"
BOUND_S = 15.0
"""Far above what any answer here may take, far below a hang."""


@pytest.fixture(autouse=True)
def config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep this machine's own secrets and proxies out of it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    return tmp_path


def with_key(home: Path) -> None:
    directory = home / "vcam-talker" / "secrets"
    directory.mkdir(parents=True, mode=0o700)
    (directory / "openai-api-key").write_text(KEY + "\n")
    (directory / "openai-api-key").chmod(0o600)


def config(url: str, **changes: Any) -> BrainConfig:
    brain = {k: changes.pop(k) for k in tuple(changes) if k in BrainConfig.model_fields}
    fields = {"url": url, "connect_timeout_s": 1.0, "retries": 0, **changes}
    timeouts = {"first_token_timeout_s": 0.5, "token_timeout_s": 0.5, "answer_timeout_s": 3}
    return BrainConfig(**{"engines": ("openai",), **timeouts, **brain}, openai=OpenAIConfig(**fields))


def client(server: LlmServer, **changes: Any) -> OpenAIResponder:
    return OpenAIResponder(MIRA, config(server.url, **changes))


async def deltas(responder: OpenAIResponder, text: str = "hi", user: str = "Ann") -> list[str]:
    try:
        return [d async for d in responder.respond(Question(text, user))]
    finally:
        await responder.close()


async def said(responder: OpenAIResponder, **question: str) -> str:
    return "".join(await deltas(responder, **question))


async def until(condition: Any, what: str) -> None:
    async with asyncio.timeout(BOUND_S):
        while not condition():  # noqa: ASYNC110 - a server's counters tell no event
            await asyncio.sleep(0.005)
    assert condition(), what
