"""Windows for the expert: cut from clips as they are, or varied on both sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from studio.lips.picture.data import curve
from studio.lips.sound.augment import Noises, voiced
from studio.lips.sound.data import POSE, Take
from studio.lips.sync.clips import MARGIN, Clip
from studio.lips.sync.net import HOP, PICTURES, POSES, SIZE
from studio.truth.draw import generator
from studio.truth.voices import AUDIO_RATE
from vcam_talker.core.types import MOUTH_RATE_HZ, Pixels
from vcam_talker.dsp.levels import frame_levels_db
from vcam_talker.dsp.loudness import levelling_gain_db
from vcam_talker.face.neural.spectrum import Bands, bands, window_size

Floats = npt.NDArray[np.float32]

LEVEL_DB: Final = -23.0
"""Gated RMS that a sound is brought to."""
_CORNER: Final = (16.0, 2.0)
_EDGE: Final = 1.5
"""The expert's picture in a cut: its left upper corner, and pixels of the cut per pixel of its own."""
_LIGHT: Final = 5 / 3
"""Light is varied so much more than for the picture net: nobody has to draw it again."""
_AUDIBLE_DB: Final = -50.0
"""A window with nothing louder belongs to every shut mouth."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Stretches of clips, `windows` long."""

    pictures: Tensor
    """float32[N, windows + 4, 3, 48, 64] in [0, 1]."""
    bands: Tensor
    """float32[N, HOP * (windows - 1) + POSES, BANDS]."""
    audible: Tensor
    """bool[N, windows]."""


def looked_at(pictures: Pixels, margin: int = 0) -> Floats:
    """Return cuts (uint8[T, 96 + 2 * margin, 128 + 2 * margin, 3]) as the expert sees them.

    float32[T, 3, 48, 64] in [0, 1].
    """
    affine = _placed(margin)
    return np.stack([_planes(_moved(picture, affine)) for picture in pictures])


def levelled(sound: Floats, rate: int = AUDIO_RATE) -> Floats:
    """Return a sound (float32[N]) as loud as those that the expert learnt from."""
    gain_db = levelling_gain_db(sound, rate, LEVEL_DB) or 0.0
    return np.asarray(sound * np.float32(10 ** (gain_db / 20)), np.float32)


def listened_to(sound: Floats, windows: int) -> Bands:
    """Return what the expert hears of `windows` windows, float32[HOP * (windows - 1) + POSES, BANDS].

    `sound` float32[N] at AUDIO_RATE begins with picture 0; what lies outside is silence.
    """
    poses = np.arange(HOP * (windows - 1) + POSES) + _first_pose(0)
    return bands(sound, AUDIO_RATE, (poses * POSE).astype(np.intp))


def batches(clips: Sequence[Clip], size: int, windows: int, seed: int) -> Iterator[Batch]:
    """Yield stretches of different clips for ever, pictures and sounds varied; the same for the same seed."""
    noises = Noises([_take(clip) for clip in clips], generator("lips", "sync", seed, "noises"))
    step = 0
    while True:
        rng = generator("lips", "sync", seed, "batch", step)
        chosen = rng.choice(len(clips), size, replace=size > len(clips))
        rows = [_varied(clips[int(n)], windows, noises, rng) for n in chosen]
        pictures, heard, audible = (np.stack(column) for column in zip(*rows, strict=True))
        yield Batch(torch.from_numpy(pictures), torch.from_numpy(heard), torch.from_numpy(audible))
        step += 1


def audible(sound: Floats, windows: int, first: int = 0) -> npt.NDArray[np.bool_]:
    """Return which of the windows from picture `first` on hear anything, bool[windows]."""
    poses = -(-sound.size // POSE)
    loud = frame_levels_db(levelled(sound), AUDIO_RATE, MOUTH_RATE_HZ, poses) > _AUDIBLE_DB
    starts = _first_pose(first) + HOP * np.arange(windows)
    spans = np.clip(starts[:, None] + np.arange(POSES), 0, poses - 1)
    return np.asarray(loud[spans].mean(1) > 0.25)


def _first_pose(picture: int) -> int:
    """Return the first pose that the window hears whose first picture is `picture`."""
    return HOP * (picture + PICTURES // 2) - POSES // 2


def _varied(
    clip: Clip, windows: int, noises: Noises, rng: np.random.Generator
) -> tuple[Floats, Bands, npt.NDArray[np.bool_]]:
    length = windows + PICTURES - 1
    first = int(rng.integers(len(clip.pictures) - length + 1))
    pictures = _looks(clip.pictures[first : first + length], rng)
    count = HOP * (windows - 1) + POSES
    heard = voiced(_around(clip.sound, _first_pose(first), count), count, noises, rng)
    return pictures, heard, audible(clip.sound, windows, first)


def _around(sound: Floats, pose: int, count: int) -> Floats:
    """Return the samples about `count` poses from `pose` on, with half a window on both sides."""
    half = window_size(AUDIO_RATE) // 2
    low, high = pose * POSE - half, (pose + count) * POSE + half
    found = np.zeros(high - low, np.float32)
    a, b = max(0, low), min(sound.size, high)
    found[a - low : b - low] = sound[a:b]
    return levelled(found)


def _looks(pictures: Pixels, rng: np.random.Generator) -> Floats:
    """Return pictures under one random place, size, angle, side, light and sharpness, and their own grain."""
    affine = _jittered(rng)
    table = curve(rng, _LIGHT)
    blur = float(rng.uniform(0.3, 1.3)) if rng.random() < 0.5 else 0.0
    grain = float(rng.uniform(1, 9)) if rng.random() < 0.5 else 0.0
    shaky = float(rng.uniform(0, 0.5)) if rng.random() < 0.3 else 0.0
    found = []
    for picture in pictures:
        moved = affine.copy()
        moved[:, 2] += rng.normal(0, shaky, 2)
        x = _moved(picture, moved)
        x = np.stack([table[c][x[..., c]] for c in range(3)], -1)
        if blur:
            x = np.asarray(cv2.GaussianBlur(x, (0, 0), blur), np.uint8)
        planes = _planes(x)
        if grain:
            planes = np.clip(planes + rng.normal(0, grain / 255, planes.shape).astype(np.float32), 0, 1)
        found.append(planes)
    return np.stack(found)


def _placed(margin: int) -> Floats:
    """Return the affine from a cut's pixels to the expert's."""
    scale = 1 / _EDGE
    shift = [(0.5 - margin - corner) * scale - 0.5 for corner in _CORNER]
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)


def _jittered(rng: np.random.Generator) -> Floats:
    turn, scale = np.radians(rng.normal(0, 3.0)), float(np.exp(rng.normal(0, 0.07)))
    c, s = np.cos(turn) * scale, np.sin(turn) * scale
    matrix = np.array([[c, -s], [s, c]])
    if rng.random() < 0.5:
        matrix = matrix @ np.diag([-1.0, 1.0])
    middle = np.array([SIZE[1], SIZE[0]]) / 2 - 0.5
    around = np.column_stack((matrix, middle - matrix @ middle + np.clip(rng.normal(0, 1.8, 2), -5, 5)))
    whole = around @ np.vstack((_placed(MARGIN), [0, 0, 1]))
    return np.asarray(whole, np.float32)


def _moved(picture: Pixels, affine: Floats) -> Pixels:
    size = (SIZE[1], SIZE[0])
    out = cv2.warpAffine(picture, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, np.uint8)


def _planes(picture: Pixels) -> Floats:
    return np.asarray(picture.transpose(2, 0, 1), np.float32) / np.float32(255)


def _take(clip: Clip) -> Take:
    mouth = np.zeros((0, clip.mouth.shape[1]), np.int16)
    return Take(clip.audio, mouth, clip.voice, clip.language, "none", ())
