"""What of a model's writing is spoken, however it is cut into deltas."""

from collections.abc import AsyncGenerator
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vcam_talker.llm.answer import AnswerCleaner, cleaned

pytestmark = pytest.mark.unit

SPOKEN = {
    "Hello, Ann! How are you?": "Hello, Ann! How are you?",
    "[happy] Hello.\n\n[sad] Bye.": "[happy] Hello.\n[sad] Bye.",
    "[ Happy ] Hello": "[happy] Hello",
    "**Bold** and *soft* and __loud__ and ~~gone~~": "Bold and soft and loud and gone",
    "***both***!": "both!",
    "# Title\n\nText": "Title\nText",
    "###### Deep\nText": "Deep\nText",
    "I'm #1, and #happy": "I'm #1, and happy",
    "- one\n- two\n* three\n+ four\n• five": "one\ntwo\nthree\nfour\nfive",
    "- [ ] open\n- [x] done": "open\ndone",
    "1. One\n2. Two": "1. One\n2. Two",
    "> quoted\n> more": "quoted\nmore",
    "before\n---\nafter": "before\nafter",
    "Title\n=====\nText": "Title\nText",
    "-5 degrees": "-5 degrees",
    "well-known": "well-known",
    "wait -- what": "wait — what",
    "2 * 3 and 2*3 and snake_case": "2 × 3 and 2 × 3 and snake case",
    "It costs *5* euros and *6*.": "It costs 5 euros and 6.",
    "Use `pip` now": "Use pip now",
    "Look:\n```python\nprint('hi')\n```\nDone.": "Look:\nDone.",
    "Look:\n~~~\ncode\n~~~\nDone.": "Look:\nDone.",
    "```unclosed": "",
    "See [the shop](https://shop.example/a?b=c) now.": "See the shop now.",
    "See [the **big** shop][1].": "See the big shop.",
    "![a cat](cat.png) sits": "a cat sits",
    "Proven [1][2], he said [3].": "Proven, he said.",
    "Press [Buy] now": "Press Buy now",
    "Go to https://www.shop.example/x/y?z=1#a. Then come back": "Go to shop.example. Then come back",
    "(http://user:pw@shop.example:8080/x)": "(shop.example)",
    "www.shop.example/sale!": "shop.example!",
    "<https://shop.example/x>": "shop.example",
    "看https://shop.example/蓝色": "看shop.example蓝色",
    "how who hhttp what": "how who hhttp what",
    "line<br>break and <b>bold</b>": "line\nbreak and bold",
    "I <3 you, 5 > 4": "I 3 you, 5 4",
    "<think>Hm, *what* now?</think>Hello!": "Hello!",
    "<THINK>\nsecret\n</Think>\n\nHello!": "Hello!",
    "<think>never ends": "",
    "Well <think>hm</think> yes": "Well yes",
    "Hello 😀! Great 👍🏽 day 👩‍👩‍👧": "Hello! Great day",
    "你好😀！今天**特价**。": "你好！今天特价。",
    "好的～～": "好的",
    "1️⃣ first": "1 first",
    "| a | b |\n|---|:-:|\n| 1 | 2 |": "a, b\n1, 2",
    "\\*not bold\\*": "not bold",
    "20 °C, 5 €, $3.50, 100%": "20 °C, 5 €, $3.50, 100%",
    "می‌خواهم": "می‌خواهم",
    "a\x00b\u202ec": "a bc",
    "  \n ": "",
    "😀😀": "",
    "[": "",
    "[unclosed bracket": "unclosed bracket",
    "a ] b": "a b",
}

MARKS = st.sampled_from(
    [
        *"*_~`#->|[]()<>!\\:.?,=+ \n\t",
        *"a1h你۱é",
        "```",
        "~~~",
        "---",
        "**",
        "<think>",
        "</think>",
        "<br>",
        "</b>",
        "https://a.b/c.d",
        "www.x",
        "http",
        "[happy]",
        "[x](y)",
        "![",
        "😀",
        "\u200d",
        "\ufe0f",
        "\u202e",
        "İ",
        " - ",
        "\n# ",
        "\n| ",
    ]
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(MARKS, max_size=40).map("".join))


def clean(*deltas: str) -> str:
    cleaner = AnswerCleaner()
    return "".join([*(cleaner.feed(d) for d in deltas), cleaner.flush()])


@pytest.mark.parametrize(("written", "spoken"), SPOKEN.items())
def test_markup_is_not_spoken(written: str, spoken: str) -> None:
    assert clean(written) == spoken


@pytest.mark.parametrize("written", SPOKEN)
def test_letter_by_letter_is_the_same(written: str) -> None:
    assert clean(*written) == clean(written)


@given(TEXTS, st.lists(st.integers(0, 200), max_size=12))
@example("[a](b) [https://x.y/z.](q)r", [3, 9])
@example("2*3 2 * 3 *", [1, 2, 3, 4, 5, 6, 7, 8])
def test_the_cuts_change_nothing(text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    parts = [text[a:b] for a, b in pairwise(places)]
    assert clean(*parts) == clean(text)


@given(TEXTS)
@example("WWW._")
@example("xhttps://a.b")
def test_no_mark_survives(text: str) -> None:
    spoken = clean(text)
    bare = spoken
    for tag in ("neutral", "happy", "sad", "angry", "surprised", "thoughtful", "playful"):
        bare = bare.replace(f"[{tag}]", "")
    assert not set("*_`~[]<>|\\😀\u202e\ufe0f") & set(bare)
    assert "://" not in bare or "http" not in bare.lower()
    assert spoken == spoken.strip()


def test_it_holds_back_no_more_than_it_must() -> None:
    cleaner = AnswerCleaner()
    assert cleaner.feed("Hello") == "Hello"
    assert cleaner.feed(", wor") == ", wor"
    assert cleaner.feed("ld. ") == "ld."
    assert cleaner.feed("[hap") == ""
    assert cleaner.feed("py] Y") == " [happy] Y"


def test_hostile_lengths_are_no_trouble() -> None:
    for text in (
        "[" * 20_000,
        "<a" * 20_000,
        "https://" * 5_000,
        "*" * 50_000,
        "`" * 50_000,
        "[a](" * 10_000,
    ):
        assert len(clean(text)) <= len(text)


def test_a_prompt_may_have_opened_the_thought() -> None:
    cleaner = AnswerCleaner(thinking=True)
    assert cleaner.feed("secret </th") == ""
    assert cleaner.feed("ink>Hello") + cleaner.flush() == "Hello"


async def test_a_stream_is_cleaned_and_closed() -> None:
    closed = []

    async def deltas() -> AsyncGenerator[str, None]:
        try:
            yield "**He"
            yield "llo** <thi"
            yield "nk>x</think>there"
            yield "*"
        finally:
            closed.append(True)

    assert "".join([d async for d in cleaned(deltas())]) == "Hello there"
    stream = cleaned(deltas())
    async for _ in stream:
        break
    await stream.aclose()
    assert closed == [True, True]
