"""The phoneme driver: closures, silence, anticipation, joins, and phones nobody should send."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.spoken import RATE, spoken
from vcam_talker.core.types import NO_TURN, Phone, Sentence, Speech
from vcam_talker.face.motion import JAW, PRESS, PROTRUSION, ROUNDING, TEETH, TONGUE, WIDTH
from vcam_talker.face.phonemes import PhonemeDriver

pytestmark = pytest.mark.unit

VOWELS = ("aa", "iy", "uw", "ax", "ow", "ae")
CONSONANTS = ("t", "s", "k", "l", "f", "sh", "w", "n", "hh")


def drive(speech: Speech) -> np.ndarray:
    return PhonemeDriver().drive(speech).values


def at(values: np.ndarray, ms: int) -> np.ndarray:
    return values[ms // 10]


def pressed_ms(values: np.ndarray, start_ms: int, end_ms: int) -> int:
    """Return the longest time for which the lips are pressed, poses being joined by straight lines."""
    shut = (values[:, PRESS] >= 0.8) & (values[:, JAW] <= 0.05)
    inside = shut[max(0, start_ms // 10) : end_ms // 10 + 1]
    best = run = 0
    for held in inside:
        run = run + 1 if held else 0
        best = max(best, run)
    return max(0, best - 1) * 10


@pytest.mark.parametrize("bilabial", ["m", "b", "p"])
@pytest.mark.parametrize("length_ms", [20, 30, 45, 60, 90, 150])
@pytest.mark.parametrize("vowel", VOWELS)
def test_bilabials_close_for_longer_than_a_frame(bilabial: str, length_ms: int, vowel: str) -> None:
    start = 350
    values = drive(spoken(f"pau:200 {vowel}:150 {bilabial}:{length_ms} {vowel}:150 pau:200"))
    assert pressed_ms(values, start - 20, start + length_ms + 20) >= 40
    assert values[(start + length_ms) // 10 + 6, JAW] > 0.08, "and open again"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("m", "b", "p", *VOWELS, *CONSONANTS, "pau")),
            st.integers(15, 250),
        ),
        min_size=1,
        max_size=25,
    )
)
@settings(deadline=None, max_examples=60)
def test_every_bilabial_closes_in_any_context(items: list[tuple[str, int]]) -> None:
    speech = spoken(" ".join(f"{s}:{ms}" for s, ms in (("pau", 150), *items, ("pau", 150))))
    values = drive(speech)
    for p in speech.phones:
        if p.symbol in ("m", "b", "p"):
            start, end = round(p.start_s * 1000), round(p.end_s * 1000)
            assert pressed_ms(values, start - 25, end + 25) >= 30


def test_a_bilabial_at_the_very_start_and_end_closes() -> None:
    values = drive(spoken("m:120 aa:200 p:150"))
    assert pressed_ms(values, 0, 140) >= 40
    assert pressed_ms(values, 300, 470) >= 40
    assert not values[-1].any()


def test_labiodentals_put_teeth_on_the_lip_and_never_press() -> None:
    for symbol in ("f", "v"):
        values = drive(spoken(f"pau:200 aa:150 {symbol}:100 aa:150 pau:200"))
        pose = at(values, 400)
        assert pose[TEETH] >= 0.75
        assert pose[JAW] <= 0.08
        assert values[:, PRESS].max() == 0


def test_sibilants_close_the_teeth_and_sh_rounds() -> None:
    s = at(drive(spoken("pau:200 aa:150 s:110 aa:150 pau:200")), 405)
    sh = at(drive(spoken("pau:200 aa:150 sh:110 aa:150 pau:200")), 405)
    for pose in (s, sh):
        assert pose[TEETH] >= 0.7
        assert pose[JAW] <= 0.15
    assert sh[ROUNDING] > s[ROUNDING] + 0.2
    assert sh[PROTRUSION] > 0.3


def test_dentals_and_l_raise_the_tongue() -> None:
    for symbol in ("l", "th", "t", "n"):
        assert at(drive(spoken(f"pau:200 aa:120 {symbol}:60 aa:120 pau:200")), 350)[TONGUE] >= 0.4


def test_vowels_open_by_height_and_are_shaped_by_the_lips() -> None:
    poses = {v: at(drive(spoken(f"pau:200 t:60 {v}:200 t:60 pau:200")), 360) for v in VOWELS}
    assert poses["aa"][JAW] > poses["ax"][JAW] > poses["iy"][JAW] > 0.1
    assert poses["iy"][WIDTH] > 0.4
    assert poses["uw"][ROUNDING] > 0.6
    assert poses["uw"][WIDTH] < -0.3
    assert poses["aa"][ROUNDING] < 0.15


def test_conversation_does_not_gape() -> None:
    values = drive(spoken("pau:100 " + " ".join(f"{v}:180 t:60" for v in VOWELS) + " pau:150"))
    assert 0.4 < values[:, JAW].max() <= 0.75


def test_long_and_loud_vowels_open_wider() -> None:
    short = drive(spoken("pau:200 t:60 aa:60 t:60 pau:200"))[:, JAW].max()
    long = drive(spoken("pau:200 t:60 aa:220 t:60 pau:200"))[:, JAW].max()
    assert long > short + 0.1
    speech = spoken("pau:200 t:60 aa:150 t:60 aa:150 t:60 pau:200")
    soft = speech.samples.copy()
    soft[round(0.45 * RATE) : round(0.66 * RATE)] *= 0.2
    values = drive(replace(speech, samples=soft))
    assert values[26:41, JAW].max() > values[47:62, JAW].max() + 0.08


def test_rounding_comes_early_through_consonants_that_do_not_care() -> None:
    round_, spread = (drive(spoken(f"pau:200 s:90 t:60 {v}:200 t:60 pau:200")) for v in ("uw", "iy"))
    assert at(round_, 280)[ROUNDING] > 0.1, "70 ms before the vowel"
    assert at(round_, 330)[ROUNDING] > at(spread, 330)[ROUNDING] + 0.3


def test_the_mouth_moves_before_the_sound_but_not_long_before() -> None:
    values = drive(spoken("pau:300 aa:250 pau:300"))
    assert not values[:24].any()
    assert values[29, JAW] > 0.02
    assert values[33, JAW] > 0.25


def test_silence_is_exactly_zero() -> None:
    values = drive(spoken("pau:250 aa:150 t:60 pau:200 iy:150 pau:250"))
    assert not values[0].any()
    assert not values[-1].any()
    assert not values[:19].any()
    assert not values[52:60].any()
    assert not values[-18:].any()


def test_silent_sound_keeps_the_mouth_shut_whatever_the_phones_say() -> None:
    speech = spoken("aa:200 iy:200 s:200")
    assert not drive(replace(speech, samples=np.zeros_like(speech.samples))).any()


def test_a_pause_in_the_phones_shuts_the_mouth_over_faint_breath() -> None:
    speech = spoken("pau:100 aa:200 pau:300 aa:200 pau:100")
    breath = np.random.default_rng(5).standard_normal(speech.samples.size).astype(np.float32) * 0.01
    values = drive(replace(speech, samples=speech.samples + breath))
    assert not values[37:52].any()


def test_closure_follows_the_dip_of_the_sound() -> None:
    speech = spoken("pau:200 aa:150 p:60 aa:150 pau:200")
    late = np.roll(speech.samples, round(0.02 * RATE))
    on_time = drive(speech)[:, PRESS]
    shifted = drive(replace(speech, samples=late))[:, PRESS]
    center = [float(np.average(np.arange(len(p)), weights=p)) for p in (on_time, shifted)]
    assert 0.5 <= center[1] - center[0] <= 3.5


def cut(speech: Speech, at_s: float) -> tuple[Speech, Speech]:
    """Return the speech in two parts, phones cut where the sound is."""
    n = round(at_s * speech.rate)
    before = tuple(replace(p, end_s=min(p.end_s, at_s)) for p in speech.phones if p.start_s < at_s)
    after = tuple(
        Phone(p.symbol, max(0.0, p.start_s - at_s), p.end_s - at_s) for p in speech.phones if p.end_s > at_s
    )
    return (
        replace(speech, samples=speech.samples[:n], phones=before, last=False),
        replace(speech, samples=speech.samples[n:], phones=after),
    )


@pytest.mark.parametrize("at_ms", [260, 300, 330, 400, 430, 480, 550])
def test_parts_of_a_sentence_join_without_a_jump(at_ms: int) -> None:
    speech = spoken("pau:200 aa:160 m:70 ow:150 s:90 iy:150 pau:200")
    driver = PhonemeDriver()
    parts = [driver.drive(part).values for part in cut(speech, at_ms / 1000)]
    joined = np.concatenate(parts)
    whole = drive(speech)
    assert np.abs(np.diff(joined, axis=0)).max() <= max(0.4, 1.3 * np.abs(np.diff(whole, axis=0)).max())
    assert np.abs(joined - whole)[at_ms // 10 + 15 :].max() < 0.15, "and the whole is soon the same again"


def test_reset_forgets() -> None:
    speech = spoken("pau:200 aa:160 m:70 ow:150 pau:100")
    first, second = cut(speech, 0.43)
    driver = PhonemeDriver()
    driver.drive(first)
    driver.reset()
    assert (driver.drive(second).values == PhonemeDriver().drive(second).values).all()


def test_sentences_do_not_depend_on_each_other() -> None:
    speech = spoken("pau:100 aa:160 m:70 ow:150 pau:100")
    driver = PhonemeDriver()
    driver.drive(spoken("pau:100 uw:300 sh:100"))
    assert (driver.drive(speech).values == drive(speech)).all()


def test_motion_is_smooth() -> None:
    text = "pau:200 m:60 ey:150 b:50 iy:80 b:70 aa:160 p:60 s:90 t:40 uw:140 f:80 ae:120 z:80 pau:200"
    values = drive(spoken(text))
    assert np.abs(np.diff(values, 2, axis=0)).max() <= 0.25
    assert np.abs(np.diff(values, axis=0)).max() <= 0.35


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_mandarin_closes_rounds_and_rests_at_any_rate(rate: int) -> None:
    text = "_:200 m:80 A:150 _|:15 p:70 A:150 _|:15 tS;h:120 y:160 _:250"
    values = drive(spoken(text, "espeak", language="cmn", rate=rate))
    assert pressed_ms(values, 180, 300) >= 40
    assert pressed_ms(values, 425, 535) >= 40
    assert at(values, 760)[ROUNDING] > 0.5
    assert not values[:8].any()
    assert not values[-15:].any()


symbols = st.one_of(st.sampled_from(("m", "b", "aa", "pau", "_:", "tS;", "ʃ", "")), st.text(max_size=5))
times = st.floats(-1, 3) | st.sampled_from((float("nan"), float("inf"), float("-inf")))


@given(
    st.lists(st.builds(Phone, symbols, times, times), max_size=20),
    st.integers(0, 20_000),
    st.sampled_from(("arpabet", "espeak", "none")),
    st.booleans(),
    st.sampled_from((8_000, 16_000, 22_050, 48_000)),
)
@settings(deadline=None, max_examples=120)
def test_no_phones_are_too_odd(
    phones: list[Phone],
    count: int,
    alphabet: Literal["arpabet", "espeak", "none"],
    last: bool,
    rate: int,
) -> None:
    samples = (np.random.default_rng(count).standard_normal(count) * 0.1).astype(np.float32)
    speech = Speech(Sentence(NO_TURN, 0, ""), rate, samples, tuple(phones), (), alphabet, last)
    driver = PhonemeDriver()
    for _ in range(2):
        values = driver.drive(speech).values
        assert values.shape == (max(1, -(-count * 100 // rate)), 7)
        assert np.isfinite(values).all()
        assert values.max() <= 1
        assert values.min() >= -1


def test_bad_samples_are_silence() -> None:
    speech = spoken("aa:300")
    samples = speech.samples.copy()
    samples[::7] = np.nan
    samples[1::7] = np.inf
    assert np.isfinite(drive(replace(speech, samples=samples))).all()


def test_without_phones_it_listens() -> None:
    speech = replace(spoken("pau:300 aa:250 pau:100 iy:200 pau:300"), phones=(), alphabet="none")
    values = drive(speech)
    assert values[35:50, JAW].max() > 0.2
    assert not values[-10:].any()
