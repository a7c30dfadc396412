"""A face of a few shapes with an exact mouth: cheap, needs no head pack, for tests of all but the looks."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
import skia

from studio.character import Character
from studio.pose import Pose
from studio.truth.render import Label, TruthFrame
from studio.truth.shot import Shot
from vcam_talker.core.types import Pixels
from vcam_talker.face.motion import JAW, PRESS, ROUNDING, TEETH, TONGUE, WIDTH

Points = npt.NDArray[np.float64]
"""float64[N, 2], in face units: the face is 2 across and 2.6 down, its middle is 0."""

_MOUTH_Y: Final = 0.62
_BLACK: Final = "#2a0f10"


class FakeRenderer:
    """TruthRenderer without a renderer."""

    def __init__(self, size: int) -> None:
        self._size = size

    def person(self, character: Character, seed: int) -> FakePerson:
        """Return a person of ellipses."""
        return FakePerson(character, seed, self._size)


class FakePerson:
    """RenderedPerson of ellipses; about half a millisecond a frame."""

    def __init__(self, character: Character, seed: int, size: int) -> None:
        self._character = character
        self._wide = 0.9 + 0.2 * ((seed * 2654435761) % 1000) / 1000
        self._size = size
        self._pixels = np.zeros((size, size, 4), np.uint8)
        self._labels = np.zeros((size, size, 4), np.uint8)
        self._canvas = _canvas(self._pixels)
        self._label_canvas = _canvas(self._labels)

    def frame(self, pose: Pose, shot: Shot) -> TruthFrame:
        """Draw one moment."""
        who = self._character
        outer, inner = _lips(pose)
        placed = _placement(self._size, pose, shot)
        self._canvas.clear(_colour(shot.background_colours[0]))
        self._label_canvas.clear(0)
        face = _ring(0.0, 0.0, 0.95 * self._wide, 1.25, 48)
        self._fill(face, placed, who.skin.tone, Label.FACE)
        for side, shut in zip((-0.38, 0.38), pose.lids, strict=True):
            height = 0.09 * (1 - min(1.0, max(0.0, shut)))
            self._fill(_ring(side, -0.25, 0.16, height, 16), placed, who.eyes.white, Label.FACE)
            gaze = side + pose.gaze_right_deg / 250
            self._fill(_ring(gaze, -0.25, 0.07, min(0.07, height), 16), placed, who.eyes.iris, Label.FACE)
        self._fill(outer, placed, who.skin.lips, Label.LIPS)
        self._fill(inner, placed, _BLACK, Label.MOUTH)
        middle, height = inner[:, 1].mean(), float(np.ptp(inner[:, 1]))
        teeth, tongue = float(pose.mouth[TEETH]), float(pose.mouth[TONGUE])
        if height > 0.02:
            across = float(np.ptp(inner[:, 0])) / 2
            white = _ring(0, middle - 0.3 * height, 0.7 * across, 0.2 * height * teeth, 16)
            self._fill(white, placed, "#eeeae0", Label.TEETH)
            red = _ring(0, middle + 0.3 * height, 0.6 * across, 0.15 * height * (0.3 + tongue), 16)
            self._fill(red, placed, "#b05a55", Label.TONGUE)
        jaw = _ring(0, 0, 0.95 * self._wide, 1.25 + 0.12 * float(pose.mouth[JAW]), 32)[1:16]
        chin = jaw[np.linspace(14, 0, 9).astype(int)]
        landmarks = placed(np.concatenate([outer, inner, chin])).astype(np.float32)
        gap = landmarks[29] - landmarks[23]
        return TruthFrame(
            rgb=self._pixels[..., :3].copy(),
            landmarks=landmarks,
            aperture_px=float(np.hypot(gap[0], gap[1])),
            masks=self._labels[..., 0].copy(),
        )

    def _fill(self, ring: Points, placed: _Placement, colour: str, label: Label) -> None:
        path = skia.Path()
        path.addPoly([skia.Point(float(x), float(y)) for x, y in placed(ring)], True)
        self._canvas.drawPath(path, skia.Paint(AntiAlias=True, Color=_colour(colour)))
        grey = skia.Color(int(label), int(label), int(label))
        self._label_canvas.drawPath(path, skia.Paint(AntiAlias=False, Color=grey))


class _Placement:
    def __init__(self, turn: Points, offset: Points) -> None:
        self._turn, self._offset = turn, offset

    def __call__(self, points: Points) -> Points:
        return points @ self._turn.T + self._offset


def _placement(size: int, pose: Pose, shot: Shot) -> _Placement:
    """Return what takes face units to pixels: a head that turns grows narrow."""
    angle = math.radians(pose.roll_deg + shot.tilt_deg)
    narrow = math.cos(math.radians(pose.yaw_deg)), math.cos(math.radians(pose.pitch_deg))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shift = np.array([0.1 * pose.yaw_deg / 30, -0.08 * pose.pitch_deg / 18]) + np.array(shot.offset)
    return _Placement(turn * np.array(narrow) * (0.36 * size * shot.scale), size * (0.5 + shift))


def _lips(pose: Pose) -> tuple[Points, Points]:
    """Return the outer ring (20) and the inner ring (12) of the lips."""
    mouth = [float(x) for x in pose.mouth]
    half = 0.34 * (1 + 0.22 * mouth[WIDTH]) * (1 - 0.25 * mouth[ROUNDING])
    gap = 0.30 * mouth[JAW] * (1 - mouth[PRESS])
    lip = 0.10 * (1 - 0.6 * mouth[PRESS]) * (1 + 0.4 * mouth[ROUNDING])
    return (
        _ring(0, _MOUTH_Y + 0.3 * gap, half, gap / 2 + lip, 20, math.pi),
        _ring(0, _MOUTH_Y + 0.3 * gap, 0.82 * half, gap / 2, 12, math.pi),
    )


def _ring(x: float, y: float, across: float, down: float, count: int, first: float = 0.0) -> Points:
    angles = first + np.arange(count) * 2 * math.pi / count
    return np.stack([x + across * np.cos(angles), y + down * np.sin(angles)], axis=1)


def _canvas(pixels: Pixels) -> skia.Canvas:
    info = skia.ImageInfo.Make(
        pixels.shape[1], pixels.shape[0], skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType
    )
    return skia.Surface.MakeRasterDirect(info, pixels).getCanvas()


def _colour(text: str) -> int:
    return int(skia.Color(*(int(text[k : k + 2], 16) for k in (1, 3, 5))))
