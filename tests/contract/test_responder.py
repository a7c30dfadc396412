"""Every responder in the registry keeps the promises of `Responder`."""

from typing import Any

import pytest

from vcam_talker import registry
from vcam_talker.core.stages import Responder
from vcam_talker.persona import load_persona

pytestmark = pytest.mark.contract

HOSTILE = (
    "",
    " ",
    "\x00",
    "{user}{title}%s",
    "[happy]",
    "x" * 100_000,
    "😀" * 1000,
    "\ud800",
    "你好" * 5000,
    "' OR 1=1",
)


@pytest.fixture(params=tuple(registry.ENGINES["responder"]))
def responder(request: pytest.FixtureRequest) -> Any:
    return registry.find("responder", request.param)(load_persona("mira"), seed=1)


async def test_answers_in_deltas_of_text(responder: Responder) -> None:
    deltas = [delta async for delta in responder.respond("hello", user="Ann")]
    assert deltas
    assert all(isinstance(delta, str) and delta for delta in deltas)


@pytest.mark.parametrize("text", HOSTILE)
async def test_any_text_and_any_name_is_survived(responder: Responder, text: str) -> None:
    deltas = [delta async for delta in responder.respond(text, user=text)]
    assert all(isinstance(delta, str) for delta in deltas)


async def test_closing_early_is_quiet(responder: Responder) -> None:
    answer = responder.respond("hello")
    async for _ in answer:
        break
    await answer.aclose()  # type: ignore[attr-defined]
    assert [delta async for delta in responder.respond("hello")], "the next answer is fine"


async def test_a_greeting_is_text(responder: Any) -> None:
    assert isinstance(responder.greeting(), str)
