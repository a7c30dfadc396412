"""Where mouths are laid over a frame: the patch's place, its mask, and the tables of face.npz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import MOUTH_PARAMS, Activity
from vcam_talker.persona_new.landmarks import (
    BROW_LEFT,
    BROW_RIGHT,
    JAW,
    NOSE,
    Floats,
    Points,
    mouth_landmarks,
    mouth_width,
)

_VERSION: Final = 1
_MAX_PX: Final = 640
"""Patches of larger faces are coarser than the clip."""
_SIDE: Final = 0.25
_CHIN_DROP: Final = 0.55
"""Widths of the mouth: how far the patch reaches beyond the jaw, and how far a chin comes down."""
_FADE: Final = 0.1
"""Of the mouth's width: deviation of the mask's edge."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A segment of the clip, as face.npz has it."""

    frames: int
    begins: str
    ends: str


class Patch:
    """The mouth's surroundings in the picture at rest."""

    def __init__(self, points: Points) -> None:
        """`points`: of the face at rest, pixels of the frame."""
        jaw, nose = points[JAW], points[NOSE]
        mouth = mouth_width(points)
        base = float(nose[4:].mean(0)[1])
        left, right = float(jaw[:, 0].min()) - _SIDE * mouth, float(jaw[:, 0].max()) + _SIDE * mouth
        top, bottom = base - _SIDE * mouth, float(jaw[:, 1].max()) + (_CHIN_DROP + _SIDE) * mouth
        self.scale = min(1.0, _MAX_PX / max(right - left, bottom - top))
        """Pixels of the patch per pixel of the frame."""
        self._corner = np.array([left // 2 * 2, top // 2 * 2], np.float32)
        # Even, so that chroma samples of patch and frame coincide where nothing is scaled.
        wide, high = (max(int(-(-v * self.scale // 2)) * 2, 16) for v in (right - left, bottom - top))
        self.size = (wide + 2, high + 2)
        """Width and height."""
        self._points = self.places(points)

    def places(self, points: Points) -> Points:
        """Return where points of the frame at rest lie in the patch."""
        return np.asarray((points - self._corner) * np.float32(self.scale), np.float32)

    def to_patch(self, to_rest: Floats) -> Floats:
        """Return affines [T, 2, 3] to the patch, given those to the frame at rest."""
        found = to_rest.astype(np.float32).copy()
        found[:, :, 2] -= self._corner
        return found * np.float32(self.scale)

    def mask(self) -> npt.NDArray[np.uint8]:
        """Return how much shows, uint8[h, w]: from under the nose to below the chin, within the jaw."""
        columns, rows = self.size
        points, mouth = self._points, mouth_width(self._points)
        jaw, nose = points[JAW], points[NOSE]
        base = float(nose[4:, 1].mean())
        # The chin comes down, the cheeks don't.
        drop = _CHIN_DROP * mouth * np.sin(np.linspace(0, np.pi, 9)) ** 2
        line = jaw + np.stack((np.zeros(9), drop), 1)
        inner = _FADE * mouth
        line[:, 0] += np.linspace(inner, -inner, 9)
        line[:, 1] = np.maximum(line[:, 1], base + 2 * inner)
        above = np.array([[line[-1, 0], base + inner], [line[0, 0], base + inner]])
        shown = np.zeros((rows, columns), np.uint8)
        cv2.fillPoly(shown, [np.rint(np.concatenate((line, above))).astype(np.int32)], 255)
        soft = cv2.GaussianBlur(shown, (0, 0), max(inner, 1.0)).astype(np.float32)
        ease = max(2.0, inner)
        across, down = (np.minimum(np.arange(n), n - 1 - np.arange(n)) / ease for n in (columns, rows))
        soft *= np.outer(np.clip(down, 0, 1), np.clip(across, 0, 1)).astype(np.float32)
        return np.asarray(np.rint(soft), np.uint8)

    def write(
        self, path: Path, size: tuple[int, int], fps: int, stretches: Sequence[Stretch], to_rest: Floats
    ) -> None:
        """Write face.npz: one view, one mouth (at rest), no emotions. `to_rest`: float32[T, 2, 3]."""
        frames = np.array([each.frames for each in stretches])
        brows = self._points[BROW_LEFT].mean(0) / 2 + self._points[BROW_RIGHT].mean(0) / 2
        half = (self._points[:, 0].max() - self._points[:, 0].min()) / 2
        middle = self._points[:, 0].mean()
        canvas = (middle - half, brows[1] - half / 2, middle + half, self.size[1])
        np.savez_compressed(
            path,
            version=_VERSION,
            fps=fps,
            size=np.array(size),
            segment_first=np.cumsum(frames) - frames,
            segment_frames=frames,
            segment_activity=np.array([Activity.IDLE.value] * len(frames)),
            segment_from=np.array([each.begins for each in stretches]),
            segment_to=np.array([each.ends for each in stretches]),
            frame_to_patch=self.to_patch(to_rest),
            frame_view=np.zeros((len(to_rest), 2), np.float32),
            views=np.zeros((1, 2), np.float32),
            shapes=np.zeros((1, len(MOUTH_PARAMS)), np.float32),
            landmarks=mouth_landmarks(self._points)[None, None].astype(np.float32),
            mask=self.mask(),
            emotions=np.array([], "U1"),
            emotion_flow=np.zeros((0, 2, 2, 2), np.float16),
            emotion_ratio=np.zeros((0, 2, 2), np.uint8),
            face_canvas=np.array(canvas, np.float32),
        )
