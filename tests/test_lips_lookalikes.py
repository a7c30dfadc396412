"""What is computed of faces is kept by look: one stands for those that look like it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from vcam_talker.config import LipsConfig
from vcam_talker.core.clock import frame_pts
from vcam_talker.core.types import MOUTH_PARAMS, FaceInput
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.neural.crops import to_rgb
from vcam_talker.face.neural.lookalikes import Lookalikes
from vcam_talker.face.neural.model import Floats, open_model
from vcam_talker.face.neural.package import choose_model, load_package
from vcam_talker.face.neural.sitting import sit
from vcam_talker.persona import load_persona

pytestmark = pytest.mark.unit

FACE = np.random.default_rng(1).random((96, 128, 3), np.float32)
SIZE = 400
"""Bytes of what is computed of a face."""


class Network:
    """Answers with the face's number of looks so far."""

    def __init__(self, max_bytes: int = 10 * SIZE) -> None:
        self.kept = Lookalikes(max_bytes)
        self.seen = 0

    def of(self, key: int, face: Floats) -> float:
        def see() -> Floats:
            self.seen += 1
            return face

        def compute(found: Floats) -> dict[str, Floats]:
            assert found is face
            return {"f": np.full(SIZE // 4, self.kept.computed, np.float32)}

        return float(self.kept.of(key, see, compute)["f"][0])


def brighter(levels: float) -> Floats:
    return FACE + np.float32(levels / 255)


def test_what_looks_alike_is_computed_once() -> None:
    network = Network()
    assert [network.of(key, brighter(levels)) for key, levels in enumerate((0, 1, 20, 2, 21))] == [
        0,
        0,
        1,
        0,
        1,
    ]
    assert network.kept.computed == len(network.kept) == 2
    network.of(4, brighter(0))
    assert network.seen == 5, "what is known under a key is not looked at again"


def test_the_nearest_stands_in() -> None:
    network = Network()
    network.of(0, brighter(0))
    network.of(1, brighter(4))
    assert network.of(2, brighter(1.9)) == 0
    assert network.of(3, brighter(2.1)) == 1


def test_without_room_less_likeness_will_do_and_else_it_is_computed() -> None:
    network = Network(max_bytes=2 * SIZE)
    for key, levels in enumerate((0, 50)):
        network.of(key, brighter(levels))
    assert network.of(2, brighter(6)) == 0
    assert network.of(3, brighter(25)) == 2
    assert network.of(3, brighter(25)) == 2, "the latest is kept besides"
    assert network.of(4, brighter(100)) == 3
    assert network.of(3, brighter(25)) == 4
    assert len(network.kept) == 2


def test_another_presenter_is_looked_at_anew() -> None:
    network = Network()
    network.of(0, FACE)
    network.kept.clear()
    assert len(network.kept) == 0
    assert network.of(0, FACE) == 1
    assert network.kept.computed == 2


def test_many_are_told_apart() -> None:
    network = Network(max_bytes=100 * SIZE)
    assert [network.of(key, brighter(5 * key)) for key in range(60)] == list(range(60))
    assert [network.of(100 + key, brighter(5 * key + 1)) for key in range(60)] == list(range(60))


def test_elena_looks_the_same_with_the_features_of_her_lookalike() -> None:
    """Over two seconds of her clip few faces are computed; neither pictures nor motion show it."""
    persona = load_persona("elena")
    folder = choose_model(persona, LipsConfig())
    assert folder is not None
    package = load_package(folder)
    sitting, scene = sit(persona, package, (1280, 720)), ClipScene(persona, 1280, 720)
    crops = []
    for number in range(60):
        picture = scene.draw(frame_pts(number, 30), FaceInput()).pixels
        crops.append(sitting.crops.cut(picture, scene.to_patch(scene.shown)))
    pose = np.zeros(len(MOUTH_PARAMS), np.float32)
    pose[MOUTH_PARAMS.index("jaw")] = 0.5
    model = open_model(package, LipsConfig(engine="ort", precision="fp32", threads=1), sitting.rest)
    model.begin(sitting.references)
    before = model.faces_computed
    kept = [to_rgb(model.draw([crop], [key], [pose])[0]).astype(float) for key, crop in enumerate(crops)]
    assert 1 <= model.faces_computed - before <= 15
    exact = []
    for crop in crops[30:40]:
        model.begin(sitting.references)
        exact.append(to_rgb(model.draw([crop], [0], [pose])[0]).astype(float))
    model.close()
    shared = kept[30:40]
    errors = [np.square(a - b).mean() for a, b in zip(exact, shared, strict=True)]
    assert 10 * np.log10(255**2 / max(errors)) > 44
    added = [
        np.abs((b1 - b0) - (a1 - a0)).mean()
        for (a0, a1), (b0, b1) in zip(pairwise(exact), pairwise(shared), strict=True)
    ]
    assert max(added) < 0.5, "of 255: mean of what comes and goes besides"
