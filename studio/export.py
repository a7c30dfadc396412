"""A character as a persona's pictures: life, mouths, and where the face is in every frame (docs/faces.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from scipy.interpolate import LinearNDInterpolator

from studio.life.segments import Segment
from studio.pose import Pose
from studio.raster.stage import Picture
from studio.sitting import Crop, Sitting
from vcam_talker.core.types import Emotion, MouthPose

VERSION: Final = 1
YAWS_DEG: Final = (-6.0, 0.0, 6.0)
PITCHES_DEG: Final = (-4.0, 0.0, 4.0)
_JAW_SOFT_PX: Final = 5.0
_FLOW_STEP: Final = 4
"""Patch pixels per value of an emotion's field."""

Affine = npt.NDArray[np.float32]
"""float32[2, 3]"""


@dataclass(frozen=True, slots=True)
class LowerFace:
    """Where mouth patches lie in the picture of the presenter at rest."""

    crop: Crop
    rows: npt.NDArray[np.int64]
    """Body points that tell how the lower face moves with the head."""
    places: npt.NDArray[np.float64]
    """float64[N, 2]: where they are in the patch, at rest."""


def lower_face(sitting: Sitting) -> LowerFace:
    """Return where the patches lie: from below the nose to below the chin, jaw to jaw."""
    presenter = sitting.presenter
    rest = sitting.posed(Pose())
    body, mouth, jaw = rest.body, presenter.places.mouth, presenter.places.jaw
    x, y, z = np.abs(body[:, 0]), body[:, 1] - mouth[1], body[:, 2]
    is_skin = np.zeros(len(body), bool)
    is_skin[presenter.skin_rows] = True
    near = is_skin & (x < 0.55) & (y > -0.62) & (y < 0.18) & (z > presenter.eyes[0, 2] - 0.35)
    rows = np.flatnonzero(near)
    places = sitting.camera.project(body[rows])
    low, high = places.min(0), places.max(0)
    unit = high[0] - low[0]
    chin = sitting.camera.project(np.array([0.0, jaw[1] - 0.12, mouth[2]]))
    left, right = low[0] - 0.10 * unit, high[0] + 0.10 * unit
    top, bottom = low[1] - 0.02 * unit, max(high[1], chin[1]) + 0.16 * unit
    width, height = (int(np.ceil(v / 2)) * 2 for v in (right - left, bottom - top))
    # Even, so that chroma samples of patch and picture coincide at rest.
    crop = Crop(int(left // 2) * 2, int(top // 2) * 2, width + 2, height + 2)
    return LowerFace(crop, rows, places - (crop.left, crop.top))


def fitted(places: npt.NDArray[np.float64], onto: npt.NDArray[np.float64]) -> Affine:
    """Return the affine map that takes `places` (float64[N, 2]) nearest to `onto` (least squares)."""
    ones = np.concatenate((places, np.ones((len(places), 1))), 1)
    return np.asarray(np.linalg.lstsq(ones, onto, rcond=None)[0].T, np.float32)


def face_mask(crop: Crop, jaws: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return a mouth patch's alpha, uint8[H, W]: as `mask`, and nothing of what lies beyond the jaw.

    `jaws`: float32[N, P, 2], the line of the jaw in each mouth, in patch pixels. Neck, collar and hair do not
    go with the head as the face does: seen through the patch, they would stand there twice.
    """
    inside = np.zeros((crop.height, crop.width), np.uint8)
    for line in jaws:
        across = line.copy()
        across[0, 0], across[-1, 0] = min(across[0, 0], -1.0), max(across[-1, 0], crop.width + 1.0)
        corners = np.array([[across[-1, 0], -1.0], [across[0, 0], -1.0]])
        cv2.fillPoly(inside, [np.rint(np.concatenate((line, corners))).astype(np.int32)], 255)
    soft = cv2.GaussianBlur(cv2.dilate(inside, np.ones((5, 5), np.uint8)), (0, 0), _JAW_SOFT_PX)
    return np.asarray(np.rint(mask(crop) * (soft / 255.0)), np.uint8)


def mask(crop: Crop, soft: float = 0.16) -> npt.NDArray[np.uint8]:
    """Return a patch's alpha, uint8[H, W]: whole in the middle, fading, 0 along its border."""
    y, x = np.mgrid[0 : crop.height, 0 : crop.width]
    u = np.abs((x + 0.5) / crop.width * 2 - 1)
    v = np.abs((y + 0.5) / crop.height * 2 - 1)
    edge = 1 - (u**3.2 + v**3.2) ** (1 / 3.2)
    t = np.clip((edge - 0.02) / (2 * soft), 0, 1)
    return np.asarray(np.rint(255 * t * t * (3 - 2 * t)), np.uint8)


class Patches:
    """Mouth patches of one sitting."""

    def __init__(self, sitting: Sitting, face: LowerFace, rings: npt.NDArray[np.int64]) -> None:
        """`rings`: int64[P], body points whose places are the patch's landmarks."""
        self._sitting = sitting
        self._face = face
        self._rings = rings

    def to_patch(self, pose: Pose) -> Affine:
        """Return the map from the picture's pixels in a pose to the patch's."""
        body = self._sitting.posed(pose).body
        return fitted(self._sitting.camera.project(body[self._face.rows]), self._face.places)

    def taken(self, view: tuple[float, float], mouth: MouthPose) -> tuple[Picture, npt.NDArray[np.float32]]:
        """Return the patch (uint8[H, W, 3]) of a mouth, the head at (yaw, pitch), and its landmarks."""
        still = Pose(yaw_deg=view[0], pitch_deg=view[1])
        pose = Pose(mouth=mouth, yaw_deg=view[0], pitch_deg=view[1])
        there = self.to_patch(still)
        crop = self._face.crop
        back = cv2.invertAffineTransform(there)
        corners = np.array([[0, 0], [crop.width, 0], [0, crop.height], [crop.width, crop.height]], np.float64)
        seen = corners @ back[:, :2].T + back[:, 2]
        low, high = np.floor(seen.min(0)).astype(int) - 2, np.ceil(seen.max(0)).astype(int) + 2
        size = (sum(divmod(int(v), 16)[:1]) * 16 + 16 for v in high - low)
        part = Crop(int(low[0]), int(low[1]), *size)
        picture = self._sitting.picture(pose, self._inside(part))
        part = self._inside(part)
        move = there.astype(np.float64).copy()
        move[:, 2] += move[:, :2] @ (part.left, part.top)
        # Pixel centres lie at halves in our maps and at whole numbers in OpenCV's.
        move[:, 2] += move[:, :2] @ (0.5, 0.5) - 0.5
        patch = cv2.warpAffine(
            picture, move, (crop.width, crop.height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        marks = self._sitting.camera.project(self._sitting.posed(pose).body[self._rings])
        return np.asarray(patch, np.uint8), (marks @ there[:, :2].T + there[:, 2]).astype(np.float32)

    def _inside(self, part: Crop) -> Crop:
        width, height = self._sitting.size
        left, top = max(0, part.left), max(0, part.top)
        return Crop(left, top, min(part.width, width - left), min(part.height, height - top))


@dataclass(frozen=True, slots=True)
class EmotionFields:
    """What an emotion does to the picture of the face at rest."""

    canvas: tuple[float, float, float, float]
    """left, top, right, bottom in patch pixels."""
    flow: npt.NDArray[np.float16]
    """float16[E, h, w, 2]: where to fetch from, patch pixels."""
    ratio: npt.NDArray[np.uint8]
    """uint8[E, h, w]: luma against the neutral face, times 128."""


def emotion_fields(sitting: Sitting, face: LowerFace, emotions: Sequence[Emotion]) -> EmotionFields:
    """Return the fields of `emotions` over the whole face, fading to nothing at the canvas's border."""
    presenter = sitting.presenter
    rest = sitting.posed(Pose())
    skin = presenter.surfaces[0].name
    points = rest.points[skin].astype(np.float64)
    front = (rest.normals[skin][:, 2] > 0.1) & (points[:, 1] > presenter.places.jaw[1] - 0.2)
    at = sitting.camera.project(points[front])
    brow = sitting.camera.project(np.array([[-0.75, presenter.eyes[0, 1] + 0.62, presenter.eyes[0, 2]]]))[0]
    crop = face.crop
    half = sitting.camera.width / 2 - brow[0]
    middle = sitting.camera.project(np.array([0.0, 6.0, 1.0]))[0]
    canvas = np.array([middle - half, brow[1], middle + half, crop.top + crop.height])
    left, top = (int(v) for v in canvas[:2])
    wide, high = (int(np.ceil((canvas[k + 2] - canvas[k]) / 16)) * 16 for k in range(2))
    box = Crop(left, top, wide, high)
    h, w = high // _FLOW_STEP, wide // _FLOW_STEP
    ys, xs = np.mgrid[0:h, 0:w] * float(_FLOW_STEP) + _FLOW_STEP / 2
    grid = np.stack((xs + left, ys + top), -1)
    inside = cv2.resize(mask(Crop(0, 0, w, h), 0.12), (w, h)).astype(np.float64) / 255
    neutral = _luma(sitting.picture(Pose(), box))
    flows, ratios = [], []
    for emotion in emotions:
        pose = Pose(emotion={emotion: 1.0})
        now = sitting.camera.project(sitting.posed(pose).points[skin][front].astype(np.float64))
        moved = LinearNDInterpolator(now, at - now, fill_value=0.0)(grid)
        moved = cv2.GaussianBlur(moved, (0, 0), 1.2) * inside[..., None]
        large = cv2.resize(moved.astype(np.float32), (wide, high), interpolation=cv2.INTER_LINEAR)
        ry, rx = np.mgrid[0:high, 0:wide].astype(np.float32)
        warped = cv2.remap(neutral, rx + large[..., 0], ry + large[..., 1], cv2.INTER_LINEAR)
        shade = cv2.GaussianBlur(_luma(sitting.picture(pose, box)), (0, 0), 3) / np.maximum(
            cv2.GaussianBlur(warped, (0, 0), 3), 8
        )
        small = cv2.resize(np.clip(shade, 0.6, 1.6), (w, h), interpolation=cv2.INTER_AREA)
        flows.append(moved)
        ratios.append(1 + (small - 1) * inside)
    shift = (crop.left, crop.top)
    return EmotionFields(
        (left - shift[0], top - shift[1], left + wide - shift[0], top + high - shift[1]),
        np.asarray(flows, np.float16),
        np.asarray(np.clip(np.rint(np.asarray(ratios) * 128), 0, 255), np.uint8),
    )


def _luma(picture: Picture) -> npt.NDArray[np.float32]:
    return np.asarray(picture @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def write_tables(
    path: Path,
    segments: Sequence[Segment],
    size: tuple[int, int],
    frame_to_patch: npt.NDArray[np.float32],
    frame_view: npt.NDArray[np.float32],
    shapes: npt.NDArray[np.float32],
    landmarks: npt.NDArray[np.float32],
    alpha: npt.NDArray[np.uint8],
    emotions: Sequence[Emotion],
    fields: EmotionFields,
    fps: int,
) -> None:
    """Write `face.npz`."""
    frames = np.array([segment.frames for segment in segments])
    views = np.array([(yaw, pitch) for yaw in YAWS_DEG for pitch in PITCHES_DEG], np.float32)
    np.savez_compressed(
        path,
        version=VERSION,
        fps=fps,
        size=np.array(size),
        segment_first=np.cumsum(frames) - frames,
        segment_frames=frames,
        segment_activity=np.array([segment.activity.value for segment in segments]),
        segment_from=np.array([segment.begins for segment in segments]),
        segment_to=np.array([segment.ends for segment in segments]),
        frame_to_patch=frame_to_patch,
        frame_view=frame_view,
        views=views,
        shapes=shapes,
        landmarks=landmarks,
        mask=alpha,
        emotions=np.array([emotion.value for emotion in emotions]),
        emotion_flow=fields.flow,
        emotion_ratio=fields.ratio,
        face_canvas=np.array(fields.canvas, np.float32),
    )
