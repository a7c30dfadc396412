"""The mark that says what viewers see: on every frame of any scene, in its corner alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import clip_persona
from vcam_talker.app.air import make_scene
from vcam_talker.config import Config, override
from vcam_talker.core.errors import PersonaError
from vcam_talker.core.types import FaceInput, Pixels, Pts
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.disclosure import DisclosedScene
from vcam_talker.face.still import StillScene
from vcam_talker.persona import Persona, load_persona

pytestmark = pytest.mark.unit

TEXT = "AI presenter"


def persona(name: str, mark: str = "") -> Persona:
    found = load_persona(name)
    return found.model_copy(update={"face": found.face.model_copy(update={"disclosure": mark})})


def small(persona: Persona, mark: str = "") -> object:
    return make_scene(
        persona, override(Config(), {"air.width": 640, "air.height": 360, "air.disclosure": mark})
    )


def box_of_change(a: Pixels, b: Pixels) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(a != b)
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (320, 180), (180, 320), (1920, 1080), (160, 160)])
@pytest.mark.parametrize("text", [TEXT, "KI", "An AI presenter talks here, nobody of flesh and blood does"])
def test_it_lies_in_the_lower_left_corner_alone(size: tuple[int, int], text: str) -> None:
    scene = StillScene(persona("testcard"), *size)
    marked = DisclosedScene(scene, text)
    assert marked.size == size
    width, height = size
    for bare, drawn in (
        (scene.draw(Pts(5), FaceInput()), marked.draw(Pts(5), FaceInput())),
        (scene.still(), marked.still()),
    ):
        assert drawn.pts == bare.pts
        left, top, right, bottom = box_of_change(bare.pixels[:height], drawn.pixels[:height])
        assert 0 < left < width / 8
        assert right < width
        assert height * 0.8 < top
        assert bottom < height - 1
        for plane in range(2):
            planes = [f.pixels[height:].reshape(2, height // 2, width // 2)[plane] for f in (bare, drawn)]
            x0, y0, x1, y1 = box_of_change(*planes)
            assert left // 2 - 1 <= x0
            assert x1 <= right // 2 + 1
            assert top // 2 - 1 <= y0
            assert y1 <= bottom // 2 + 1


def test_it_can_be_read_on_light_and_dark() -> None:
    scene = StillScene(persona("testcard"), 1280, 720)
    for luma in (16, 128, 235):
        scene._pixels = np.full((1080, 1280), 128, np.uint8)
        scene._pixels[:720] = luma
        marked = DisclosedScene(scene, TEXT)
        mark = marked._mark
        box = marked.still().pixels[mark._y : mark._y + mark._rows, mark._x : mark._x + mark._columns]
        plate, ink = np.percentile(box, [30, 97])
        assert ink - plate > 90
        assert box.min() >= 16


def test_the_same_picture_stays_the_same_object() -> None:
    marked = DisclosedScene(StillScene(persona("testcard"), 640, 360), TEXT)
    first = marked.draw(Pts(0), FaceInput()).pixels
    assert marked.draw(Pts(1), FaceInput()).pixels is first
    assert not first.flags.writeable


def test_a_text_that_no_font_has_is_refused() -> None:
    with pytest.raises(PersonaError, match=r"no font .* Install one"):
        DisclosedScene(StillScene(persona("testcard"), 640, 360), "\U000e0041")


@pytest.mark.parametrize("name", ["mira", "testcard"])
def test_a_persona_asks_for_it(name: str) -> None:
    assert isinstance(small(persona(name, TEXT)), DisclosedScene)
    assert not isinstance(small(persona(name)), DisclosedScene)


def test_the_configuration_asks_for_it_whoever_is_on_air() -> None:
    assert isinstance(small(persona("mira"), TEXT), DisclosedScene)
    folder = clip_persona.shared()
    assert isinstance(small(persona(str(folder))), ClipScene)
    assert isinstance(small(persona(str(folder)), TEXT), DisclosedScene)
