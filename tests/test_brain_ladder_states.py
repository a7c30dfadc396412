"""Brains on the ladder that rest, load, are cancelled and are closed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import pairwise

import pytest

from tests.support.brains import (
    PERSONA,
    Brain,
    answer,
    declines,
    fails,
    hangs,
    make_ladder,
    quick,
    silent,
    states,
    stops,
)
from tests.support.virtual_time import LoopClock, run_virtual
from vcam_talker.config import BrainConfig
from vcam_talker.core.clock import ManualClock
from vcam_talker.core.errors import EngineError
from vcam_talker.core.types import NS_PER_S, Question
from vcam_talker.llm.breaker import CircuitBreaker
from vcam_talker.llm.ladder import Ladder

pytestmark = pytest.mark.unit


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
