"""How good are drawn mouths? Measured against truth, on people, voices and lights the nets never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from studio.lips.picture.data import Batch, Twins, batches, still
from studio.lips.picture.train import tensors
from studio.lips.weights import with_weights
from studio.truth.render import Label
from vcam_talker.nets.lips import LipsNet, composed
from vcam_talker.nets.reader import MouthReader, opening

Floats = npt.NDArray[np.float32]
Draw = Callable[[Batch], Floats]
"""Returns pictures float32[B, 96, 128, 3] in [0, 1]."""

_NEAR_PX: Final = 6
"""The mouth region is lips and inside, of rest and of truth, and so many pixels around them."""
_SSIM_SIGMA: Final = 1.5
_C1, _C2 = 0.01**2, 0.03**2


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over all samples; pictures in [0, 1]."""

    l1: float
    """Mean absolute difference in the mouth region."""
    psnr_db: float
    """Of the mouth region, mean of the samples'."""
    ssim: float
    """Of grey, Gaussian windows (Wang et al. 2004), averaged over the mouth region."""
    sharpness: float
    """Gradient energy of the mouth region, as a share of truth's: 1 is as sharp as truth."""
    aperture_r: float
    """Correlation of how far the mouth is open, read off both pictures."""
    width_r: float
    """And of how wide its inside is: rounding."""
    samples: int


def evaluate(draw: Draw, twins: Twins, reader: MouthReader, *, count: int = 1500, seed: int = 5) -> Figures:
    """Draw samples of `twins` that are not at rest and compare them with truth. Blocks."""
    rng = np.random.default_rng(seed)
    moving = np.flatnonzero(np.asarray(twins.rest) != np.arange(len(twins)))
    chosen = np.sort(rng.choice(moving, min(count, len(moving)), replace=False))
    rows: list[tuple[float, ...]] = []
    for part in np.array_split(chosen, max(1, len(chosen) // 32)):
        batch = still(twins, part)
        made, truth = draw(batch), batch.target.astype(np.float32) / np.float32(255)
        rows += _compared(made, truth, batch, reader)
    table = np.array(rows)
    l1, psnr, ssim, sharp, high, true_high, wide, true_wide = table.T
    return Figures(
        float(l1.mean()),
        float(psnr.mean()),
        float(ssim.mean()),
        float(np.median(sharp)),
        _correlation(high, true_high),
        _correlation(wide, true_wide),
        len(table),
    )


def by_net(net: LipsNet) -> Draw:
    """Return how a net draws."""

    def draw(batch: Batch) -> Floats:
        rest, other, _, mouth = tensors(batch)
        with torch.inference_mode():
            made = composed(rest, other, *net(rest, other, mouth))
        return np.ascontiguousarray(made.permute(0, 2, 3, 1).numpy())

    return draw


def at_rest(batch: Batch) -> Floats:
    """Draw nothing at all: the worst that may be called a mouth."""
    return batch.rest.astype(np.float32) / np.float32(255)


def train_reader(
    twins: Twins, steps: int, say: Callable[[str], None], *, batch: int = 16, seed: int = 3
) -> MouthReader:
    """Train a reader. Blocks for minutes."""
    torch.manual_seed(seed)
    reader = MouthReader().train()
    optimiser = torch.optim.AdamW(reader.parameters(), 2e-3)
    samples = batches(twins, batch, seed)
    for step in range(1, steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * 0.5 * (1 + np.cos(np.pi * step / steps))
        taken = next(samples)
        target = torch.from_numpy(classes(taken.labels))
        picture = tensors(taken)[2]
        loss = torch.nn.functional.cross_entropy(reader(picture), target, torch.tensor([1.0, 2.0, 2.0]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 100 == 0:
            say(f"reader, step {step}: {float(loss):.4f}")
    return reader.eval()


def classes(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the reader's classes of label maps."""
    return np.select([labels == Label.LIPS, labels >= Label.MOUTH], [1, 2]).astype(np.int64)


def reader_of(path: Path) -> MouthReader:
    """Return the reader of a file that `train_reader`'s weights were saved in. Raises StudioError."""
    return with_weights(MouthReader(), path)


def read(reader: MouthReader, pictures: Floats) -> Floats:
    """Return height and width of the mouths' insides, float32[N, 2] in pixels."""
    with torch.inference_mode():
        return opening(reader(_planes(pictures))).numpy()


def true_opening(labels: npt.NDArray[np.uint8]) -> Floats:
    """Return the same of label maps, without a reader."""
    columns = (labels >= Label.MOUTH).sum(1).astype(np.float32)
    return np.stack((columns.max(1), (columns > 0).sum(1)), 1).astype(np.float32)


def _compared(made: Floats, truth: Floats, batch: Batch, reader: MouthReader) -> Iterator[tuple[float, ...]]:
    region = _region(batch)
    high, true_high = read(reader, made), read(reader, truth)
    for k in range(len(made)):
        where = region[k]
        error = (made[k] - truth[k])[where]
        mse = max(float((error**2).mean()), 1e-8)
        yield (
            float(np.abs(error).mean()),
            10 * float(np.log10(1 / mse)),
            float(ssim(made[k], truth[k])[where].mean()),
            _energy(made[k], where) / max(_energy(truth[k], where), 1e-6),
            *(float(n) for n in (high[k, 0], true_high[k, 0], high[k, 1], true_high[k, 1])),
        )


def _region(batch: Batch) -> npt.NDArray[np.bool_]:
    shown = np.asarray(batch.labels >= Label.LIPS, np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _NEAR_PX + 1, 2 * _NEAR_PX + 1))
    return np.stack([cv2.dilate(label, disc) > 0 for label in shown])


def ssim(a: Floats, b: Floats) -> Floats:
    """Return the structural similarity of two RGB pictures in [0, 1], float32[H, W]."""
    x, y = (np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float64) for image in (a, b))

    def mean(image: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), _SSIM_SIGMA), np.float64)

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    found = (2 * mx * my + _C1) * (2 * both + _C2) / ((mx * mx + my * my + _C1) * (vx + vy + _C2))
    return np.asarray(found, np.float32)


def _energy(image: Floats, where: npt.NDArray[np.bool_]) -> float:
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    across, down = np.diff(grey, axis=1)[1:], np.diff(grey, axis=0)[:, 1:]
    return float((across**2 + down**2)[where[1:, 1:]].mean())


def _correlation(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Return Pearson's r; 0 where one of them never changes."""
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def _planes(pictures: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2)
