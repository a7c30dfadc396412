"""A character before the camera: all that is needed to take pictures of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import moderngl
import numpy as np
import numpy.typing as npt

from studio.character import Character
from studio.hair import beard, brows, grow, lashes
from studio.pack import HeadPack, StudioError
from studio.pose import Pose
from studio.presenter import Fineness, Posed, Presenter
from studio.raster.camera import Camera
from studio.raster.figure import Figure
from studio.raster.light import portrait_light
from studio.raster.stage import Layer, Picture, Stage, before, open_context
from studio.strands import Strands

_SEED: Final = 1
_LARGE_PX: Final = 1080
"""From this height of a picture on nothing is left out."""
_ROOM_DM: Final = 0.45
"""How far anything moves from its place at rest."""


def portrait_camera(presenter: Presenter, width: int, height: int) -> Camera:
    """Return the camera of a character's portrait."""
    frame = presenter.character.frame
    eyes = presenter.eyes.mean(0)
    skin = presenter.rest[presenter.skin_rows]
    front = skin[np.abs(skin[:, 0]) < 0.1]
    chin = presenter.places.jaw[1]
    crown = float(front[:, 1].max())
    high = (crown - chin) / frame.head
    away = 10 * frame.distance_m
    place = np.array([0.0, eyes[1] - 0.05, eyes[2] + away])
    down = (frame.eyes - 0.5) * high
    middle = np.array([0.0, eyes[1] + down, eyes[2] - 0.4])
    # Level, with a shifted lens: what is upright stays upright.
    level = np.array([0.0, place[1], middle[2]])
    distance = place[2] - middle[2]
    fov = 2 * np.degrees(np.arctan(high / 2 / distance))
    return Camera(
        place, level, float(fov), width, height, (2 * frame.aside, -2 * (place[1] - middle[1]) / high)
    )


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of the whole picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int


_YAWS_DEG: Final = (-36.0, -18.0, -9.0, -4.0, 0.0, 4.0, 9.0, 18.0, 36.0)
_PITCHES_DEG: Final = (-10.0, -4.0, 0.0, 4.0, 10.0)
"""What a piece of hair must be hidden in to be left out."""


class Sitting:
    """Takes pictures of one character. Building takes half a minute. One thread."""

    def __init__(
        self,
        pack: HeadPack,
        character: Character,
        size: tuple[int, int],
        *,
        backdrop: npt.NDArray[np.float32],
        context: moderngl.Context | None = None,
        hair_density: float = 1.0,
        draft: bool = False,
    ) -> None:
        """`backdrop`: float32[H, W, 3], display colours 0 .. 1, in the picture's `size` (width, height).

        `draft`: light from fewer directions, for a quick look.
        """
        self.size = size
        fine = size[1] >= _LARGE_PX
        self.presenter = Presenter(pack, character, Fineness(skin=2 if fine else 1))
        self.camera = portrait_camera(self.presenter, *size)
        self._light = portrait_light(character.light)
        self._backdrop = backdrop
        self._context = context or open_context()
        # Half the hairs, each wider, look the same when they are drawn half as large.
        density = hair_density * min(1.0, (size[1] / _LARGE_PX) ** 1.5)
        strands = _strands(self.presenter, density)
        self._bounds = self._figure_bounds(strands)
        self._behind = np.asarray(np.rint(backdrop * 255), np.uint8)
        self._figure = Figure(self._context, self.presenter, strands, self.camera.place)
        self._leave_out_unseen()
        self._figure.relit(self._light, self._light.samples(8, 48) if draft else None)
        self._stages: dict[tuple[int, int], Stage] = {}

    def _leave_out_unseen(self) -> None:
        """Most of the hair lies under other hair, whatever a head does within its idle life."""
        width, height = self.size
        side = min(width, height)
        camera = cropped(self.camera, Crop((width - side) // 2, (height - side) // 2, side, side))
        poses = [Pose(yaw_deg=yaw, pitch_deg=pitch) for yaw in _YAWS_DEG for pitch in _PITCHES_DEG]
        self._figure.leave_out_unseen([(self.posed(pose), pose, camera) for pose in poses], 2 * side)

    def posed(self, pose: Pose) -> Posed:
        """Return where everything is."""
        return self.presenter.posed(pose, self.camera.place)

    def layer(self, pose: Pose, crop: Crop | None = None) -> Layer:
        """Return the figure alone."""
        crop = crop or Crop(0, 0, *self.size)
        size = (crop.width, crop.height)
        if size not in self._stages:
            self._stages[size] = Stage(self._context, *size)
        return self._stages[size].draw(self._figure, self.posed(pose), pose, cropped(self.camera, crop))

    def picture(self, pose: Pose, crop: Crop | None = None) -> Picture:
        """Return the picture, or a part of it."""
        if crop is None:
            # The backdrop does not move: draw only where the figure may be.
            found = self._behind.copy()
            at = self._bounds
            found[at.top : at.top + at.height, at.left : at.left + at.width] = self.picture(pose, at)
            return found
        behind = self._backdrop[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
        return before(self.layer(pose, crop), behind, self._light.exposure)

    def _figure_bounds(self, strands: list[Strands]) -> Crop:
        """Return the part of the picture that the figure stays in, whatever it does within its idle life."""
        rest = self.presenter.at_rest()
        points = [*rest.points.values(), *(each.points.reshape(-1, 3) for each in strands)]
        near = np.concatenate(points).astype(np.float64)
        at = self.camera.project(near)
        edge = self.camera.project(np.array([[0.0, 6.0, 1.0], [_ROOM_DM, 6.0, 1.0]]))
        room = float(edge[1, 0] - edge[0, 0])
        low = np.maximum(np.floor((at.min(0) - room) / 2) * 2, 0).astype(int)
        high = np.minimum(np.ceil((at.max(0) + room) / 2) * 2, self.size).astype(int)
        return Crop(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def cropped(camera: Camera, crop: Crop) -> Camera:
    """Return the camera that takes a part of another's picture, pixel for pixel."""
    scale = np.tan(np.radians(camera.fov_deg) / 2) * crop.height / camera.height
    half = camera.height / 2
    right = camera.centre[0] - (crop.left + crop.width / 2 - camera.width / 2) / half
    down = camera.centre[1] - (crop.top + crop.height / 2 - half) / half
    ratio = camera.height / crop.height
    return Camera(
        camera.place,
        camera.target,
        float(2 * np.degrees(np.arctan(scale))),
        crop.width,
        crop.height,
        (right * ratio, down * ratio),
    )


def load_backdrop(path: Path, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return a picture as a backdrop (float32[H, W, 3], 0 .. 1) that fills `size`. Raises StudioError."""
    found = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if found is None:
        raise StudioError(str(path), "is no picture that can be read", "Give a PNG or JPEG")
    width, height = size
    scale = max(width / found.shape[1], height / found.shape[0])
    large = cv2.resize(
        found, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    part = large[top : top + height, left : left + width, ::-1]
    return np.ascontiguousarray(part, np.float32) / np.float32(255)


def _strands(presenter: Presenter, density: float) -> list[Strands]:
    found = (brows(presenter, _SEED), lashes(presenter, _SEED), grow(presenter, _SEED, density))
    return [each for each in (*found, beard(presenter, _SEED, density)) if each]
