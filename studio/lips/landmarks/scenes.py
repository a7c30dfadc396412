"""What the landmark net learns from: random people in random light, head and shoulders, and their 72 points.

A *file* shows one person in one light, looking anywhere, lips shut or not, eyes open or not.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.landmarks import FACE
from studio.truth import container
from studio.truth.body import BODY_COLUMNS, body_track, pose_of
from studio.truth.clips import FPS
from studio.truth.draw import Split, digest, generator
from studio.truth.people import people_of, person
from studio.truth.pictures import JpegWriter
from studio.truth.raster import RasterRenderer
from studio.truth.shot import draw_shot
from vcam_talker.core.types import MOUTH_PARAMS

SIZE: Final = 192
"""Pixels across and down."""
HEADS: Final = 14
"""Of each person."""
_SCALE: Final = (0.46, 0.6)
_TURNED: Final = {"yaw_deg": (14.0, 34.0), "pitch_deg": (8.0, 20.0), "roll_deg": (4.0, 12.0)}
"""Deviation and limit."""
_RESTING: Final = 0.4
"""Share of mouths at rest."""
_BLINKING: Final = 0.2
"""Share of heads whose lids are somewhere between open and shut."""

_tools: list[RasterRenderer] = []
"""Of a worker process."""


def draw(number: int, renderer: RasterRenderer) -> dict[str, container.Array]:
    """Draw a person: `jpeg` bytes one after another, `jpeg_at` int64[N + 1], `points` float32[N, 72, 2].

    Blocks for seconds. Raises StudioError.
    """
    rng = generator("landmarks", number)
    somebody = renderer.person(person(number).character, digest("strands", number) & 0x7FFF_FFFF)
    shot = draw_shot(rng)
    scale = float(rng.uniform(*_SCALE))
    # Wide lenses bend near faces less than a phone held at arm's length does.
    shot = replace(shot, scale=scale, offset=(0.0, 0.0), fov_deg=float(rng.uniform(14, 60)))
    writer = JpegWriter(SIZE)
    jpegs, points = [], []
    for body in _heads(rng):
        picture, places = somebody.seen(pose_of(body, _mouth(rng)), shot, FACE)
        jpegs.append(writer.pack(picture))
        points.append(places)
    return {
        "jpeg": np.frombuffer(b"".join(jpegs), np.uint8),
        "jpeg_at": np.cumsum([0, *map(len, jpegs)], dtype=np.int64),
        "points": np.stack(points).astype(np.float32),
    }


def make(folder: Path, split: Split, count: int, workers: int, say: Callable[[str], None]) -> int:
    """Draw the first `count` people of a split who are missing in `folder`. Blocks. Raises StudioError."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [n for n in people_of(split)[:count] if not path_of(folder, split, n).exists()]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin) as pool:
        for done, number in enumerate(pool.map(partial(_draw, folder, split), missing), 1):
            say(f"person {number} ({done} of {len(missing)})")
    return len(missing)


def path_of(folder: Path, split: Split, number: int) -> Path:
    """Return where a person's file lies."""
    return folder / f"{split}-{number:04}{container.SUFFIX}"


def files_of(folder: Path, split: Split) -> Sequence[Path]:
    """Return the files of a split."""
    return sorted(folder.glob(f"{split}-*{container.SUFFIX}"))


def _begin() -> None:
    _tools.append(RasterRenderer(SIZE, wide=True))


def _draw(folder: Path, split: Split, number: int) -> int:
    container.write(path_of(folder, split, number), draw(number, _tools[0]))
    return number


def _heads(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    rows = np.concatenate([body_track(rng, 1, FPS) for _ in range(HEADS)])
    for name, (sigma, limit) in _TURNED.items():
        rows[:, BODY_COLUMNS.index(name)] = np.clip(rng.normal(0, sigma, HEADS), -limit, limit)
    blinks = rng.random(HEADS) < _BLINKING
    for name in ("lid_left", "lid_right"):
        lids = rows[:, BODY_COLUMNS.index(name)]
        lids[blinks] = rng.uniform(0.2, 1.0, int(blinks.sum()))
    return rows


def _mouth(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return a mouth at rest, or one of independent parameters."""
    if rng.random() < _RESTING:
        return np.zeros(len(MOUTH_PARAMS), np.float32)
    rounding = float(rng.beta(0.6, 1.2))
    width = float(np.clip(rng.normal(0.2 - rounding, 0.4), -1, 1))
    jaw, teeth, other = float(rng.beta(1.2, 2.0)), float(rng.beta(1, 1.5)), float(rng.beta(0.7, 2))
    return np.array([jaw, width, rounding, 0.7 * rounding, teeth, other, 0.0], np.float32)
