"""Samples for training, from the files that `make` drew: cut to the mouth, aligned, shuffled, varied."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from studio.lips.picture.scenes import HEADS
from studio.pack import StudioError
from studio.truth import container
from studio.truth.draw import Split
from studio.truth.pictures import unpack_jpeg, unpack_mask
from vcam_talker.core.types import Pixels
from vcam_talker.face.neural.region import REGION
from vcam_talker.face.neural.sitting import inside_shown
from vcam_talker.nets.lips import SIZE

Floats = npt.NDArray[np.float32]

MARGIN: Final = 10
"""Pixels kept around the net's picture, for jitter."""
_ALONE: Final = 0.25
"""Share of the samples without another picture."""
_APART_PX: Final = 0.5
"""How far the other picture is off the one at rest, besides what a turned head makes."""
_OPEN: Final = 3.0
"""How much rather the other picture is one that shows much: e to the power of this, per unit of
`inside_shown`."""
_HEIGHT, _WIDTH = SIZE[0] + 2 * MARGIN, SIZE[1] + 2 * MARGIN


@dataclass(frozen=True, slots=True)
class Twins:
    """All samples of a split, decoded and cut. Arrays are mapped from disk."""

    pictures: Pixels
    """uint8[N, 116, 148, 3], the mouth at rest of each head at the same place and of the same width."""
    labels: Pixels
    """uint8[N, 116, 148] of `render.Label`."""
    mouth: Floats
    """float32[N, 7]."""
    rest: npt.NDArray[np.int32]
    """int32[N]: the same head at rest."""
    sitter: npt.NDArray[np.int32]
    """int32[N]: number in `names`."""
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.mouth)


def affine_of(landmarks: Floats, size: tuple[int, int], margin: int = 0) -> Floats:
    """Return the affine float32[2, 3] from a picture's pixels to a cut of the mouth region.

    `landmarks`: float32[41, 2] of the mouth at rest. `size`: height and width of the net's picture.
    """
    return REGION.affine(landmarks, size, margin)


def cut(folder: Path, split: Split, cache: Path) -> Twins:
    """Return the samples of a split; decodes and cuts them when `cache` has none of just these files.

    A file that was drawn anew is another one: it is known by its size and the moment it was written as well.

    Blocks for about 2 ms a sample. Raises StudioError.
    """
    files = sorted(folder.glob(f"{split}-*{container.SUFFIX}"))
    if not files:
        raise StudioError(
            str(folder), f"has no files of split {split}", "Make them: python -m studio.lips.picture make"
        )
    place = cache / split
    known = place / "files.json"
    facts = [[path.name, *_stamp(path)] for path in files]
    if not known.exists() or json.loads(known.read_text()) != facts:
        _write(files, place)
        known.write_text(json.dumps(facts))
    arrays: dict[str, Any] = {
        name: np.load(place / f"{name}.npy", mmap_mode="r")
        for name in ("pictures", "labels", "mouth", "rest", "sitter")
    }
    return Twins(**arrays, names=tuple(path.name.removesuffix(container.SUFFIX) for path in files))


def _stamp(path: Path) -> tuple[int, int]:
    """Return a file's size in bytes and when it was written, in ns."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _write(files: Sequence[Path], place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    (place / "files.json").unlink(missing_ok=True)
    counts = [len(container.read(path)["mouth"]) for path in files]
    total = sum(counts)
    pictures = np.lib.format.open_memmap(place / "pictures.npy", "w+", np.uint8, (total, _HEIGHT, _WIDTH, 3))
    labels = np.lib.format.open_memmap(place / "labels.npy", "w+", np.uint8, (total, _HEIGHT, _WIDTH))
    mouth, rest, sitter = (
        np.empty((total, 7), np.float32),
        np.empty(total, np.int32),
        np.empty(total, np.int32),
    )
    at = 0
    for number, path in enumerate(files):
        found = container.read(path)
        count = counts[number]
        first = np.searchsorted(found["head"], found["head"])
        mouth[at : at + count], sitter[at : at + count] = found["mouth"], number
        rest[at : at + count] = at + first
        for k in range(count):
            picture, label = frame(found, k)
            affine = affine_of(found["landmarks"][first[k]], SIZE, MARGIN)
            size = (_WIDTH, _HEIGHT)
            pictures[at + k] = cv2.warpAffine(
                picture, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            labels[at + k] = cv2.warpAffine(label, affine, size, flags=cv2.INTER_NEAREST)
        at += count
    for name, array in (("mouth", mouth), ("rest", rest), ("sitter", sitter)):
        np.save(place / f"{name}.npy", array)
    pictures.flush()
    labels.flush()


def frame(found: dict[str, container.Array], index: int) -> tuple[Pixels, Pixels]:
    """Return picture and label map of a frame of a file."""
    a, b = found["jpeg_at"][index : index + 2]
    picture = unpack_jpeg(found["jpeg"][a:b].tobytes())
    a, b = found["mask_at"][index : index + 2]
    return picture, unpack_mask(found["mask"][a:b].tobytes(), len(picture))


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step learns from: uint8 pictures [B, 96, 128, 3], labels [B, 96, 128], mouths [B, 7]."""

    rest: Pixels
    other: Pixels
    target: Pixels
    labels: Pixels
    mouth: Floats


def batches(
    twins: Twins, size: int, seed: int, *, weights: npt.NDArray[np.float64] | None = None
) -> Iterator[Batch]:
    """Yield varied batches for ever. `weights`: how often each sample comes; all alike by default."""
    rng = np.random.default_rng(seed)
    share = None if weights is None else weights / weights.sum()
    others = _Others.of(twins)
    while True:
        chosen = rng.choice(len(twins), size, p=share)
        rows = [_varied(twins, int(n), others, rng) for n in chosen]
        yield Batch(*(np.stack(column) for column in zip(*rows, strict=True)))


def still(twins: Twins, chosen: npt.NDArray[np.int64]) -> Batch:
    """Return these samples as they are, for evaluation; `other` shows most of the mouth's inside.

    It is of the same sitter in the same light, and never the sample itself.
    """
    inner = (slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    light = lights(twins)
    best = {
        int(n): same[np.argsort(-inside_shown(twins.mouth[same]), kind="stable")[:2]]
        for n in np.unique(light[chosen])
        for same in [np.flatnonzero(light == n)]
    }
    other = np.array([next(n for n in best[int(light[k])] if n != k) for k in chosen])
    return Batch(
        twins.pictures[twins.rest[chosen]][inner],
        twins.pictures[other][inner],
        twins.pictures[chosen][inner],
        twins.labels[chosen][inner],
        np.asarray(twins.mouth[chosen]),
    )


def lights(twins: Twins) -> npt.NDArray[np.int64]:
    """Return the number of each sample's sitter and light, int64[N]: 0, 1, .. in the order of the samples."""
    heads, head = np.unique(twins.rest, return_inverse=True)
    sitter = np.asarray(twins.sitter)[heads]
    first = np.searchsorted(sitter, sitter)
    within = (np.arange(len(heads)) - first) // HEADS
    found: npt.NDArray[np.int64] = np.unique(np.stack((sitter, within), 1), axis=0, return_inverse=True)[
        1
    ].reshape(-1)[head]
    return found


@dataclass(frozen=True, slots=True)
class _Others:
    """What may be shown as the other picture of a sample."""

    light: npt.NDArray[np.int64]
    samples: list[npt.NDArray[np.int64]]
    """By light."""
    shares: list[npt.NDArray[np.float64]]
    """How often each of them is."""

    @classmethod
    def of(cls, twins: Twins) -> _Others:
        light = lights(twins)
        order = np.argsort(light, kind="stable")
        samples = np.split(order, np.flatnonzero(np.diff(light[order])) + 1)
        weights = [np.exp(_OPEN * inside_shown(twins.mouth[same]).astype(np.float64)) for same in samples]
        return cls(light, samples, [w / w.sum() for w in weights])

    def draw(self, index: int, rng: np.random.Generator) -> int:
        n = self.light[index]
        return int(rng.choice(self.samples[n], p=self.shares[n]))


def _varied(
    twins: Twins, index: int, others: _Others, rng: np.random.Generator
) -> tuple[Pixels, Pixels, Pixels, Pixels, Floats]:
    """Return a sample under a random place, size, angle, side, light and sharpness."""
    rest = int(twins.rest[index])
    # A photograph knows no other mouth than the one at rest.
    other = rest if rng.random() < _ALONE else others.draw(index, rng)
    mirrored = rng.random() < 0.5
    together = _jitter(rng, mirrored)
    # Both are aligned by their own mouths at rest; what is left is for the net to find.
    apart = together.copy()
    apart[:, 2] += rng.normal(0, _APART_PX, 2)
    target = _moved(twins.pictures[index], together)
    labels = _moved(twins.labels[index], together, smooth=False)
    calm = _moved(twins.pictures[rest], together)
    second = _moved(twins.pictures[other], apart) if other != rest else calm
    table = curve(rng)
    calm, second, target = (
        np.stack([table[c][x[..., c]] for c in range(3)], -1) for x in (calm, second, target)
    )
    if rng.random() < 0.3:
        calm, second = _grained(calm, rng), _grained(second, rng)
    return calm, second, target, labels, np.asarray(twins.mouth[index])


def _jitter(rng: np.random.Generator, mirrored: bool) -> Floats:
    """Return the affine from a cut's pixels to the net's, float32[2, 3]."""
    turn, scale = np.radians(rng.normal(0, 1.5)), float(np.exp(rng.normal(0, 0.035)))
    c, s = np.cos(turn) * scale, np.sin(turn) * scale
    matrix = np.array([[c, -s], [s, c]])
    if mirrored:
        matrix = matrix @ np.diag([-1.0, 1.0])
    centre, new = np.array([_WIDTH, _HEIGHT]) / 2 - 0.5, np.array([SIZE[1], SIZE[0]]) / 2 - 0.5
    shift = new - matrix @ centre + np.clip(rng.normal(0, 2.0, 2), -5, 5)
    return np.column_stack((matrix, shift)).astype(np.float32)


def _moved(picture: Pixels, affine: Floats, *, smooth: bool = True) -> Pixels:
    flags = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    out = cv2.warpAffine(
        np.asarray(picture), affine, (SIZE[1], SIZE[0]), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(out, np.uint8)


def curve(rng: np.random.Generator, strength: float = 1.0) -> Pixels:
    """Return a table per colour, uint8[3, 256]: exposure, contrast and balance."""
    gamma = float(np.exp(rng.normal(0, 0.12 * strength)))
    gains = np.exp(rng.normal(0, 0.06 * strength, 3) + rng.normal(0, 0.12 * strength))
    x = np.arange(256) / 255
    return np.clip(255 * gains[:, None] * x**gamma + 0.5, 0, 255).astype(np.uint8)


def _grained(picture: Pixels, rng: np.random.Generator) -> Pixels:
    noise = rng.normal(0, rng.uniform(1, 5), picture.shape)
    return np.clip(picture + noise + 0.5, 0, 255).astype(np.uint8)
