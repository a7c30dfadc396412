"""A turn in the engine: what a brain says is spoken, but for what must not be; nobody meets silence."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.support.studio import Studio, persona
from tests.support.voices import Humming
from vcam_talker.chat.words import WordFilter
from vcam_talker.config import BrainConfig
from vcam_talker.core.clock import SystemClock
from vcam_talker.core.types import Question, TurnId
from vcam_talker.engine.turn import TurnRequest, TurnWorker
from vcam_talker.llm.ladder import Ladder

pytestmark = pytest.mark.unit


class Saying:
    """A brain with one answer, in pieces."""

    name = "script"

    def __init__(self, *deltas: str) -> None:
        self.deltas = deltas

    async def respond(self, _question: Question) -> AsyncIterator[str]:
        for delta in self.deltas:
            yield delta

    async def warm_up(self) -> None: ...

    async def close(self) -> None: ...


class Stage:
    """A worker with a brain, a humming voice and an ear that reads its ring."""

    def __init__(self, *deltas: str, blocked: tuple[str, ...] = ("rotten",), **changes: Any) -> None:
        self.who = persona(**changes)
        self.voice = Humming()
        self.studio = Studio({"flite": self.voice}, None, self.who)
        self.sent: list[dict[str, Any]] = []
        brain = Ladder(self.who, BrainConfig(), lambda _: Saying(*deltas), SystemClock())
        find = WordFilter(blocked).find if blocked else lambda _: None
        self.worker = TurnWorker(self.who, brain, self.studio.speaker, SystemClock(), self.sent.append, find)
        self._over = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    async def run(self, kind: str = "ask", text: str = "Well?", **fields: Any) -> Stage:
        request = TurnRequest(TurnId(7), kind, text, **fields)  # type: ignore[arg-type]
        await self.worker.run(request, lambda: False)
        return self

    def told(self, op: str) -> list[str]:
        return [m["text"] for m in self.sent if m["op"] == op]

    def close(self) -> None:
        self._over.set()
        self._reader.join()
        self.studio.ring.close()

    def _read(self) -> None:
        while not self._over.is_set():
            if self.studio.ring.try_read() is None:
                self._over.wait(0.001)


@pytest.fixture
def stage() -> Iterator[Any]:
    stages: list[Stage] = []

    def make(*deltas: str, **changes: Any) -> Stage:
        stages.append(Stage(*deltas, **changes))
        return stages[-1]

    yield make
    for one in stages:
        one.close()


async def test_an_answer_is_spoken_and_shown_without_its_tags(stage: Any) -> None:
    done = await stage("[happy] Good ", "morning. It is ", "sunny.").run()
    assert done.voice.made == ["Good morning.", "It is sunny."]
    assert done.told("sentence") == done.voice.made
    assert done.told("answer") == ["Good morning. It is sunny."]
    assert [m["emotion"] for m in done.sent if m["op"] == "sentence"] == ["happy", "happy"]


async def test_a_refused_sentence_is_neither_spoken_nor_shown(stage: Any) -> None:
    done = await stage("It is fine. It is r0tten. It is warm.").run()
    assert done.voice.made == ["It is fine.", "It is warm."]
    assert done.told("answer") == ["It is fine. It is warm."]


@pytest.mark.parametrize("answer", ["It is rotten.", "Rotten! R.o.t.t.e.n! So rotten.", "[happy]"])
async def test_an_answer_of_which_nothing_is_left_becomes_the_fallback(stage: Any, answer: str) -> None:
    done = await stage(answer).run()
    assert done.voice.made == ["I have no idea."]
    assert done.told("answer") == ["I have no idea."]
    assert done.told("sentence") == ["I have no idea."]


async def test_the_fallback_has_its_own_tags(stage: Any) -> None:
    done = await stage("[happy] It is rotten.", fallback=("[sad] I have no idea.",)).run()
    assert [(m["text"], m["emotion"]) for m in done.sent if m["op"] == "sentence"] == [
        ("I have no idea.", "sad")
    ]
    assert [m["index"] for m in done.sent if m["op"] == "sentence"] == [0]


async def test_a_name_can_not_bring_back_what_is_refused(stage: Any) -> None:
    done = await stage("It is rotten.", fallback=("No idea, {user}.",)).run(user="Rotten Ron")
    assert done.told("answer") == ["No idea."]


async def test_a_fallback_that_is_refused_itself_ends_the_turn(stage: Any) -> None:
    done = await stage("It is rotten.", fallback=("How rotten.",)).run()
    assert done.voice.made == []
    assert done.told("answer") == [""]


async def test_what_the_owner_says_is_said(stage: Any) -> None:
    done = await stage().run("say", "It is rotten.")
    assert done.voice.made == ["It is rotten."]
    assert done.told("answer") == ["It is rotten."]
