"""The ladder answers every question in bounded time, from the first brain that can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from tests.support.brains import (
    PERSONA,
    Answer,
    Brain,
    answer,
    bug,
    cancels_itself,
    declines,
    drips,
    endless,
    fails,
    hangs,
    make_ladder,
    quick,
    rambles,
    silent,
    stops,
    stubborn,
    took,
)
from tests.support.virtual_time import LoopClock, run_virtual
from vcam_talker.config import BrainConfig
from vcam_talker.core.text import parse_emotion_tags
from vcam_talker.core.types import Question
from vcam_talker.llm.gate import AnswerCutError, SentenceGate
from vcam_talker.llm.ladder import FALLBACK, Ladder
from vcam_talker.llm.script import ScriptResponder

pytestmark = pytest.mark.unit


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
