"""What every scene promises: the right size, no black, its own PTS, the same picture for the same story."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.support import clip_persona
from vcam_talker import registry
from vcam_talker.core.clock import frame_pts
from vcam_talker.core.stages import Scene
from vcam_talker.core.types import Activity, Emotion, FaceInput, Pts
from vcam_talker.persona import load_persona

pytestmark = pytest.mark.contract

_PERSONA: dict[str, Callable[[], str]] = {
    "rig": lambda: "mira",
    "clip": lambda: str(clip_persona.shared()),
    "testcard": lambda: "testcard",
    "still": lambda: "testcard",
}
_SIZES = [(320, 180), (640, 360), (180, 320)]
_OPEN = np.array([0.6, 0.2, 0.1, 0.0, 0.4, 0.2, 0.0], np.float32)


def _scene(kind: str, size: tuple[int, int] = (320, 180), seed: int = 5) -> Scene:
    made: Scene = registry.find("scene", kind)(load_persona(_PERSONA[kind]()), *size, seed)
    return made


def _story(scene: Scene, frames: int = 45) -> list[np.ndarray]:
    """Be idle, speak with a mood, be idle again."""
    shown = []
    for n in range(frames):
        speaking = frames // 3 <= n < 2 * frames // 3
        face = FaceInput(_OPEN, Emotion.HAPPY, Activity.SPEAKING, 0.8) if speaking else FaceInput()
        shown.append(scene.draw(frame_pts(n, 30), face).pixels.copy())
    return shown


@pytest.mark.parametrize("kind", sorted(registry.ENGINES["scene"]))
class TestEveryScene:
    def test_is_registered_with_a_persona_here(self, kind: str) -> None:
        assert kind in _PERSONA

    @pytest.mark.parametrize("size", _SIZES)
    def test_frames_have_the_size_asked_for(self, kind: str, size: tuple[int, int]) -> None:
        scene = _scene(kind, size)
        assert scene.size == size
        for frame in (scene.still(), scene.draw(Pts(7), FaceInput())):
            assert (frame.width, frame.height) == size
            assert frame.format == "yuv420p"
            assert frame.pixels.dtype == np.uint8

    def test_carries_the_pts_it_was_asked_for(self, kind: str) -> None:
        scene = _scene(kind)
        for n in (0, 1, 2, 100, 30 * 86_400):
            assert scene.draw(frame_pts(n, 30), FaceInput()).pts == frame_pts(n, 30)

    def test_is_never_black_and_never_flat(self, kind: str) -> None:
        scene = _scene(kind)
        for pixels in [*_story(scene), scene.still().pixels]:
            luma = pixels[:180]
            assert luma.mean() > 30
            assert luma.std() > 2

    def test_is_the_same_for_one_seed_and_story(self, kind: str) -> None:
        for first, second in zip(_story(_scene(kind)), _story(_scene(kind)), strict=True):
            np.testing.assert_array_equal(first, second)

    def test_published_pictures_do_not_change_afterwards(self, kind: str) -> None:
        scene = _scene(kind)
        first = scene.draw(Pts(0), FaceInput()).pixels
        kept = first.copy()
        _story(scene)
        np.testing.assert_array_equal(first, kept)

    def test_survives_a_mouth_at_its_limits(self, kind: str) -> None:
        scene = _scene(kind)
        for n, value in enumerate((-1.0, 1.0)):
            for emotion in Emotion:
                face = FaceInput(np.full(7, value, np.float32), emotion, Activity.SPEAKING, 1.0)
                assert scene.draw(frame_pts(n, 30), face).pixels.any()

    @pytest.mark.parametrize("step_s", [0.0, 3600.0, -5.0])
    def test_survives_jumps_of_time(self, kind: str, step_s: float) -> None:
        scene = _scene(kind)
        scene.draw(Pts(10_000_000_000), FaceInput())
        pts = Pts(10_000_000_000 + int(step_s * 1e9))
        assert scene.draw(pts, FaceInput()).pts == pts
