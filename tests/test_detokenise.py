"""Text comes out whole and whole text comes out."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from tests.support.tiny_llm import byte_level_tokenizer
from vcam_talker.llm.detokenise import Detokeniser

pytestmark = pytest.mark.unit

BYTE_LEVEL = byte_level_tokenizer()
TEXTS = (
    "你好，欢迎来到直播间！",
    "👍🏽😀 family 👨‍👩‍👧‍👦 flag 🇩🇪",
    "naïve Ω",
    "a\ufffdb\ufffd",
    "𝄞 ok \x00 é",
)


def byte_fallback() -> Tokenizer:
    """A SentencePiece-like vocabulary: words, spaces as ▁, and single bytes for the rest."""
    words = ["<unk>", *(f"<0x{i:02X}>" for i in range(256)), "▁", "▁hello", "▁you", "ing", "好"]
    made = Tokenizer(
        models.BPE({w: i for i, w in enumerate(words)}, [], byte_fallback=True, unk_token="<unk>")  # noqa: S106
    )
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return made


FALLBACK = byte_fallback()


def decode(tokens: Sequence[int]) -> str:
    return str(BYTE_LEVEL.decode(list(tokens), clean_up_tokenization_spaces=False))


def decode_fallback(tokens: Sequence[int]) -> str:
    return str(FALLBACK.decode(list(tokens)))


def streamed(decoder: Callable[[Sequence[int]], str], tokens: Sequence[int]) -> list[str]:
    detokeniser = Detokeniser(decoder)
    return [*(detokeniser.feed(token) for token in tokens), detokeniser.flush()]


@pytest.mark.parametrize("text", TEXTS)
def test_no_character_comes_in_halves(text: str) -> None:
    tokens = BYTE_LEVEL.encode(text, add_special_tokens=False)
    pieces = streamed(decode, tokens)
    assert "".join(pieces) == text
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in pieces)


@given(st.text(max_size=60))
def test_any_text_comes_back(text: str) -> None:
    tokens = BYTE_LEVEL.encode(text, add_special_tokens=False)
    assert "".join(streamed(decode, tokens)) == decode(tokens)


@settings(max_examples=300)
@given(st.lists(st.integers(0, len(BYTE_LEVEL) - 1), max_size=120))
def test_any_tokens_give_what_decoding_them_at_once_gives(tokens: list[int]) -> None:
    tokens = [t for t in tokens if t not in BYTE_LEVEL.all_special_ids]
    assert "".join(streamed(decode, tokens)) == decode(tokens)


@settings(max_examples=300)
@given(st.lists(st.sampled_from([0x80, 0xBF, 0xE4, 0xBD, 0xA0, 0xF0, 0x9F, 0x41, 0xC3]), max_size=200))
def test_bytes_that_are_no_text_give_what_decoding_them_at_once_gives(values: list[int]) -> None:
    tokens = [byte_token(value) for value in values]
    assert "".join(streamed(decode, tokens)) == decode(tokens)


def byte_token(value: int) -> int:
    """Return the token of one byte, by GPT-2's table of printable stand-ins."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    stand_in = value if value in printable else 0x100 + sorted(set(range(256)) - set(printable)).index(value)
    return int(BYTE_LEVEL.convert_tokens_to_ids(chr(stand_in)))


def test_single_bytes_in_a_sentencepiece_vocabulary() -> None:
    rng = random.Random(1)
    words = [FALLBACK.token_to_id(w) for w in ("▁", "▁hello", "▁you", "ing", "好")]
    for _ in range(200):
        tokens: list[int] = []
        for _ in range(rng.randrange(1, 30)):
            if rng.random() < 0.5:
                tokens.append(rng.choice(words))
            else:
                tokens += [FALLBACK.token_to_id(f"<0x{b:02X}>") for b in rng.choice("你é😀x").encode()]
        assert "".join(streamed(decode_fallback, tokens)) == decode_fallback(tokens)


def test_the_cost_of_a_token_is_bounded_whatever_came_before() -> None:
    longest = 0

    def counted(tokens: Sequence[int]) -> str:
        nonlocal longest
        longest = max(longest, len(tokens))
        return decode(tokens)

    detokeniser = Detokeniser(counted)
    for token in [*BYTE_LEVEL.encode("Hello and welcome " * 50), *[byte_token(0x80)] * 500]:
        detokeniser.feed(token)
    assert longest <= 40


def test_a_run_of_bytes_that_never_ends_is_let_go_while_it_comes() -> None:
    detokeniser = Detokeniser(decode)
    assert len("".join(detokeniser.feed(byte_token(0x80)) for _ in range(500))) > 450
