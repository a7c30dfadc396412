"""What every face driver promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.support.spoken import RATE, spoken
from vcam_talker.core.stages import FaceDriver
from vcam_talker.core.types import NO_TURN, Sentence, Speech
from vcam_talker.registry import ENGINES, find

pytestmark = pytest.mark.contract

TEXT = "pau:250 m:90 aa:160 b:70 iy:150 s:100 t:40 ow:180 pau:300"


@pytest.fixture(params=sorted(ENGINES["face_driver"]))
def make(request: pytest.FixtureRequest) -> Callable[[], FaceDriver]:
    engine: Callable[[], FaceDriver] = find("face_driver", request.param)
    return engine


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("last", [True, False])
def test_poses_cover_the_speech(make: Callable[[], FaceDriver], rate: int, last: bool) -> None:
    speech = replace(spoken(TEXT, rate=rate), last=last)
    values = make().drive(speech).values
    assert values.shape == (-(-speech.samples.size * 100 // rate), 7)
    assert values.dtype == np.float32


def test_poses_stay_in_range(make: Callable[[], FaceDriver]) -> None:
    values = make().drive(spoken(TEXT)).values
    assert values.max() <= 1
    assert values[:, 1].min() >= -1
    assert np.delete(values, 1, axis=1).min() >= 0


def test_silence_shuts_the_mouth(make: Callable[[], FaceDriver]) -> None:
    values = make().drive(spoken(TEXT)).values
    assert not values[:15].any()
    assert not values[-20:].any()
    silent = spoken("pau:500")
    assert not make().drive(silent).values.any()


def test_a_sentence_begins_and_ends_at_rest(make: Callable[[], FaceDriver]) -> None:
    driver = make()
    for text in (TEXT, "aa:300", "uw:200 m:100", "s:60"):
        values = driver.drive(spoken(text)).values
        assert values[0, 0] < 0.2
        assert not values[-1].any()


@pytest.mark.parametrize("count", [0, 1, 159, 160, 161, 500])
def test_tiny_parts_are_fine(make: Callable[[], FaceDriver], count: int) -> None:
    samples = np.full(count, 0.1, np.float32)
    for alphabet in ("arpabet", "espeak", "none"):
        speech = Speech(Sentence(NO_TURN, 0, ""), RATE, samples, alphabet=alphabet)
        assert make().drive(speech).values.shape == (max(1, -(-count // 160)), 7)


def test_parts_join_without_a_jump(make: Callable[[], FaceDriver]) -> None:
    driver = make()
    first = driver.drive(spoken("pau:200 m:80 aa:160", last=False)).values
    second = driver.drive(spoken("iy:150 s:90 pau:200")).values
    joined = np.concatenate((first, second))
    assert np.abs(np.diff(joined, axis=0)).max() <= 0.45


def test_motion_is_bounded(make: Callable[[], FaceDriver]) -> None:
    values = make().drive(spoken(TEXT)).values
    assert np.abs(np.diff(values, 2, axis=0)).max() <= 0.3


def test_reset_makes_it_new(make: Callable[[], FaceDriver]) -> None:
    speech = spoken("aa:150 m:80 iy:150 pau:150")
    driver = make()
    driver.drive(spoken("pau:100 uw:300", last=False))
    driver.reset()
    driver.reset()
    assert (driver.drive(speech).values == make().drive(speech).values).all()


def test_a_track_is_the_callers_own(make: Callable[[], FaceDriver]) -> None:
    driver = make()
    speech = spoken("pau:100 aa:200", last=False)
    first = driver.drive(speech).values
    kept = first.copy()
    driver.drive(speech)
    assert (first == kept).all()
