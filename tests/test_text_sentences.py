"""Streams of text become sentences, none of it lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcam_talker.tts.sentences import MAX_LETTERS, SentenceSplitter, letters_in, split_overlong

pytestmark = pytest.mark.unit


def split(text: str, size: int | None = None) -> list[str]:
    splitter = SentenceSplitter()
    pieces: list[str] = []
    size = size or max(1, len(text))
    for start in range(0, len(text), size):
        pieces += splitter.feed(text[start : start + size])
    return pieces + splitter.flush()


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello there. How are you? Fine!", ["Hello there.", "How are you?", "Fine!"]),
        (
            "Dr. Smith paid $3.50 at 5 p.m. on Jan. 5. Good.",
            ["Dr. Smith paid $3.50 at 5 p.m. on Jan. 5.", "Good."],
        ),
        ("J. R. Tolkien wrote it.", ["J. R. Tolkien wrote it."]),
        ("So do I. You too.", ["So do I.", "You too."]),
        ("We left at 5 p.m. Then it rained.", ["We left at 5 p.m.", "Then it rained."]),
        ("No. 5 is alive. No. It is not.", ["No. 5 is alive.", "No.", "It is not."]),
        ("1. First thing. 2. Second.", ["1. First thing.", "2. Second."]),
        ("Wait... what? Well... Yes.", ["Wait... what?", "Well...", "Yes."]),
        ('"Stop!" he said. "No." She left.', ['"Stop!" he said.', '"No."', "She left."]),
        ("Visit example.com. It is v2.0.1 now.", ["Visit example.com.", "It is v2.0.1 now."]),
        ("你好！今天天气怎么样？我很好。", ["你好！", "今天天气怎么样？", "我很好。"]),
        ("「真的吗？」她说。真的！！", ["「真的吗？」", "她说。", "真的！！"]),
        ("被你问住了!换一个问题吧.好的", ["被你问住了!", "换一个问题吧.", "好的"]),
        ("价格是3.5元；好的", ["价格是3.5元；", "好的"]),
        ("one\ntwo\n\nthree", ["one", "two", "three"]),
        ("[happy] Hi! [sad] Oh no.", ["[happy] Hi!", "[sad] Oh no."]),
        ("नमस्ते। कैसे हो?", ["नमस्ते।", "कैसे हो?"]),
        ("", []),
        ("   ", []),
        ("...", ["..."]),
    ],
)
def test_sentences(text: str, pieces: list[str]) -> None:
    assert split(text) == pieces


def test_a_sentence_comes_as_soon_as_it_is_known_to_be_over() -> None:
    splitter = SentenceSplitter()
    assert splitter.feed("Hello there") == []
    assert splitter.feed(".") == []
    assert splitter.feed(" H") == ["Hello there."]
    assert splitter.flush() == ["H"]


def test_a_long_first_sentence_starts_with_its_first_clause() -> None:
    text = "Well I think that this is quite a good idea, and we could do it again, you know. " * 2
    first, second, third, *_ = split(text)
    assert first == "Well I think that this is quite a good idea,"
    assert second == "and we could do it again, you know."
    assert third == "Well I think that this is quite a good idea, and we could do it again, you know."


def test_a_long_first_sentence_without_commas_is_cut_before_a_conjunction() -> None:
    text = (
        "Type a question into the box and I will answer it out loud as soon as I have found something to say."
    )
    assert split(text)[0] == "Type a question into the box"


def test_a_short_first_sentence_is_left_whole() -> None:
    assert split("Well, I think so, yes.") == ["Well, I think so, yes."]


def test_a_first_clause_in_chinese() -> None:
    assert (
        split("欢迎来到我的直播间，今天我们一起聊聊天，听听音乐，再玩一会儿游戏吧。")[0]
        == "欢迎来到我的直播间，"
    )


def test_flush_starts_over() -> None:
    splitter = SentenceSplitter()
    long = "This is a rather long opening clause of words, and it goes on for a good while yet."
    assert splitter.feed(long) + splitter.flush() == splitter.feed(long) + splitter.flush()


def test_overlong_sentences_are_cut_at_the_best_place() -> None:
    clauses = "this is a clause of some words, " * 12
    assert all(p.endswith("words,") for p in split_overlong(clauses))
    words = "word " * 100
    assert all(set(p.split()) == {"word"} for p in split_overlong(words))
    assert [len(p) for p in split_overlong("x" * 500)] == [220, 220, 60]
    assert max(len(p) for p in split_overlong("字" * 200)) <= 61


PROSE = st.text(
    st.one_of(
        st.sampled_from(" .!?,;:…\"'”)。！？，；\n\t-—[]abcXYZ019你好吗か한é"),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=400,
)


@given(PROSE)
@settings(max_examples=200, deadline=None)
def test_nothing_but_whitespace_is_lost(text: str) -> None:
    pieces = split(text)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(p == p.strip() and p for p in pieces)
    assert all(letters_in(p) <= MAX_LETTERS for p in pieces)


@given(PROSE, st.integers(1, 40))
@settings(max_examples=200, deadline=None)
def test_the_cut_into_deltas_does_not_matter(text: str, size: int) -> None:
    assert split(text, size) == split(text)
