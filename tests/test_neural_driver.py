"""The neural driver: closures and silence are certain, parts join, sound alone moves it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.spoken import RATE, spoken
from vcam_talker.core.types import NO_TURN, Sentence, Speech
from vcam_talker.face.evaluate import closed, closures, open_in_silence
from vcam_talker.face.motion import JAW, PRESS
from vcam_talker.face.neural.driver import NeuralDriver
from vcam_talker.face.neural.sound import Listener, SoundNet, shipped
from vcam_talker.face.phonemes import PhonemeDriver

pytestmark = pytest.mark.unit

TEXT = "pau:250 m:90 aa:160 b:70 iy:150 s:100 p:60 ow:180 f:80 ae:150 pau:300"


class FakeNet(SoundNet):
    """Answers with the same whatever it hears: wide open, or what a test wants."""

    def __init__(self, row: np.ndarray) -> None:
        bias = np.asarray(row, np.float32)
        real = shipped()
        super().__init__(real._taps, real._weights)
        self._row = bias

    def _some(self, x: np.ndarray) -> np.ndarray:
        return np.repeat(self._row[None], len(x) - self.past - self.ahead, axis=0)


GAPING = np.array([9, 0, -9, -9, -9, -9, -9, -9, -9], np.float32)
"""Jaw 1, lips neither pressed nor at rest."""


def test_timings_close_bilabials_whatever_is_heard() -> None:
    speech = spoken(TEXT)
    values = NeuralDriver(FakeNet(GAPING)).drive(speech).values
    assert closures(speech, values) == (3, 3)
    assert open_in_silence(speech, values) == 0


def test_a_vowel_is_half_the_sounds() -> None:
    speech = spoken("pau:200 aa:300 pau:300")
    values, read = NeuralDriver(FakeNet(GAPING)).drive(speech).values, PhonemeDriver().drive(speech).values
    assert values[35, JAW] == pytest.approx((1 + read[35, JAW]) / 2, abs=0.02)


def test_where_it_is_certain_it_is_the_phoneme_driver() -> None:
    speech = spoken(TEXT)
    values, read = NeuralDriver(FakeNet(GAPING)).drive(speech).values, PhonemeDriver().drive(speech).values
    certain = closed(read) | ~read.any(axis=1)
    assert certain.sum() > 50
    assert np.abs(values - read)[certain].max() < 1e-6
    assert (values[:, PRESS] == read[:, PRESS]).all()


def test_sound_alone_closes_where_the_network_is_sure() -> None:
    sound = spoken("aa:1000").samples
    speech = Speech(Sentence(NO_TURN, 0, ""), RATE, sound)
    pressed = GAPING.copy()
    pressed[7] = 9
    values = NeuralDriver(FakeNet(pressed)).drive(speech).values
    assert closed(values)[10:90].all()
    open_ = NeuralDriver(FakeNet(GAPING)).drive(speech).values
    assert open_[20:80, JAW].min() > 0.9
    resting = GAPING.copy()
    resting[8] = 9
    assert not NeuralDriver(FakeNet(resting)).drive(speech).values.any()


def test_digital_silence_shuts_even_a_network_that_gapes() -> None:
    speech = replace(spoken("aa:300 pau:400 iy:300"), phones=(), alphabet="none")
    values = NeuralDriver(FakeNet(GAPING)).drive(speech).values
    assert not values[37:63].any()
    assert values[15, JAW] > 0.9


def test_the_shipped_network_follows_a_made_up_voice() -> None:
    speech = replace(spoken("pau:200 aa:300 pau:300 aa:250 pau:200"), phones=(), alphabet="none")
    values = NeuralDriver().drive(speech).values
    assert values[25:45, JAW].max() > 0.1
    assert not values[60:75].any()


def test_parts_are_the_whole_but_at_their_seams() -> None:
    whole = spoken("pau:200 aa:300 iy:300 ow:300 s:100 aa:400 pau:200")
    alone = replace(whole, phones=(), alphabet="none")
    expected = NeuralDriver().drive(alone).values
    driver, at = NeuralDriver(), 0
    for count in (70, 60, 50):
        samples = alone.samples[at * 160 : (at + count) * 160]
        part = driver.drive(replace(alone, samples=samples, last=at + count == 180)).values
        seam = 12
        inner = slice(seam if at else 0, count - (seam if at + count < 180 else 0))
        assert np.abs(part - expected[at : at + count])[inner].max() < 0.02
        at += count


def test_phones_that_come_and_go() -> None:
    driver = NeuralDriver()
    first = driver.drive(spoken("pau:100 m:80 aa:200", last=False)).values
    second = driver.drive(replace(spoken("iy:200 ow:200", last=False), phones=(), alphabet="none")).values
    third = driver.drive(spoken("aa:200 b:80 pau:200")).values
    joined = np.concatenate((first, second, third))
    assert np.abs(np.diff(joined, axis=0)).max() < 0.45
    assert not third[-1].any()


def test_bad_samples_and_odd_phones_raise_nothing() -> None:
    speech = spoken(TEXT)
    broken = speech.samples.copy()
    broken[1000:3000:7] = np.nan
    broken[5000:5010] = np.inf
    for phones in (speech.phones, ()):
        values = NeuralDriver().drive(replace(speech, samples=broken, phones=phones)).values
        assert np.isfinite(values).all()


def test_a_network_is_read_once() -> None:
    assert shipped() is shipped()
    assert Listener(shipped()).ahead == 11
