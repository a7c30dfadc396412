"""A phrase and its file: what goes in comes out, and nothing else ever does."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.phrases import key_of, phrase_of, same
from vcam_talker.cache.phrase import DamagedPhraseError, decode, decode_head, encode, to_sound

pytestmark = pytest.mark.unit

KEY = key_of("one")
FILE = encode(KEY, phrase_of("one", 3))


def forged(head: object, *, quanta: int = 3) -> bytes:
    """A file whose checksum is right and whose head is anything."""
    raw = head if isinstance(head, bytes) else json.dumps(head).encode()
    body = bytes.fromhex(KEY) + struct.pack("<II", len(raw), quanta) + raw + bytes(quanta * 988)
    return FILE[:8] + hashlib.blake2b(body, digest_size=16).digest() + body


@pytest.mark.parametrize("quanta", [1, 2, 5, 1400])
def test_what_goes_in_comes_out(quanta: int) -> None:
    phrase = phrase_of("Ünïcode 你好 \U0001f600 \ud800", quanta)
    data = encode(KEY, phrase)
    found = decode(KEY, data)
    assert same(found, phrase)
    assert not found.sound.flags.writeable
    assert not found.mouth.flags.writeable
    head, duration_s = decode_head(KEY, data[:65_536], len(data))
    assert head == phrase.head
    assert duration_s == pytest.approx(quanta / 100)


@given(st.floats(0, 20), st.floats(0, 20))
def test_word_times_come_back_to_the_last_bit(start_s: float, end_s: float) -> None:
    phrase = phrase_of("one")
    word = type(phrase.parts[0].words[0])("w", start_s, end_s)
    part = type(phrase.parts[0])(4, (word,))
    changed = type(phrase)(phrase.head, phrase.sound, phrase.mouth, (part,))
    assert decode(KEY, encode(KEY, changed)).parts[0].words == (word,)


@given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
@settings(max_examples=400)
def test_no_damaged_byte_is_ever_played(at: int, change: int) -> None:
    damaged = bytearray(FILE)
    damaged[at] ^= change
    with pytest.raises(DamagedPhraseError):
        decode(KEY, bytes(damaged))


@given(st.integers(0, len(FILE) - 1))
def test_no_truncated_file_is_ever_played(length: int) -> None:
    with pytest.raises(DamagedPhraseError):
        decode(KEY, FILE[:length])


@given(st.binary(max_size=300))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    for trial in (data, FILE[:8] + data, FILE + data + b"x"):
        with pytest.raises(DamagedPhraseError):
            decode(KEY, trial)


def test_another_ones_file_is_refused() -> None:
    with pytest.raises(DamagedPhraseError, match="another"):
        decode(key_of("two"), FILE)


GOOD = {"text": "t", "language": "en", "emotion": "happy", "voice": "v", "made_s": 1.0, "parts": [[3, []]]}


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        [],
        None,
        {**GOOD, "emotion": "bored"},
        {**GOOD, "made_s": "soon"},
        {**GOOD, "made_s": float("inf")},
        {**GOOD, "parts": [[2, []]]},
        {**GOOD, "parts": [[4, []], [-1, []]]},
        {**GOOD, "parts": [["3", []]]},
        {**GOOD, "parts": [[3, [["w", 0.0]]]]},
        {**GOOD, "parts": [[3, [["w", 0.0, float("nan")]]]]},
        {**GOOD, "parts": 3},
        {k: v for k, v in GOOD.items() if k != "text"},
    ],
)
def test_a_file_that_means_nothing_is_refused_even_with_a_right_checksum(head: object) -> None:
    decode(KEY, forged(GOOD))
    with pytest.raises(DamagedPhraseError):
        decode(KEY, forged(head))


def test_a_mouth_that_is_nowhere_is_refused() -> None:
    phrase = phrase_of("one")
    phrase.mouth[1, 2] = np.nan
    with pytest.raises(DamagedPhraseError):
        decode(KEY, encode(KEY, phrase))


def test_a_phrase_without_sound_is_refused() -> None:
    with pytest.raises(DamagedPhraseError):
        decode(KEY, forged({**GOOD, "parts": []}, quanta=0))


def test_speech_loses_nothing_that_can_be_heard() -> None:
    rng = np.random.default_rng(1)
    speech = (rng.standard_normal(48_000) * 10 ** (-20 / 20)).clip(-0.89, 0.89).astype(np.float32)
    sound = to_sound(speech)
    error = sound / np.float32(32767) - speech
    snr_db = 10 * np.log10(np.mean(speech**2) / np.mean(error.astype(np.float64) ** 2))
    assert snr_db > 75
    assert np.abs(error).max() <= 0.5 / 32767 + 1e-7


def test_sound_beyond_full_scale_is_clipped() -> None:
    np.testing.assert_array_equal(
        to_sound(np.array([2.0, -2.0, 0.0], np.float32)), np.array([32767, -32767, 0], np.int16)
    )
