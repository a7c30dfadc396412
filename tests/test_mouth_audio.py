"""The audio driver: it hears vowels, hisses and murmurs, and stays shut in silence and noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.spoken import RATE, spoken
from vcam_talker.core.types import NO_TURN, Samples, Sentence, Speech
from vcam_talker.face.acoustics import analyse
from vcam_talker.face.audio import AudioDriver
from vcam_talker.face.motion import JAW, PRESS, TEETH

pytestmark = pytest.mark.unit


def heard(samples: Samples, rate: int = RATE, *, last: bool = True) -> Speech:
    return Speech(Sentence(NO_TURN, 0, ""), rate, samples.astype(np.float32), last=last)


def drive(samples: Samples, rate: int = RATE) -> np.ndarray:
    return AudioDriver().drive(heard(samples, rate)).values


def vowel(f1: float, f2: float, seconds: float = 0.3, rate: int = RATE) -> np.ndarray:
    """Return a vowel: pulses at 120 Hz through four resonances."""
    out = np.zeros(round(seconds * rate))
    out[:: rate // 120] = 1.0
    for hz, width in ((f1, 70), (f2, 90), (2600, 140), (3600, 200)):
        r, w = np.exp(-np.pi * width / rate), 2 * np.pi * hz / rate
        a1, a2, y1, y2 = 2 * r * np.cos(w), -r * r, 0.0, 0.0
        filtered = np.empty_like(out)
        for i, x in enumerate(out):
            y1, y2 = x + a1 * y1 + a2 * y2, y1
            filtered[i] = y1
        out = filtered / (np.abs(filtered).max() + 1e-9)
    return 0.3 * out


def noise(seconds: float, rms: float, seed: int = 1) -> np.ndarray:
    return rms * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


QUIET = np.zeros(round(0.4 * RATE))


@pytest.mark.parametrize(("f1", "f2"), [(300, 2200), (500, 1500), (700, 1150), (450, 850)])
def test_formants_are_found_whatever_the_rate(f1: int, f2: int) -> None:
    for rate in (16_000, 48_000):
        found = analyse(vowel(f1, f2, rate=rate).astype(np.float32), rate, 30)
        assert np.median(found.f1_hz[5:25]) == pytest.approx(f1, abs=90)
        assert np.median(found.f2_hz[5:25]) == pytest.approx(f2, rel=0.12)


def test_levels_are_full_scale_decibels() -> None:
    t = np.arange(RATE) / RATE
    found = analyse((0.5 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32), RATE, 100)
    assert found.level_db[50] == pytest.approx(-9.03, abs=0.3)
    assert found.mid_db[50] == pytest.approx(-9.03, abs=0.3)
    assert found.low_db[50] < -60


def test_open_vowels_open_wider_than_close_ones() -> None:
    wide, narrow = (
        drive(np.concatenate((QUIET, sound, QUIET)))[50:65, JAW].mean()
        for sound in (vowel(750, 1300), vowel(290, 2200))
    )
    assert wide > narrow + 0.1
    assert wide > 0.3


def test_hiss_bares_the_teeth() -> None:
    hiss = np.diff(noise(0.25, 0.05))
    values = drive(np.concatenate((QUIET, vowel(700, 1200, 0.2), hiss, vowel(700, 1200, 0.2), QUIET)))
    middle = values[72]
    assert middle[TEETH] > 0.7
    assert middle[JAW] < 0.2


def test_a_murmur_closes_the_lips() -> None:
    t = np.arange(round(0.1 * RATE)) / RATE
    murmur = 0.12 * np.sin(2 * np.pi * 130 * t)
    values = drive(np.concatenate((QUIET, vowel(700, 1200, 0.2), murmur, vowel(700, 1200, 0.2), QUIET)))
    assert values[62:68, PRESS].max() > 0.8
    assert values[62:68, JAW].min() < 0.05


def test_silence_is_exactly_shut() -> None:
    assert not drive(np.zeros(RATE)).any()
    values = drive(np.concatenate((QUIET, vowel(700, 1200), QUIET, vowel(500, 1500), QUIET)))
    for start, stop in ((0, 33), (76, 104), (146, 180)):
        assert not values[start:stop].any()
    assert values[45:65, JAW].min() > 0.2


@pytest.mark.parametrize("rms", [0.001, 0.01, 0.05])
def test_steady_noise_keeps_the_mouth_shut(rms: float) -> None:
    assert not drive(noise(3.0, rms)).any()
    t = np.arange(3 * RATE) / RATE
    assert not drive(rms * np.sin(2 * np.pi * 50 * t) + noise(3.0, rms / 10)).any()


def test_speech_over_noise_opens_and_its_pauses_shut() -> None:
    clean = np.concatenate([np.concatenate((QUIET, vowel(700, 1200, 0.25))) for _ in range(4)] + [QUIET])
    level = np.sqrt(np.mean(clean[clean != 0] ** 2))
    values = drive(clean + noise(len(clean) / RATE, level * 10 ** (-20 / 20))[: len(clean)])
    assert values[45:60, JAW].max() > 0.2
    for n in range(4):
        assert not values[65 * n + 10 : 65 * n + 30].any()


def test_clicks_are_ignored() -> None:
    sound = np.zeros(2 * RATE)
    for at in (4_000, 12_000, 20_000, 28_000):
        sound[at : at + 80] = 0.5
    assert not drive(sound).any()


def test_parts_join_without_a_jump_and_remember_the_noise() -> None:
    sound = np.concatenate((QUIET, vowel(700, 1200, 0.5), vowel(300, 2200, 0.4), QUIET)) + noise(1.7, 0.004)
    driver = AudioDriver()
    parts = np.array_split(sound, 7)
    values = np.concatenate(
        [driver.drive(heard(part, last=n == len(parts) - 1)).values for n, part in enumerate(parts)]
    )
    assert np.abs(np.diff(values, axis=0)).max() < 0.4
    assert values[55:80, JAW].max() > 0.25
    assert not values[-15:].any()


def test_reset_forgets() -> None:
    part = heard(vowel(700, 1200, 0.4), last=False)
    driver = AudioDriver()
    first = driver.drive(part).values
    assert (driver.drive(part).values != first).any()
    driver.reset()
    assert (driver.drive(part).values == first).all()


def test_motion_is_smooth() -> None:
    values = AudioDriver().drive(spoken("pau:200 m:80 aa:150 s:90 iy:160 b:60 ow:200 pau:250")).values
    assert values[:, JAW].max() > 0.2
    assert np.abs(np.diff(values, 2, axis=0)).max() <= 0.25


@given(
    st.integers(0, 3_000),
    st.sampled_from((8_000, 11_025, 16_000, 44_100, 48_000)),
    st.sampled_from((0.0, 1e-12, 1e-3, 1.0, 1e6, float("nan"), float("inf"))),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_no_sound_is_too_odd(count: int, rate: int, scale: float, last: bool) -> None:
    samples = (np.random.default_rng(count).standard_normal(count) * scale).astype(np.float32)
    driver = AudioDriver()
    for _ in range(2):
        values = driver.drive(heard(samples, rate, last=last)).values
        assert values.shape == (max(1, -(-count * 100 // rate)), 7)
        assert np.isfinite(values).all()
        assert values.max() <= 1
        assert values.min() >= -1
