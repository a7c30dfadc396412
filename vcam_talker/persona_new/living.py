"""Makes a photograph move by a field of displacements: all on the head, some on the body, none at the rim."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import Pixels
from vcam_talker.persona_new.detect import face_height
from vcam_talker.persona_new.landmarks import JAW, LIPS, NOSE, Floats, Points, level
from vcam_talker.persona_new.lids import Lids
from vcam_talker.persona_new.motion import Curve

Field = npt.NDArray[np.float64]

_CELL_PX: Final = 8
_HEAD: Final = (0.98, 1.35)
"""Half axes of what moves as one with the head, in heights of the face."""
_FADE: Final = 1.9
"""Times these axes: where nothing moves any more."""
_BODY: Final = 0.28
"""How much of the head's sway goes through the shoulders."""
_BREATH: Final = 0.022
"""Heights of the face that shoulders rise."""
_BREATH_ON_HEAD: Final = 0.5
_RIM: Final = 0.06
"""Of the frame's sides: over which everything comes to rest."""


class LivingPhoto:
    """Draws moments of a photograph's life. One thread."""

    def __init__(self, frame: Pixels, points: Points) -> None:
        """`frame`: uint8[H, W, 3] at rest; `points`: of the face in it."""
        self._rest = frame
        self._points = points
        self.lids = Lids(frame, points)
        """Its eyes."""
        high, wide = frame.shape[:2]
        self._unit = face_height(points)
        chin = points[JAW][4]
        self._pivot = (chin + np.array([0, 0.4 * self._unit], np.float32)).astype(np.float64)
        columns, rows = -(-wide // _CELL_PX) + 1, -(-high // _CELL_PX) + 1
        x, y = np.meshgrid(np.arange(columns) * float(_CELL_PX), np.arange(rows) * float(_CELL_PX))
        self._grid = np.stack((x, y), -1)
        rim = _smooth(np.minimum(x, wide - x) / (_RIM * wide)) * _smooth(y / (_RIM * high))
        self._head, self._dome, self._chest = (part * rim for part in self._weights(x, y))

    def frame(self, head: Curve, breath: float, lids: float) -> Pixels:
        """Return the picture uint8[H, W, 3] of a moment; arguments as in `motion.Segment`. Some 20 ms."""
        high, wide = self._rest.shape[:2]
        away = self._away(self._grid, head, breath, self._head, self._dome, self._chest)
        moved = cv2.resize(
            away.astype(np.float32),
            (away.shape[1] * _CELL_PX, away.shape[0] * _CELL_PX),
            interpolation=cv2.INTER_LINEAR,
        )
        # Value k of the grid lies at pixel k * cell, the first pixel centre at 0.5.
        half = _CELL_PX // 2
        moved = moved[half : half + high, half : half + wide]
        y, x = np.mgrid[0:high, 0:wide].astype(np.float32)
        return np.asarray(
            cv2.remap(
                self.lids.drawn(lids),
                x + moved[..., 0],
                y + moved[..., 1],
                cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REPLICATE,
            ),
            np.uint8,
        )

    def to_rest(self, head: Curve, breath: float) -> Floats:
        """Return the affine float32[2, 3] from pixels of a moment's picture to those of the picture at rest.

        Fitted about the mouth and the nose, where the field is one but for what a turn bends.
        """
        rest = np.concatenate((self._points[LIPS], self._points[NOSE], self._points[JAW][2:7]))
        there = rest.astype(np.float64)
        for _ in range(6):
            there = rest - self._away_at(there, head, breath)
        ones = np.column_stack((there, np.ones(len(there))))
        return np.asarray(np.linalg.lstsq(ones, rest, rcond=None)[0].T, np.float32)

    def _away(
        self, places: Field, head: Curve, breath: float, on_head: Field, dome: Field, chest: Field
    ) -> Field:
        """Return by how much further a place fetches its colour, pixels."""
        shift_x, shift_y, roll, zoom, turn, nod = head.tolist()
        angle, unit = np.radians(roll), self._unit
        cos, sin = np.cos(angle) / (1 + zoom), np.sin(angle) / (1 + zoom)
        lift = -_BREATH * breath * unit
        shift = np.array([shift_x * unit, shift_y * unit + _BREATH_ON_HEAD * lift])
        offset = places - self._pivot - shift
        back = offset @ np.array([[cos, -sin], [sin, cos]]) - (places - self._pivot)
        bent = np.array([turn, nod]) * unit
        rest = np.stack((np.zeros_like(chest), -lift * chest), -1)
        return np.asarray(on_head[..., None] * back - dome[..., None] * bent + rest)

    def _away_at(self, places: Field, head: Curve, breath: float) -> Field:
        at = (places / _CELL_PX).astype(np.float32)
        weights = [
            cv2.remap(part.astype(np.float32), at[None, :, 0], at[None, :, 1], cv2.INTER_LINEAR)[0]
            for part in (self._head, self._dome, self._chest)
        ]
        return self._away(places, head, breath, *(w.astype(np.float64) for w in weights))

    def _weights(self, x: Field, y: Field) -> tuple[Field, Field, Field]:
        """Return how much of the head's motion, of its turn's bend, and of breath a place has."""
        points, unit = self._points, self._unit
        turned = -level(points)
        middle = 0.6 * points[NOSE].mean(0) + 0.4 * points[9:19].mean(0)
        u, v = x - middle[0], y - middle[1]
        u, v = u * np.cos(turned) - v * np.sin(turned), u * np.sin(turned) + v * np.cos(turned)
        far = np.hypot(u / (_HEAD[0] * unit), v / (_HEAD[1] * unit))
        head = _smooth((_FADE - far) / (_FADE - 1))
        chin = float(points[JAW][4][1])
        below = _smooth((y - chin - 0.1 * unit) / (0.9 * unit))
        torso = _smooth((2.6 - np.abs(x - points[:, 0].mean()) / unit) / 1.2)
        body = _BODY * below * torso
        nose = points[NOSE][3]
        near = ((x - nose[0]) ** 2 + (y - nose[1]) ** 2) / (0.75 * unit) ** 2
        dome = np.exp(-near)
        return np.maximum(head * (1 - below * (1 - _BODY)), body), dome * head, below * torso


def _smooth(x: Field) -> Field:
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float64)
