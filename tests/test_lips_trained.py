"""The networks that are kept: the teacher of what ships, and the reader of mouths that judges both."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from studio.lips.keep import PLACE, READER
from studio.lips.picture.evaluate import read, reader_of
from studio.lips.picture.train import load
from vcam_talker.core.types import MOUTH_PARAMS
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.neural.crops import Crops, to_rgb
from vcam_talker.face.neural.region import REGION
from vcam_talker.nets.lips import SIZE, TEACHER, LipsNet, composed
from vcam_talker.persona import load_persona

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "vcam_talker" / "models" / "lips"
JAWS = (0.0, 0.2, 0.4, 0.6, 0.8)


@pytest.fixture(scope="module")
def face() -> Tensor:
    """Elena's mouth at rest, float32[1, 3, 96, 128]."""
    scene = ClipScene(load_persona("elena"), 1280, 720)
    crop = Crops(scene.assets, REGION, SIZE).cut(scene.still().pixels, scene.to_patch(0))
    small = cv2.resize(to_rgb(crop), SIZE[::-1], interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255


def drawn(net: LipsNet, face: Tensor) -> Tensor:
    poses = torch.zeros(len(JAWS), len(MOUTH_PARAMS))
    poses[:, MOUTH_PARAMS.index("jaw")] = torch.tensor(JAWS)
    rest = face.expand(len(JAWS), -1, -1, -1)
    with torch.inference_mode():
        return composed(rest, rest, *net(rest, rest, poses))


def test_what_ships_draws_as_its_teacher_does_with_a_fifteenth_of_the_numbers(face: Tensor) -> None:
    teacher, student = load(ROOT / PLACE / "teacher"), load(SHIPPED)
    assert teacher.plan()["channels"] == TEACHER
    sizes = [sum(p.numel() for p in net.parameters()) for net in (teacher, student)]
    assert sizes[0] >= 15 * sizes[1]
    taught, learnt = drawn(teacher, face), drawn(student, face)
    assert float((taught - learnt).abs().mean()) < 0.3 * float((taught[1:] - face).abs().mean())


def test_the_reader_sees_how_far_they_open_a_mouth(face: Tensor) -> None:
    reader = reader_of(ROOT / PLACE / READER)
    for folder in (ROOT / PLACE / "teacher", SHIPPED):
        pictures = drawn(load(folder), face).permute(0, 2, 3, 1).numpy()
        heights = read(reader, np.ascontiguousarray(pictures))[:, 0]
        assert heights[0] < 1.0
        assert (np.diff(heights) > 0.5).all(), heights
