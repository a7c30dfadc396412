"""The ladder answers every question in bounded time, from the first brain that can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import pytest

from tests.support.virtual_time import LoopClock, run_virtual
from vcam_talker.config import BrainConfig
from vcam_talker.core.clock import ManualClock
from vcam_talker.core.errors import DeclinedError, EngineError
from vcam_talker.core.stages import Responder
from vcam_talker.core.text import parse_emotion_tags
from vcam_talker.core.types import NS_PER_S, Question
from vcam_talker.llm.breaker import CircuitBreaker
from vcam_talker.llm.gate import AnswerCutError, SentenceGate
from vcam_talker.llm.ladder import FALLBACK, Ladder
from vcam_talker.llm.script import ScriptResponder
from vcam_talker.persona import LineSection, Persona, VoiceSection

pytestmark = pytest.mark.unit

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


class TestOrder:
    def test_the_first_that_can_answers(self) -> None:
        ladder = make_ladder(Brain(quick), Brain(hangs))
        assert run_virtual(answer(ladder)) == "Hello there. How are you?"
        assert ladder.answered_by == "openai"
        assert [v.answered for v in ladder.views()] == [1, 0]

    @pytest.mark.parametrize("first", [declines, fails, bug, silent, cancels_itself])
    def test_one_that_can_not_is_passed_over(self, first: Answer) -> None:
        ladder = make_ladder(Brain(first), Brain(quick))
        said, seconds = took(answer(ladder))
        assert said == "Hello there. How are you?"
        assert seconds < 0.01
        assert ladder.answered_by == "transformers"
        assert [v.failed for v in ladder.views()] == [0 if first is declines else 1, 0]

    @pytest.mark.parametrize("text", ["[happy]", "[sad] …", "?!", "[happy] [happy]"])
    @pytest.mark.parametrize("end", [silent, fails, hangs])
    def test_an_answer_without_a_word_is_none(self, text: str, end: Answer) -> None:
        ladder = make_ladder(Brain(stops(text, after=end)), Brain(quick))
        said, _ = took(answer(ladder))
        assert parse_emotion_tags(said)[1].lstrip("…?! ") == "Hello there. How are you?"
        assert ladder.answered_by == "transformers"
        assert [v.failed for v in ladder.views()] == [1, 0]

    @pytest.mark.parametrize(("asked", "said"), [("what?", "No idea."), ("为什么", "不知道。")])
    def test_below_the_last_stands_the_fallback_line(self, asked: str, said: str) -> None:
        ladder = make_ladder(Brain(fails), Brain(declines), Brain(bug), Brain(silent))
        assert run_virtual(answer(ladder, asked)) == said
        assert ladder.answered_by == FALLBACK

    def test_the_script_passes_on_what_it_has_no_line_for(self) -> None:
        async def main() -> list[str]:
            config = BrainConfig(engines=("script", "openai"))
            brains = {"script": ScriptResponder(PERSONA, config), "openai": Brain(quick)}
            ladder = Ladder(PERSONA, config, brains.__getitem__, LoopClock())
            return [
                await answer(ladder, "hello", "Ann"),
                ladder.answered_by,
                await answer(ladder, "why is that"),
            ]

        assert run_virtual(main()) == ["Hi, Ann!", "script", "Hello there. How are you?"]

    def test_who_answers_is_known_with_the_first_text(self) -> None:
        async def main() -> str:
            ladder = make_ladder(Brain(fails), Brain(quick))
            async with aclosing(ladder.respond(Question("x"))) as deltas:
                async for _ in deltas:
                    return ladder.answered_by
            return ""

        assert run_virtual(main()) == "transformers"


class TestTime:
    def test_no_first_token_in_time(self) -> None:
        ladder = make_ladder(Brain(hangs), Brain(quick), first_token_timeout_s=6)
        said, seconds = took(answer(ladder))
        assert said == "Hello there. How are you?"
        assert seconds == pytest.approx(6, abs=0.01)
        assert ladder.views()[0].detail == "no token within 6 s"

    def test_every_brain_hangs(self) -> None:
        ladder = make_ladder(Brain(hangs), Brain(hangs), Brain(hangs), first_token_timeout_s=6)
        said, seconds = took(answer(ladder))
        assert said == "No idea."
        assert seconds == pytest.approx(18, abs=0.1)

    def test_all_of_them_together_have_the_time_of_an_answer(self) -> None:
        ladder = make_ladder(
            Brain(hangs), Brain(hangs), Brain(quick), first_token_timeout_s=100, answer_timeout_s=45
        )
        said, seconds = took(answer(ladder))
        assert said == "No idea."
        assert seconds == pytest.approx(45, abs=0.1)
        assert [v.failed for v in ladder.views()] == [1, 0, 0], "those that had no time are not to blame"

    def test_one_that_ignores_being_cancelled_is_left_behind(self) -> None:
        ladder = make_ladder(Brain(stubborn), Brain(quick), first_token_timeout_s=6)

        async def main() -> tuple[str, float]:
            said = await answer(ladder)
            seconds = asyncio.get_running_loop().time()
            await asyncio.sleep(7200)
            return said, seconds

        said, seconds = run_virtual(main())
        assert said == "Hello there. How are you?"
        assert seconds == pytest.approx(7, abs=0.1)

    def test_an_answer_that_goes_on_too_long_ends_with_a_sentence(self) -> None:
        ladder = make_ladder(Brain(drips), answer_timeout_s=43, token_timeout_s=8)
        said, seconds = took(answer(ladder))
        assert said.split() == ["One", "more."] * 9
        assert seconds == pytest.approx(43, abs=0.1)
        assert ladder.views()[0].failed == 0, "it was only long"

    def test_a_slow_listener_is_not_held_against_the_brain(self) -> None:
        async def main() -> str:
            ladder = make_ladder(Brain(stops("One. ", "Two. ", "Three.", after=silent)), token_timeout_s=1)
            said = ""
            async for delta in ladder.respond(Question("x")):
                said += delta
                await asyncio.sleep(60)
            assert ladder.views()[0].failed == 0
            return said

        assert run_virtual(main()) == "One. Two. Three."


class TestCut:
    @pytest.mark.parametrize("after", [hangs, fails, bug, declines])
    def test_a_cut_sentence_is_dropped_when_one_was_whole(self, after: Answer) -> None:
        ladder = make_ladder(
            Brain(stops("It is blue. It costs twe", after=after)), Brain(quick), token_timeout_s=8
        )
        said, seconds = took(answer(ladder))
        assert said.strip() == "It is blue."
        assert seconds <= 8.01
        assert [v.failed for v in ladder.views()] == [1, 0]
        assert ladder.answered_by == "openai"

    @pytest.mark.parametrize(("so_far", "said"), [("It is blue.", "It is blue."), ("好的。", "好的。")])
    def test_a_sentence_that_was_whole_is_kept(self, so_far: str, said: str) -> None:
        assert run_virtual(answer(make_ladder(Brain(stops(so_far, after=fails))))) == said

    def test_in_the_first_sentence_it_says_that_the_thread_is_lost(self) -> None:
        ladder = make_ladder(Brain(stops("Well, the price of the blue mug is", after=fails)))
        assert run_virtual(answer(ladder)) == "Well, the price of the blue mug is… No idea."

    def test_a_price_is_not_cut_into_another(self) -> None:
        assert (
            run_virtual(answer(make_ladder(Brain(stops("It costs 3.", after=fails)))))
            == "It costs 3.… No idea."
        )

    def test_an_answer_cut_by_its_own_limit_is_no_failure(self) -> None:
        async def limited(_question: Question) -> AsyncGenerator[str, None]:
            yield "It is blue. It was made in"
            raise AnswerCutError("test", "max_tokens")

        ladder = make_ladder(Brain(limited))
        assert run_virtual(answer(ladder)).strip() == "It is blue."
        assert ladder.views()[0].failed == 0

    def test_the_endless_end(self) -> None:
        brain = Brain(endless)
        said = run_virtual(answer(make_ladder(brain, max_answer_chars=100)))
        assert 100 <= len(said.strip()) < 130
        assert said.strip().endswith("goes.")
        assert brain.closed_answers == 1

    def test_a_sentence_without_an_end_trails_off(self) -> None:
        said = run_virtual(answer(make_ladder(Brain(rambles), max_answer_chars=100)))
        assert said.endswith("and…")
        assert len(said) <= 410


class TestBreaker:
    def test_after_failures_it_rests_then_one_question_tries(self) -> None:
        brain = Brain(fails)
        ladder = make_ladder(brain, breaker_failures=3, breaker_rest_s=30)

        async def main() -> None:
            for expected in (1, 2, 3, 3, 3):
                await answer(ladder)
                assert brain.asked == expected
            assert states(ladder) == ["resting"]
            assert ladder.views()[0].detail == "3 failures in a row, the last: test: is broken"
            await asyncio.sleep(31)
            assert states(ladder) == ["ready"]
            await answer(ladder)
            assert brain.asked == 4
            assert states(ladder) == ["resting"], "the try failed"
            await asyncio.sleep(31)
            brain._answer = quick
            assert await answer(ladder) == "Hello there. How are you?"
            assert states(ladder) == ["ready"]
            assert ladder.views()[0].detail == ""

        run_virtual(main())

    def test_passing_on_is_no_failure(self) -> None:
        brain = Brain(declines)
        ladder = make_ladder(brain, breaker_failures=1)

        async def main() -> None:
            for _ in range(5):
                await answer(ladder)

        run_virtual(main())
        assert brain.asked == 5

    def test_by_itself_on_a_manual_clock(self) -> None:
        clock = ManualClock()
        breaker = CircuitBreaker(2, 10, clock)
        assert breaker.admit()
        breaker.failed()
        assert breaker.admit()
        breaker.failed()
        assert breaker.state == "open"
        assert not breaker.admit()
        clock.advance(10 * NS_PER_S)
        assert breaker.state == "half-open"
        assert breaker.admit()
        assert not breaker.admit(), "one at a time"
        breaker.abandoned()
        assert breaker.admit(), "nothing was learnt"
        breaker.failed()
        assert breaker.state == "open"
        clock.advance(10 * NS_PER_S)
        assert breaker.admit()
        breaker.succeeded()
        assert breaker.state == "closed"
        assert breaker.failures == 0

    def test_a_success_forgives(self) -> None:
        breaker = CircuitBreaker(2, 10, ManualClock())
        for _ in range(5):
            breaker.failed()
            breaker.succeeded()
        assert breaker.state == "closed"


class TestCancelling:
    def test_closing_closes_the_brain(self) -> None:
        brain = Brain(stops("One. Two. ", "Three"))

        async def main() -> None:
            ladder = make_ladder(brain)
            deltas = ladder.respond(Question("x"))
            async with aclosing(deltas):
                await anext(deltas)
                assert brain.closed_answers == 0
            assert brain.closed_answers == 1
            assert ladder.views()[0].answered == 1

        run_virtual(main())

    @pytest.mark.parametrize("after_s", [0.0, 1.0, 3.0])
    def test_a_listener_cancelled_in_the_middle_of_a_wait_closes_the_brain(self, after_s: float) -> None:
        brain = Brain(hangs)

        async def main() -> None:
            ladder = make_ladder(Brain(declines), brain)
            task = asyncio.create_task(answer(ladder))
            await asyncio.sleep(after_s)
            for _ in range(20):
                await asyncio.sleep(0)
            assert brain.asked == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert brain.closed_answers == 1
            assert asyncio.get_running_loop().time() <= after_s + 0.001
            assert [v.failed for v in ladder.views()] == [0, 0]

        run_virtual(main())

    def test_twice_cancelled_is_closed_all_the_same(self) -> None:
        brain = Brain(hangs)

        async def main() -> None:
            task = asyncio.create_task(answer(make_ladder(brain)))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0)
            assert brain.closed_answers == 1

        run_virtual(main())

    def test_an_interrupted_try_decides_nothing(self) -> None:
        brain = Brain(fails)
        ladder = make_ladder(brain, breaker_failures=1, breaker_rest_s=30)

        async def main() -> None:
            await answer(ladder)
            await asyncio.sleep(31)
            brain._answer = hangs
            task = asyncio.create_task(answer(ladder))
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.wait((task,))
            brain._answer = quick
            assert await answer(ladder) == "Hello there. How are you?", "the next question may try"

        run_virtual(main())


class TestLoading:
    def test_one_that_loads_is_not_waited_for(self) -> None:
        async def warm() -> None:
            await asyncio.sleep(60)

        ladder = make_ladder(Brain(quick, warm), Brain(stops("Meanwhile.", after=silent)))

        async def main() -> None:
            assert states(ladder) == ["loading", "loading"]
            await ladder.warm_up()
            assert states(ladder) == ["loading", "ready"]
            assert await answer(ladder) == "Meanwhile."
            assert asyncio.get_running_loop().time() < 0.01
            await asyncio.sleep(61)
            assert states(ladder) == ["ready", "ready"]
            assert await answer(ladder) == "Hello there. How are you?"

        run_virtual(main())

    @pytest.mark.parametrize(
        "fault", [EngineError("model", "is not there"), RuntimeError("segfault, nearly")]
    )
    def test_one_that_can_not_load_is_tried_again_with_back_off(self, fault: Exception) -> None:
        attempts: list[float] = []

        async def warm() -> None:
            attempts.append(asyncio.get_running_loop().time())
            if len(attempts) < 9:
                raise fault

        ladder = make_ladder(Brain(quick, warm))

        async def main() -> None:
            assert await answer(ladder) == "No idea."
            assert states(ladder) == ["failed"]
            assert str(fault) in ladder.views()[0].detail
            await asyncio.sleep(400)
            assert states(ladder) == ["ready"]
            assert await answer(ladder) == "Hello there. How are you?"

        run_virtual(main())
        gaps = [round(b - a) for a, b in pairwise(attempts)]
        assert gaps == [1, 2, 4, 8, 16, 32, 60, 60]

    def test_one_that_can_not_be_made_is_tried_again(self) -> None:
        ladder = make_ladder(EngineError("torch", "is not installed", "pip install"), Brain(quick))

        async def main() -> None:
            assert await answer(ladder) == "Hello there. How are you?"
            assert states(ladder) == ["failed", "ready"]
            assert ladder.views()[0].detail == "torch: is not installed. pip install"
            await ladder.close()

        run_virtual(main())

    def test_whoever_listens_is_told_of_every_change(self) -> None:
        seen: list[tuple[str, int, int]] = []
        brain = Brain(quick)

        async def main() -> None:
            config = BrainConfig(engines=("openai",), breaker_failures=1)

            def changed() -> None:
                view = ladder.views()[0]
                seen.append((view.state, view.answered, view.failed))

            ladder = Ladder(PERSONA, config, lambda _: brain, LoopClock(), changed)
            await answer(ladder)
            brain._answer = fails
            await answer(ladder)

        run_virtual(main())
        assert seen == [("ready", 0, 0), ("ready", 1, 0), ("resting", 1, 1)]

    def test_closing_ends_everything_once(self) -> None:
        async def never() -> None:
            await asyncio.sleep(1e6)

        ready, loading = Brain(quick), Brain(quick, never)

        async def main() -> None:
            ladder = make_ladder(ready, loading, EngineError("x", "y"))
            await ladder.warm_up()
            await ladder.close()
            await ladder.close()
            assert len(asyncio.all_tasks()) == 1
            assert await answer(ladder) == "No idea."

        run_virtual(main())
        assert (ready.closed, loading.closed) == (1, 1)


class TestGate:
    def test_the_first_sentence_streams_and_later_ones_come_whole(self) -> None:
        gate = SentenceGate(900)
        assert gate.feed("  Well, ") == "Well,"
        assert gate.feed("it is") == " it is"
        assert gate.feed(" blue. And ") == " blue."
        assert gate.feed("big! Ver") == " And big!"
        assert gate.cut() == ""
        assert gate.complete

    def test_finishing_lets_the_rest_go(self) -> None:
        gate = SentenceGate(900)
        assert gate.feed("One. Two") == "One."
        assert gate.finish() == " Two"
        assert gate.feed("more") == ""

    def test_chinese_needs_no_spaces(self) -> None:
        gate = SentenceGate(900)
        assert gate.feed("好的。蓝色") == "好的。"
        assert gate.feed("杯子。") == "蓝色杯子。"

    def test_dots_inside_numbers_and_names_end_nothing(self) -> None:
        gate = SentenceGate(900)
        gate.feed("One. ")
        assert gate.feed("See shop.example for 3.50 euros") == ""
        assert gate.feed(". Now") == " See shop.example for 3.50 euros."
