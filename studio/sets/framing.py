"""Where the camera stands, and where the presenter will be in front of the room.

Metres; x to the right of the picture, y away from the camera, z up; the floor below the presenter's head is
the origin. The camera is level, so that uprights stay upright; the lens is shifted to put the eyes where they
belong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
"""float64[N, 3], metres."""
SENSOR_WIDTH_MM: Final = 36.0


@dataclass(frozen=True, slots=True)
class View:
    """The camera in front of a seated presenter."""

    distance_m: float = 2.05
    """From the lens to the presenter's face."""
    focal_mm: float = 55.0
    """Of a full-frame camera, whose sensor is 36 mm wide."""
    f_number: float = 1.6
    eye_height_m: float = 1.22
    eye_line: float = 0.40
    """Where the eyes are, of the picture's height, from the top."""
    aspect: float = 16 / 9

    @property
    def place(self) -> tuple[float, float, float]:
        """The lens."""
        return (0.0, -self.distance_m, self.eye_height_m)

    @property
    def lens_shift(self) -> float:
        """How far the picture is moved, in widths of it; negative shows more of what is low."""
        return -(0.5 - self.eye_line) / self.aspect

    def project(self, points: Points) -> npt.NDArray[np.float64]:
        """Return float64[N, 2]: right and down, 0 to 1 within the picture; nan behind the lens."""
        x, y, z = (np.asarray(points, np.float64) - self.place).T
        depth = np.where(y > 1e-6, y, np.nan)
        width = depth * SENSOR_WIDTH_MM / self.focal_mm
        return np.stack((0.5 + x / width, self.eye_line - z / width * self.aspect), -1)

    def half_width(self, y: float) -> float:
        """Return how far right the picture reaches at `y`, metres."""
        return (y + self.distance_m) * SENSOR_WIDTH_MM / self.focal_mm / 2

    def blur(self, y: float) -> float:
        """Return the diameter of a far point's disc in widths of the picture, the face being in focus."""
        focal_m = self.focal_mm / 1000
        disc = focal_m**2 / (self.f_number * (self.distance_m - focal_m))
        return disc * abs(y) / (y + self.distance_m) / (SENSOR_WIDTH_MM / 1000)


CALM: Final = (0.385, 0.06, 0.615, 0.62)
"""Left, top, right, bottom of what is behind head and hair, of the picture: nothing stands out in there."""
