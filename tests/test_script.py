"""Scripted answers: what is matched, what is not, languages, placeholders."""

from itertools import pairwise
from typing import Any

import pytest

from tests.support.viewers import EVERYDAY, NEGATED, STRANGERS
from vcam_talker import registry
from vcam_talker.config import BrainConfig
from vcam_talker.core.errors import DeclinedError
from vcam_talker.core.text import parse_emotion_tags
from vcam_talker.core.types import Question
from vcam_talker.llm.lines import THRESHOLD, LineMatcher
from vcam_talker.llm.phrases import spoken_name
from vcam_talker.llm.script import ScriptResponder
from vcam_talker.persona import LineSection, Persona, VoiceSection, load_persona

pytestmark = pytest.mark.unit

MIRA = load_persona("mira")
MATCHER = LineMatcher([line.match for line in MIRA.lines], MIRA.title)

# What is asked of Mira beside what every presenter is asked.
ASKED_OF_MIRA = {
    "hello": ["hi there mira"],
    "how old are you": ["how old are you Mira?", "what's your age"],
    "where are you": ["where are you now?"],
    "how much is this": ["how much is it"],
    "discount code": ["don't you have a discount?", "no, really, any discount?"],
    "shipping": ["shipping to Norway?", "Shipping"],
    "return": ["returns", "how do I return a dress"],
    "tell me a joke": ["hi Mira, can you tell me a joke please"],
    "you are good": ["you are really good"],
    "sing": ["why don't you sing?"],
    "thank you": ["thanks a lot Mira"],
    "有优惠吗": ["没有优惠吗"],
    "可以退货吗": ["不能退货吗"],
}
PARAPHRASES = [
    (question, asked)
    for table in (EVERYDAY, ASKED_OF_MIRA)
    for question, all_ in table.items()
    for asked in all_
]
# What some other presenter takes for a topic of its own, rightly or not.
STRANGE_TO_MIRA = ["can you play minecraft", "who won the game last night", "你吃饭了吗", "怎么学英语"]
NEGATED_TO_MIRA = ["I don't want a refund"]


def group_of(question: str) -> int:
    return next(i for i, line in enumerate(MIRA.lines) if question in line.match)


def persona(**changes: Any) -> Persona:
    fields: dict[str, Any] = {
        "title": "Mira",
        "fallback": ("No idea.", "Pardon?"),
        "fallback_by_language": {"cmn": ("不知道。",)},
        "voice": VoiceSection(engine="flite", name="slt"),
        "greeting": ("I am {title}.",),
        "lines": (
            LineSection(match=("hello", "你好"), say=("Hello, {user}!", "Hi {user}!")),
            LineSection(match=("你好",), say=("你好，{user}！",), language="cmn"),
            LineSection(match=("tell me a story",), say=("Once.",)),
            LineSection(match=("tell me a story", "讲个故事"), say=("Nur auf Deutsch.",), language="de"),
        ),
    }
    return Persona(**{**fields, **changes})


async def answer(text: str, user: str = "", *, to: ScriptResponder | None = None) -> str:
    responder = to or ScriptResponder(persona(), BrainConfig(), seed=1)
    return "".join([delta async for delta in responder.respond(Question(text, user))])


class TestMatching:
    @pytest.mark.parametrize(("question", "asked"), PARAPHRASES)
    def test_paraphrases_meet_their_line(self, question: str, asked: str) -> None:
        match = MATCHER.best(asked)
        assert match is not None
        assert match.index == group_of(question)

    @pytest.mark.parametrize("text", [*STRANGERS, *STRANGE_TO_MIRA])
    def test_strangers_meet_none(self, text: str) -> None:
        assert MATCHER.best(text) is None

    @pytest.mark.parametrize("text", [*NEGATED, *NEGATED_TO_MIRA])
    def test_a_negation_is_not_its_opposite(self, text: str) -> None:
        assert MATCHER.best(text) is None

    def test_nothing_but_a_negation_makes_the_difference(self) -> None:
        matcher = LineMatcher([["the weather is fine"], ["the weather is not fine"]])
        found = [matcher.best(t) for t in ("is the weather fine", "the weather isn't fine today")]
        assert [m.index for m in found if m] == [0, 1]

    def test_one_word_has_to_be_a_question_of_its_own(self) -> None:
        matcher = LineMatcher([["tomorrows"], ["dinner time"]])
        assert matcher.best("dinner") is None
        match = matcher.best("tomorows")
        assert match is not None
        assert match.index == 0

    @pytest.mark.parametrize("question", [q for line in MIRA.lines for q in line.match])
    def test_the_exact_question_always_matches_its_line(self, question: str) -> None:
        match = MATCHER.best(question.upper() + "?")
        assert match is not None
        assert match.index == group_of(question)
        assert match.score > 90 > THRESHOLD

    def test_a_long_hostile_line_is_no_trouble(self) -> None:
        assert MATCHER.best("zq" * 5000) is None
        assert MATCHER.best("".join(chr(0x4E00 + i) for i in range(5000))) is None


class TestAnswers:
    async def test_the_answer_is_in_the_language_of_the_question(self) -> None:
        assert await answer("你好", "Ann") == "你好，Ann！"
        assert await answer("hello", "Ann") in {"Hello, Ann!", "Hi Ann!"}
        assert await answer("tell me a story") == "Once."

    async def test_an_answer_in_another_language_is_better_than_none(self) -> None:
        assert await answer("讲个故事吧") == "Nur auf Deutsch."

    async def test_fallback_in_the_language_of_the_question(self) -> None:
        assert await answer("完全不同的问题") == "不知道。"
        assert await answer("something else entirely") in {"No idea.", "Pardon?"}
        assert await answer("Совсем другое") in {"No idea.", "Pardon?"}

    async def test_never_the_same_twice_in_a_row_when_there_is_a_choice(self) -> None:
        responder = ScriptResponder(persona(), BrainConfig(), seed=3)
        answers = [await answer("hello", "A", to=responder) for _ in range(20)]
        assert all(a != b for a, b in pairwise(answers))
        fallbacks = [await answer("xyzzy", to=responder) for _ in range(20)]
        assert all(a != b for a, b in pairwise(fallbacks))
        assert await answer("tell me a story", to=responder) == await answer("tell me a story", to=responder)

    async def test_one_seed_gives_one_show(self) -> None:
        asked = ["hello", "what", "hello", "hm", "hello"]
        first, second = (
            ScriptResponder(persona(), BrainConfig(), seed=9),
            ScriptResponder(persona(), BrainConfig(), seed=9),
        )
        assert [await answer(a, to=first) for a in asked] == [await answer(a, to=second) for a in asked]


class TestPassingOn:
    @pytest.mark.parametrize("engines", [("script", "openai"), ("script", "echo")])
    async def test_what_no_line_answers_goes_to_the_brain_below(self, engines: tuple[str, ...]) -> None:
        responder = ScriptResponder(persona(), BrainConfig(engines=engines))
        assert "Ann" in await answer("hello", "Ann", to=responder)
        with pytest.raises(DeclinedError):
            await answer("something else entirely", to=responder)

    async def test_the_last_one_says_a_fallback_line(self) -> None:
        responder = ScriptResponder(persona(), BrainConfig(engines=("openai", "script")))
        assert await answer("something else entirely", to=responder) in {"No idea.", "Pardon?"}


class TestEcho:
    async def test_says_what_it_was_told(self) -> None:
        echo = registry.find("responder", "echo")(persona(), BrainConfig())
        assert [d async for d in echo.respond(Question("[happy] {user}", "Ann"))] == ["[happy] {user}"]
        assert [d async for d in echo.respond(Question(""))] == []


class TestPlaceholders:
    @pytest.mark.parametrize(
        ("line", "user", "spoken"),
        [
            ("Hello, {user}!", "Ann", "Hello, Ann!"),
            ("Hello, {user}!", "", "Hello!"),
            ("{user}, hello!", "", "hello!"),
            ("[happy] {user}, hello!", "", "[happy] hello!"),
            ("你好，{user}！", "", "你好！"),
            ("I am {title}.", "Ann", "I am Mira."),
            (
                "{user} {user.__class__} {0} %s {unknown} {{x}}",
                "Ann",
                "Ann {user.__class__} {0} %s {unknown} {{x}}",
            ),
            ("Hello, {user}!", "{title}", "Hello, title!"),
            ("Hello, {user}!", "[angry] A", "Hello, angry A!"),
            ("Hello, {user}!", "a\x00b\u202e<b>", "Hello, a b b!"),
            ("Hello, {user}!", "😀😀", "Hello!"),
            ("Hello, {user}!", "x" * 5000, f"Hello, {'x' * 32}!"),
            ("Hello, {user}!", r"\1\g<0>", r"Hello, \1\g 0!"),
        ],
    )
    async def test_filled_safely(self, line: str, user: str, spoken: str) -> None:
        lines = (LineSection(match=("hello",), say=(line,)),)
        assert await answer("hello", user, to=ScriptResponder(persona(lines=lines), BrainConfig())) == spoken

    @pytest.mark.parametrize("asked", ["hello", "thank you", "你好", "谢谢"])
    async def test_the_built_in_presenter_uses_names_and_does_without(self, asked: str) -> None:
        named, unnamed = (
            ScriptResponder(MIRA, BrainConfig(), seed=1),
            ScriptResponder(MIRA, BrainConfig(), seed=1),
        )
        assert any(["Ann" in await answer(asked, "Ann", to=named) for _ in range(12)])
        for _ in range(12):
            said = await answer(asked, to=unnamed)
            assert not any(trace in said for trace in ("{", " !", ",!", ",,", ",。"))

    def test_a_name_can_not_steer_the_face(self) -> None:
        assert parse_emotion_tags(spoken_name("[angry]"))[0] is None
