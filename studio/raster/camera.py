"""Where the picture is taken from, and how points land in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
"""float64[4, 4], acts on column vectors."""
_NEAR_DM = 2.0
_FAR_DM = 60.0


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera. Decimetres; y up, z towards it."""

    place: npt.NDArray[np.float64]
    """float64[3]"""
    target: npt.NDArray[np.float64]
    fov_deg: float
    """Of the picture's height."""
    width: int
    height: int
    centre: tuple[float, float] = (0.0, 0.0)
    """Moves what is seen, in half heights, right and down: a lens shift."""
    roll_deg: float = 0.0
    """Of the camera, clockwise, about the picture's middle."""

    def matrix(self) -> Matrix:
        """Return the matrix to clip space, y up."""
        return self._roll() @ self._projection() @ self._view()

    def zoomed(self, middle: tuple[float, float], half: float, size: int) -> Camera:
        """Return the camera of a square part, `size` pixels across.

        `middle`: in half heights right and down of this picture's own, `half`: of the part's side, likewise.
        """
        fov = 2 * np.degrees(np.arctan(np.tan(np.radians(self.fov_deg) / 2) * half))
        right, down = (c - m for c, m in zip(self.centre, middle, strict=True))
        shift = (float(right / half), float(down / half))
        return Camera(self.place, self.target, float(fov), size, size, shift, self.roll_deg)

    def project(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return float64[..., 2]: where points (float64[..., 3]) land, pixels from the upper left corner."""
        clip = np.concatenate((points, np.ones((*points.shape[:-1], 1))), -1) @ self.matrix().T
        x, y = clip[..., 0] / clip[..., 3], clip[..., 1] / clip[..., 3]
        return np.stack(((x + 1) / 2 * self.width, (1 - y) / 2 * self.height), -1)

    def _view(self) -> Matrix:
        back = self.place - self.target
        back = back / np.linalg.norm(back)
        right = np.cross((0.0, 1.0, 0.0), back)
        right /= np.linalg.norm(right)
        turn = np.stack((right, np.cross(back, right), back))
        found = np.eye(4)
        found[:3, :3] = turn
        found[:3, 3] = -turn @ self.place
        return found

    def _roll(self) -> Matrix:
        c, s = np.cos(np.radians(self.roll_deg)), np.sin(np.radians(self.roll_deg))
        found = np.eye(4)
        # The camera's clockwise turn is the picture's the other way round; clip space is as wide as high.
        shape = self.width / self.height
        found[0, 0], found[0, 1], found[1, 0], found[1, 1] = c, -s / shape, s * shape, c
        return found

    def _projection(self) -> Matrix:
        zoom = 1.0 / np.tan(np.radians(self.fov_deg) / 2)
        found = np.zeros((4, 4))
        found[0, 0] = zoom * self.height / self.width
        found[1, 1] = zoom
        found[0, 2] = -self.centre[0] * self.height / self.width
        found[1, 2] = self.centre[1]
        found[2, 2] = (_FAR_DM + _NEAR_DM) / (_NEAR_DM - _FAR_DM)
        found[2, 3] = 2 * _FAR_DM * _NEAR_DM / (_NEAR_DM - _FAR_DM)
        found[3, 2] = -1.0
        return found


def within(
    matrix: Matrix, middles: npt.NDArray[np.float64], radii: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Tell which balls (float64[N, 3], float64[N]) may show in the picture of `matrix`, bool[N]."""
    clip = middles @ matrix[:, :3].T + matrix[:, 3]
    rows = np.linalg.norm(matrix[:, :3], axis=1)
    # However a ball's point lies, it moves a coordinate by no more than this.
    reach = radii[:, None] * (rows[:2] + rows[3])
    return np.asarray((np.abs(clip[:, :2]) <= clip[:, 3:] + reach).all(1))
