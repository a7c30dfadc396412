"""Presenters on air against the truth: what a scene shows, and what the studio draws of the same moments.

The scene is the daemon's own, its clip decoded, its mouths composed; truth is the presenter drawn anew with
the head of that frame of the clip and the mouth that was asked for. Both ways of drawing mouths, interpolated
shapes and a network, are put to the same test.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from studio.character import load_character
from studio.life.segments import plan
from studio.lips.picture.evaluate import ssim
from studio.pack import HeadPack
from studio.raster.stage import Picture
from studio.sitting import Sitting, load_backdrop
from studio.truth.clips import FPS, speak
from studio.truth.draw import generator
from studio.truth.mouth import Style
from studio.truth.voices import Speaker, draw_voice
from vcam_talker.config import LipsConfig
from vcam_talker.core.types import NS_PER_S, Activity, FaceInput, MouthPose, Pixels, Pts
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.neural.drawer import LocalDrawer
from vcam_talker.face.neural.package import load_package
from vcam_talker.face.neural.patches import neural_mouths
from vcam_talker.persona import Persona

Floats = npt.NDArray[np.float32]

SHAPES: Final = "shapes"
_AIR_FPS: Final = 30
_MARGIN: Final = 0.25
"""Of the mouth's width: what is looked at around the lips."""
_LIPS: Final = slice(0, 32)
"""Landmarks of both rings."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """Means over all moments, over the box of the lips; pictures in [0, 1]."""

    l1: float
    psnr_db: float
    ssim: float


@dataclass(frozen=True, slots=True)
class Moments:
    """What was compared: crops uint8[h, w, 3] of truth and of each scene, moment by moment."""

    truth: list[Picture]
    shown: dict[str, list[Picture]]


def speaking(seconds: float, seed: int = 7) -> list[MouthPose]:
    """Return the mouth of a voice that no net has learnt from, 30 poses a second. Blocks for seconds."""
    rng = generator("against", seed)
    with closing(Speaker()) as speaker:
        voice = draw_voice("test", rng)
        track = speak("test", voice, Style(), round(seconds * FPS) + 1, rng, speaker).mouth
    at = np.arange(round(seconds * _AIR_FPS)) / _AIR_FPS * FPS
    return [track[min(round(place), len(track) - 1)] for place in at]


@contextmanager
def scenes_of(
    persona: Persona, models: Sequence[Path], size: tuple[int, int]
) -> Iterator[dict[str, ClipScene]]:
    """Give scenes of one persona: interpolated shapes, and each model by its folder's name."""
    with ExitStack() as opened:
        scenes = {SHAPES: ClipScene(persona, *size, seed=1)}
        for folder in models:
            package = load_package(folder)
            drawer = opened.enter_context(closing(LocalDrawer(persona, package, size, LipsConfig())))
            mouths = neural_mouths(persona, package, size, drawer)
            scenes[folder.name] = ClipScene(persona, *size, seed=1, mouths=mouths)
        yield scenes


def compare(
    pack: HeadPack,
    character: Path,
    backdrop: Path,
    scenes: dict[str, ClipScene],
    mouths: Sequence[MouthPose],
    every: int,
    seed: int = 31,
) -> tuple[dict[str, Likeness], Moments]:
    """Let every scene speak `mouths` (one a frame, `speaking`) and compare each `every`-th frame with truth.

    All scenes must be of one presenter, size and seed, so that they show the same frames of the clip. `seed`
    is that of the presenter's life. Blocks for minutes. Raises StudioError.
    """
    first = next(iter(scenes.values()))
    sitting = Sitting(
        pack, load_character(character), first.size, backdrop=load_backdrop(backdrop, first.size)
    )
    poses = [segment.pose(n) for segment in plan(seed) for n in range(segment.frames)]
    moments = Moments([], {name: [] for name in scenes})
    for number, mouth in enumerate(mouths):
        pts = Pts(number * NS_PER_S // _AIR_FPS)
        face = FaceInput(mouth=mouth, activity=Activity.SPEAKING)
        frames = {name: scene.draw(pts, face).pixels for name, scene in scenes.items()}
        if number % every or not np.abs(mouth).max() > 0:
            continue
        if len({scene.shown for scene in scenes.values()}) != 1:
            raise AssertionError("the scenes went different ways")
        box = _box(first, first.shown)
        truth = sitting.picture(replace(poses[first.shown], mouth=mouth))
        moments.truth.append(_cut(truth, box))
        for name, pixels in frames.items():
            moments.shown[name].append(_cut(_rgb(pixels), box))
    return {name: _likeness(shown, moments.truth) for name, shown in moments.shown.items()}, moments


def sheet(moments: Moments, count: int, path: Path) -> None:
    """Write a picture: a column a moment, truth on top, below it what each scene showed."""
    chosen = np.linspace(0, len(moments.truth) - 1, count).astype(int)
    rows = [moments.truth, *moments.shown.values()]
    size = moments.truth[0].shape[1::-1]
    lines = [np.hstack([cv2.resize(row[k], size) for k in chosen]) for row in rows]
    cv2.imwrite(str(path), np.vstack(lines)[..., ::-1])


def _box(scene: ClipScene, frame: int) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the lips in a frame, all mouths considered."""
    marks = scene.assets.landmarks[:, :, _LIPS].reshape(-1, 2)
    low, high = marks.min(0), marks.max(0)
    room = _MARGIN * float(np.ptp(scene.assets.landmarks[0, 0, :20, 0]))
    back = cv2.invertAffineTransform(scene.to_patch(frame))
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [low[0], high[1]], [high[0], high[1]]])
    seen = corners @ back[:, :2].T + back[:, 2]
    left, top = np.floor(seen.min(0) - room).astype(int)
    right, bottom = np.ceil(seen.max(0) + room).astype(int)
    width, height = scene.size
    return max(int(left), 0), max(int(top), 0), min(int(right), width), min(int(bottom), height)


def _cut(picture: Picture, box: tuple[int, int, int, int]) -> Picture:
    return np.ascontiguousarray(picture[box[1] : box[3], box[0] : box[2]])


def _rgb(pixels: Pixels) -> Picture:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_YUV2RGB_I420), np.uint8)


def _likeness(shown: list[Picture], truth: list[Picture]) -> Likeness:
    rows = []
    for a, b in zip(shown, truth, strict=True):
        x, y = a.astype(np.float32) / np.float32(255), b.astype(np.float32) / np.float32(255)
        mse = float(((x - y) ** 2).mean())
        rows.append(
            (float(np.abs(x - y).mean()), 10 * np.log10(1 / max(mse, 1e-8)), float(ssim(x, y).mean()))
        )
    return Likeness(*(float(n) for n in np.mean(rows, 0)))
