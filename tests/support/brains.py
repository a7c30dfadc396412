"""Brains that do what a test tells them, and a ladder of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from tests.support.virtual_time import LoopClock, run_virtual
from vcam_talker.config import BrainConfig
from vcam_talker.core.errors import DeclinedError, EngineError
from vcam_talker.core.stages import Responder
from vcam_talker.core.types import Question
from vcam_talker.llm.ladder import Ladder
from vcam_talker.persona import LineSection, Persona, VoiceSection

PERSONA = Persona(
    title="Mira",
    fallback=("No idea.",),
    fallback_by_language={"cmn": ("不知道。",)},
    voice=VoiceSection(engine="flite", name="slt"),
    lines=(LineSection(match=("hello",), say=("Hi, {user}!",)),),
)
Answer = Callable[[Question], AsyncGenerator[str, None]]


class Brain:
    """A responder that does what the test tells it, and remembers what was done to it."""

    def __init__(self, answer: Answer, warm: Callable[[], Awaitable[None]] | None = None) -> None:
        self.name = "test"
        self._answer = answer
        self._warm = warm
        self.asked = 0
        self.closed_answers = 0
        self.closed = 0

    async def respond(self, question: Question) -> AsyncIterator[str]:
        self.asked += 1
        try:
            async for delta in self._answer(question):
                yield delta
        finally:
            self.closed_answers += 1

    async def warm_up(self) -> None:
        if self._warm:
            await self._warm()

    async def close(self) -> None:
        self.closed += 1


async def quick(_question: Question) -> AsyncGenerator[str, None]:
    for delta in ("Hel", "lo there. ", "How are you?"):
        yield delta


async def declines(_question: Question) -> AsyncGenerator[str, None]:
    raise DeclinedError("test", "not mine")
    yield ""


async def fails(_question: Question) -> AsyncGenerator[str, None]:
    raise EngineError("test", "is broken")
    yield ""


async def bug(_question: Question) -> AsyncGenerator[str, None]:
    raise KeyError("oops")
    yield ""


async def silent(_question: Question) -> AsyncGenerator[str, None]:
    return
    yield ""


async def hangs(_question: Question) -> AsyncGenerator[str, None]:
    await asyncio.sleep(1e6)
    yield "never"


async def stubborn(_question: Question) -> AsyncGenerator[str, None]:
    while True:
        try:
            await asyncio.sleep(1e6)
        except asyncio.CancelledError:
            await asyncio.sleep(3600)
            return
    yield "never"


async def cancels_itself(_question: Question) -> AsyncGenerator[str, None]:
    raise asyncio.CancelledError
    yield ""


async def endless(_question: Question) -> AsyncGenerator[str, None]:
    while True:
        yield "On and on it goes. "
        await asyncio.sleep(0)


async def rambles(_question: Question) -> AsyncGenerator[str, None]:
    while True:
        yield "and "
        await asyncio.sleep(0)


async def drips(_question: Question) -> AsyncGenerator[str, None]:
    while True:
        yield "One more. "
        await asyncio.sleep(5)


def stops(*deltas: str, after: Answer = hangs) -> Answer:
    """Return a brain that says `deltas`, and then does what `after` does."""

    async def answer(question: Question) -> AsyncGenerator[str, None]:
        for delta in deltas:
            yield delta
        async for delta in after(question):
            yield delta

    return answer


def make_ladder(*brains: Brain | Exception, clock: Any = None, **config: Any) -> Ladder:
    names = ("openai", "transformers", "echo", "script")[: len(brains)]
    made = dict(zip(names, brains, strict=True))

    def make(name: str) -> Responder:
        brain = made[name]
        if isinstance(brain, Exception):
            raise brain
        return brain

    return Ladder(PERSONA, BrainConfig(engines=names, **config), make, clock or LoopClock())


async def answer(ladder: Ladder, text: str = "what?", user: str = "") -> str:
    return "".join([delta async for delta in ladder.respond(Question(text, user))])


def states(ladder: Ladder) -> list[str]:
    return [view.state for view in ladder.views()]


def took(main: Awaitable[str]) -> tuple[str, float]:
    """Return the answer and how many virtual seconds it took."""

    async def timed() -> tuple[str, float]:
        start = asyncio.get_running_loop().time()
        said = await main
        return said, asyncio.get_running_loop().time() - start

    return run_virtual(timed())
