"""How good a presenter made of pictures is, in figures: seam, silence, closures, loop. Plain functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.clock import frame_pts
from vcam_talker.core.types import (
    MOUTH_RATE_HZ,
    Activity,
    FaceInput,
    MouthPose,
    MouthTrack,
    Pixels,
    Speech,
)
from vcam_talker.face.clip.archive import Floats
from vcam_talker.face.clip.assets import FaceAssets
from vcam_talker.face.clip.compositor import box_of, sampling
from vcam_talker.face.clip.resample import mapped, widest
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.clip.walk import Walk
from vcam_talker.face.evaluate import closures, silences

FPS: Final = 30
_BORDER: Final = (0.02, 0.98)
"""Shares of the mask between which its border lies."""
_CONTOUR: Final = 12.0
"""Code values a pixel: a steeper gradient belongs to what is drawn; a soft mask makes none like that."""
_APART_PX: Final = 7
_LAGS_S: Final = (2.0, 60.0)
_STILL_PX: Final = 0.05
"""A motion of a smaller standard deviation is none that could repeat."""
Curve = npt.NDArray[np.float64]


def mouths_of(track: MouthTrack) -> Iterable[MouthPose]:
    """Yield the mouth of each frame at 30 fps along a track."""
    values = track.values
    for n in range(len(values) * FPS // MOUTH_RATE_HZ):
        yield values[n * MOUTH_RATE_HZ // FPS]


class Seam:
    """Collects gradients of luma in the border of the mask and just inside it, contours left out."""

    def __init__(self) -> None:
        self._sums = np.zeros((3, 2))

    def look(self, scene: ClipScene, number: int, mouth: MouthPose) -> None:
        """Draw frame `number` with `mouth` and at rest, and take the gradients of both."""
        pts = frame_pts(number, FPS)
        bare = scene.draw(pts, FaceInput(activity=Activity.SPEAKING)).pixels
        drawn = scene.draw(pts, FaceInput(mouth, activity=Activity.SPEAKING)).pixels
        if drawn is bare:
            return
        affine, mask = scene.to_patch(scene.shown), scene.assets.mask
        rows, columns = mask.shape
        box = box_of((0.0, 0.0, float(columns), float(rows)), affine, scene.size)
        if box is None:
            return
        x0, y0, x1, y1 = box
        size = (x1 - x0, y1 - y0)
        shown = mapped(mask, sampling(affine, box)[0], size, fade=True).astype(np.float32) / 255
        border = (shown > _BORDER[0]) & (shown < _BORDER[1])
        inside = _within(shown >= _BORDER[1], border)
        with_patch, without = _gradient(drawn[y0:y1, x0:x1]), _gradient(bare[y0:y1, x0:x1])
        # A line of the drawing that crosses the border is none of the seam, and would drown it.
        plain = widest(np.maximum(with_patch, without), _APART_PX) < _CONTOUR
        border &= plain
        inside &= plain
        pairs = ((with_patch, border), (with_patch, inside), (without, border))
        for row, (plane, where) in enumerate(pairs):
            self._sums[row] += float(plane[where].sum()), float(where.sum())

    @property
    def against_inside(self) -> float:
        """Mean gradient across the border over that just inside it."""
        border, inside, _ = self._means
        return float(border / inside)

    @property
    def added(self) -> float:
        """Mean gradient across the border over that of the bare clip: above 1 is what the patch adds."""
        border, _, bare = self._means
        return float(border / bare)

    @property
    def _means(self) -> Curve:
        return np.asarray(self._sums[:, 0] / np.maximum(self._sums[:, 1], 1.0) + 1e-9)


def gap_in_silence_px(scene: ClipScene, speech: Speech, track: MouthTrack) -> float:
    """Return the widest gap between the lips in what is silent of a speech, in pixels of the picture."""
    poses = [pose for start, stop in silences(speech) for pose in track.values[start:stop]]
    return max((scene.aperture_px(pose) for pose in poses), default=0.0)


def shut_bilabials(scene: ClipScene, speech: Speech, track: MouthTrack) -> tuple[int, int]:
    """Return how many bilabials are drawn with lips exactly shut on their frames, and how many there are."""
    shut = np.array([scene.aperture_px(pose) == 0.0 for pose in track.values])
    return closures(speech, track.values, shut)


def idle_motion(assets: FaceAssets, seed: int, minutes: float) -> Curve:
    """Return x, y (pixels of the clip) and size (per cent) of the face in idle life, float64[T, 3]."""
    walk = Walk(assets.segments, seed, 0)
    numbers = range(round(minutes * 60 * assets.fps))
    frames = [walk.at(number, Activity.IDLE)[0].clip_frame(number) for number in numbers]
    return _motion(assets.frame_to_patch, assets.patch_size)[frames]


def loop_peak(motion: Curve, fps: int) -> float:
    """Return the highest autocorrelation of any column of `motion` at lags of 2 to 60 s, -1 .. 1."""
    lags = np.arange(round(_LAGS_S[0] * fps), min(round(_LAGS_S[1] * fps), len(motion) // 2))
    peaks = [-1.0]
    for column in motion.T:
        x = column - column.mean()
        if x.std() < _STILL_PX:
            continue
        size = 1 << (2 * len(x) - 1).bit_length()
        power = np.abs(np.fft.rfft(x, size)) ** 2
        products = np.fft.irfft(power, size)[lags] / (len(x) - lags)
        peaks.append(float((products / x.var()).max()))
    return max(peaks)


def _motion(to_patch: Floats, patch: tuple[int, int]) -> Curve:
    turn = to_patch[:, :, :2].astype(np.float64)
    middle = np.array(patch) / 2
    place = np.linalg.solve(turn, (middle - to_patch[:, :, 2])[..., None])[..., 0]
    size = 100.0 / np.sqrt(np.linalg.det(turn))
    return np.column_stack([place, size / size.mean() * 100.0])


def _gradient(luma: Pixels) -> Floats:
    down, across = np.gradient(luma.astype(np.float32))
    return np.asarray(np.hypot(down, across), np.float32)


def _within(core: npt.NDArray[np.bool_], border: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the part of `core` that lies along the border, about as wide as the border is."""
    # A ring of width w around an area A has about w times its circumference; half of it lies at each end.
    rows, columns = np.nonzero(core)
    if not len(rows):
        return core
    high, wide = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
    width = max(float(border.sum()) / (2.0 * (high + wide)), 2.0)
    y, x = np.ogrid[: core.shape[0], : core.shape[1]]
    middle = rows.mean(), columns.mean()
    far = np.hypot((y - middle[0]) / max(high / 2, 1.0), (x - middle[1]) / max(wide / 2, 1.0))
    return np.asarray(core & (far > 1.0 - width / (0.25 * (high + wide))), np.bool_)
