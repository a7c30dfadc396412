"""The null engines: a resting mouth and a calm card."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.spoken import spoken
from vcam_talker.core.types import Activity, FaceInput, Pts
from vcam_talker.face.still import StillDriver, StillScene
from vcam_talker.persona import Persona, VoiceSection

pytestmark = pytest.mark.unit


def persona(name: str) -> Persona:
    return Persona(title="T", fallback=("?",), voice=VoiceSection(engine="tone", name="sine"), name=name)


def test_the_still_driver_rests() -> None:
    values = StillDriver().drive(spoken("aa:250")).values
    assert values.shape == (25, 7)
    assert not values.any()


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (640, 362), (2, 2), (1920, 1080)])
def test_the_card_is_a_calm_picture_of_the_right_size(width: int, height: int) -> None:
    scene = StillScene(persona("a"), width, height)
    frame = scene.still()
    assert scene.size == (frame.width, frame.height) == (width, height)
    assert frame.pixels.shape == (height * 3 // 2, width)
    assert frame.pixels.dtype == np.uint8
    luma = frame.pixels[:height]
    assert luma.min() > 40, "never black"
    assert luma.max() < 220


def test_every_frame_carries_the_same_pixels_and_its_own_pts() -> None:
    scene = StillScene(persona("a"), 64, 36, seed=3)
    first = scene.draw(Pts(0), FaceInput())
    second = scene.draw(Pts(33), FaceInput(activity=Activity.SPEAKING, energy=1.0))
    assert second.pixels is first.pixels is scene.still().pixels
    assert second.pts == 33
    assert not first.pixels.flags.writeable


def test_the_gradient_has_no_bands() -> None:
    luma = StillScene(persona("a"), 640, 360).still().pixels[:360].astype(int)
    rows = luma.mean(axis=1)
    assert np.ptp(rows) > 20
    assert np.abs(np.diff(rows)).max() < 1.5


def test_seed_decides_the_grain_and_the_name_the_tint() -> None:
    one, same, other = (StillScene(persona("a"), 64, 36, seed=s).still().pixels for s in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()
    tints = {StillScene(persona(name), 64, 36).still().pixels[36:].mean().round() for name in "abcdefgh"}
    assert len(tints) > 1


@pytest.mark.parametrize("size", [(0, 2), (3, 4), (4, 3), (-2, 2)])
def test_odd_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="even"):
        StillScene(persona("a"), *size)
