"""The renderer of truth: people of the head pack, drawn by OpenGL."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import moderngl
import numpy as np
import numpy.typing as npt

from studio.character import Character, LightSection
from studio.hair import beard, brows, grow, lashes
from studio.hair.ground import CELL
from studio.landmarks import MOUTH
from studio.life.lips import gaps
from studio.pack import HeadPack, open_pack
from studio.pose import Pose
from studio.presenter import Fineness, Posed, Presenter
from studio.raster.camera import Camera
from studio.raster.crops import CropStage
from studio.raster.figure import Figure
from studio.raster.light import portrait_light
from studio.raster.lighting import Baking
from studio.raster.stage import Layer, Picture, open_context
from studio.strands import Strands
from studio.truth.backgrounds import background
from studio.truth.render import INNER_LIP, TruthFrame
from studio.truth.shot import Shot

Labels = npt.NDArray[np.uint8]
"""uint8[size, size] of `render.Label`."""

_FINENESS: Final = Fineness(skin=0, parts=0, below_jaw_dm=0.9)
_WITH_SHOULDERS: Final = Fineness(skin=0, parts=0, below_jaw_dm=2.6)
_HAIR_DENSITY: Final = 0.14
_BEARD_DENSITY: Final = 0.07
_BROW_DENSITY: Final = 0.4
_FACIAL_POINTS: Final = 3
_BAKING: Final = Baking(map_px=256, hair_points=4000, keeps=True)
_WHOLE_DM: Final = 5.6
"""Height of a picture of head and shoulders at the face."""
_PER_LAMP: Final = 7
_ROOM: Final = 36
"""Directions that a person's light is sampled in."""
_SEEN_YAWS: Final = (-32.0, -11.0, 11.0, 32.0)
_SEEN_PITCHES: Final = (-14.0, 14.0)
_SEEN_SCALE: Final = 0.78
"""Views that tell which hairs are ever seen."""
_ABOVE_EYES_DM: Final = 0.50
_BELOW_CHIN_DM: Final = 0.22
"""What the crop reaches beyond eyes and chin."""


class RasterRenderer:
    """TruthRenderer on an OpenGL context of its own. One thread."""

    def __init__(self, size: int, *, wide: bool = False) -> None:
        """`size` of the crops in pixels. Raises StudioError without a head pack or OpenGL.

        `wide`: crops may show whole heads and shoulders (`Shot.scale` below 0.8), which takes longer.
        """
        self._wide = wide
        self._pack = open_pack()
        self._context = open_context()
        self._context.gc_mode = "auto"
        self._stage = CropStage(self._context, size)
        self._size = size

    def person(self, character: Character, seed: int) -> RasterPerson:
        """Build a person. Blocks for seconds."""
        return RasterPerson(
            self._pack, self._context, self._stage, self._size, character, seed, wide=self._wide
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """What a frame is made of."""

    posed: Posed
    camera: Camera
    layer: Layer


class RasterPerson:
    """RenderedPerson. A new light has to be baked: far longer than a frame."""

    def __init__(
        self,
        pack: HeadPack,
        context: moderngl.Context,
        stage: CropStage,
        size: int,
        character: Character,
        seed: int,
        *,
        wide: bool = False,
    ) -> None:
        self._stage = stage
        self._size = size
        self._presenter = Presenter(pack, character, _WITH_SHOULDERS if wide else _FINENESS)
        eyes = self._presenter.eyes.mean(0)
        self._strands = _strands(self._presenter, seed)
        self._figure = Figure(
            context, self._presenter, self._strands, eyes + np.array([0.0, 0.0, 20.0]), _BAKING, small=True
        )
        chin = self._presenter.places.jaw
        self._top = eyes + np.array([0.0, _ABOVE_EYES_DM, 0.0])
        self._bottom = np.array([0.0, chin[1] - _BELOW_CHIN_DM, eyes[2]])
        if not wide:
            views = [self._view(yaw, pitch) for yaw in _SEEN_YAWS for pitch in _SEEN_PITCHES]
            self._figure.leave_out_unseen(views)
        self._light: LightSection | None = None
        self._behind: tuple[Shot, npt.NDArray[np.float32]] | None = None

    @property
    def presenter(self) -> Presenter:
        """Who is drawn."""
        return self._presenter

    @property
    def strands(self) -> list[Strands]:
        """Its hair, brows, lashes and beard."""
        return self._strands

    def frame(self, pose: Pose, shot: Shot) -> TruthFrame:
        """Draw one moment."""
        posed, camera, (picture, labels) = self._drawn(pose, shot)
        landmarks = camera.project(posed.body[MOUTH]).astype(np.float32)
        return TruthFrame(picture, landmarks, _aperture(posed, landmarks), labels)

    def seen(
        self, pose: Pose, shot: Shot, rows: npt.NDArray[np.int64]
    ) -> tuple[Picture, npt.NDArray[np.float32]]:
        """Draw one moment; return it with the places (float32[N, 2]) of body points `rows`."""
        posed, camera, (picture, _) = self._drawn(pose, shot)
        return picture, camera.project(posed.body[rows]).astype(np.float32)

    def taken(self, pose: Pose, shot: Shot) -> Taken:
        """Draw one moment, the figure alone, in linear light."""
        posed, camera, _ = self._drawn(pose, shot)
        return Taken(posed, camera, self._stage.layer())

    def _drawn(self, pose: Pose, shot: Shot) -> tuple[Posed, Camera, tuple[Picture, Labels]]:
        light = portrait_light(shot.light)
        if shot.light != self._light:
            self._figure.relit(light, light.samples(_PER_LAMP, _ROOM))
            self._light = shot.light
        if self._behind is None or self._behind[0] != shot:
            self._behind = (shot, background(shot, self._size))
        whole = self._camera(shot)
        posed = self._presenter.posed(pose, whole.place)
        camera = self._crop(whole, posed, shot)
        exposure = light.exposure * 2.0**shot.exposure_stops
        backdrop = self._behind[1]
        return posed, camera, self._stage.draw(self._figure, posed, pose, camera, backdrop, exposure)

    def _view(self, yaw_deg: float, pitch_deg: float) -> tuple[Posed, Pose, Camera]:
        """Return a view that shows all that crops of a head turned so can show."""
        pose, shot = Pose(yaw_deg=yaw_deg, pitch_deg=pitch_deg), Shot(scale=_SEEN_SCALE)
        whole = self._camera(shot)
        posed = self._presenter.posed(pose, whole.place)
        return posed, pose, self._crop(whole, posed, shot)

    def _camera(self, shot: Shot) -> Camera:
        eyes = self._presenter.eyes.mean(0)
        away = _WHOLE_DM / 2 / math.tan(math.radians(shot.fov_deg) / 2)
        place = eyes + np.array([0.0, -0.1, away])
        level = np.array([0.0, place[1], 0.0])
        return Camera(place, level, shot.fov_deg, self._size, self._size, roll_deg=shot.tilt_deg)

    def _crop(self, whole: Camera, posed: Posed, shot: Shot) -> Camera:
        """Return the camera of the crop about the face, wherever the head went."""
        level = np.stack((self._top, self._bottom))
        found = whole.project(np.stack((level, posed.turned(level)))) / (self._size / 2)
        # A turned head is as high as one that looks ahead, seen from its side.
        half = float(np.linalg.norm(found[0, 1] - found[0, 0])) / 2 / shot.scale
        middle = found[1].mean(0) - 1 - 2 * half * np.array(shot.offset)
        return whole.zoomed((float(middle[0]), float(middle[1])), half, self._size)


def _aperture(posed: Posed, landmarks: npt.NDArray[np.float32]) -> float:
    """Return the gap between the inner lips at their middle in pixels; 0 where they touch."""
    if float(gaps(posed.local_body).max()) <= 0:
        return 0.0
    inner = landmarks[INNER_LIP]
    count = len(inner)
    # The ring starts in one corner: half way round is the other, a quarter of it the middle of a lip.
    return float(np.linalg.norm(inner[count // 4] - inner[3 * count // 4]))


def _strands(presenter: Presenter, seed: int) -> list[Strands]:
    hair, chin = grow(presenter, seed, _HAIR_DENSITY, 2 * CELL), beard(presenter, seed, _BEARD_DENSITY)
    found = [
        brows(presenter, seed, _BROW_DENSITY),
        lashes(presenter, seed),
        *(each for each in (chin,) if each),
    ]
    coarse = [each.coarser(_FACIAL_POINTS) for each in found]
    return [*coarse, hair.coarser(max(4, (hair.widths.shape[1] + 1) // 2))] if hair else coarse
