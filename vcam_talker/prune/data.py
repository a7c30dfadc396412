"""Samples to train and judge a pruned network by: a protocol, and a plain format that anybody can write.

**Format**: a folder with `train-*.npz` and `test-*.npz`, written by `np.savez` or `np.savez_compressed`, no
pickles. Each holds one array per input, named as the network's `forward` names it (Wav2Lip: `mel`, `face`),
`target`, what the first output should be, and, if some places count more, `weight`, which is broadcast to the
target (the mouth's). The first axis of all is the samples'. uint8 stands for value / 255. What is tested with
should be of people and voices that are not trained with.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vcam_talker.core.errors import BadInputError
from vcam_talker.prune.files import reading

Arrays = Mapping[str, npt.NDArray[Any]]
TARGET: Final = "target"
WEIGHT: Final = "weight"
_SPLITS: Final = ("train", "test")
# What NumPy was seen to raise over files that are damaged, cut short or of another kind.
_DAMAGE: Final = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    NotImplementedError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some samples: float32[N, ...] each."""

    inputs: tuple[Tensor, ...]
    target: Tensor
    weight: Tensor | None = None


class Reader(Protocol):
    """What gives samples."""

    def train(self, rows: int, seed: int) -> Iterator[Batch]:
        """Yield batches of `rows` without end, shuffled by `seed`."""
        ...

    def test(self, rows: int) -> Iterator[Batch]:
        """Yield all held-out samples once, in batches of at most `rows`, always in the same order."""
        ...


class NpzReader:
    """Reads the format above. One archive is in memory at a time."""

    def __init__(self, folder: Path, inputs: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> None:
        """Look for archives. `inputs`, `shapes`: of the network; the first axis isn't looked at.

        Raises BadInputError when a split has no archive.
        """
        self._shapes = dict(zip(inputs, shapes, strict=True))
        self._files = {split: _archives(folder, split) for split in _SPLITS}
        for split, files in self._files.items():
            if not files:
                raise BadInputError(
                    str(folder),
                    f"has no {split}-*.npz",
                    f"Each holds {', '.join(inputs)}, target and perhaps weight; see docs/pruning.md",
                )

    def train(self, rows: int, seed: int) -> Iterator[Batch]:
        """Yield shuffled batches without end. Raises BadInputError for an archive that doesn't fit."""
        _check_rows(rows)
        chance = np.random.default_rng(seed)
        while True:
            for number in chance.permutation(len(self._files["train"])):
                arrays = self._read(self._files["train"][number])
                order = chance.permutation(len(arrays[TARGET]))
                for start in range(0, len(order), rows):
                    yield self._batch(arrays, np.sort(order[start : start + rows]))

    def test(self, rows: int) -> Iterator[Batch]:
        """Yield all held-out samples once. Raises BadInputError for an archive that doesn't fit."""
        _check_rows(rows)
        for file in self._files["test"]:
            arrays = self._read(file)
            for start in range(0, len(arrays[TARGET]), rows):
                yield self._batch(arrays, np.arange(start, min(start + rows, len(arrays[TARGET]))))

    def _read(self, path: Path) -> Arrays:
        try:
            with np.load(path, allow_pickle=False) as archive:
                wanted = [*self._shapes, TARGET, *([WEIGHT] if WEIGHT in archive.files else [])]
                arrays = {name: np.asarray(archive[name]) for name in wanted}
        except _DAMAGE as e:
            raise BadInputError(str(path), f"can't be read ({e})") from None
        except KeyError as e:
            raise BadInputError(str(path), f"lacks an array ({e.args[0]})") from None
        count = len(arrays[TARGET]) if arrays[TARGET].ndim else 0
        for name, array in arrays.items():
            if array.dtype.kind not in "fu" or array.ndim == 0 or len(array) != count or not count:
                raise BadInputError(
                    str(path), f"{name} is {array.dtype}{list(array.shape)}, not {count} samples"
                )
            if name in self._shapes and array.shape[1:] != self._shapes[name][1:]:
                raise BadInputError(
                    str(path), f"{name} is {list(array.shape)}, the network takes {list(self._shapes[name])}"
                )
        return arrays

    def _batch(self, arrays: Arrays, rows: npt.NDArray[np.int64]) -> Batch:
        tensors = {name: _tensor(array[rows]) for name, array in arrays.items()}
        return Batch(tuple(tensors[name] for name in self._shapes), tensors[TARGET], tensors.get(WEIGHT))


def archives_digest(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of all archives in a folder, wherever that lies.

    Blocks for reading them once, which training does many times. Raises BadInputError.
    """
    digest = hashlib.sha256()
    for split in _SPLITS:
        for path in _archives(folder, split):
            with reading(path), path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.name}\0{content}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _archives(folder: Path, split: str) -> list[Path]:
    return sorted(folder.glob(f"{split}-*.npz"))


def _check_rows(rows: int) -> None:
    # Slices of none would make training look for samples for ever.
    if rows < 1:
        raise BadInputError(f"rows {rows}", "must be 1 or more")


def _tensor(array: npt.NDArray[Any]) -> Tensor:
    whole = array.dtype == np.uint8
    values = np.ascontiguousarray(array, np.float32)
    return torch.from_numpy(values / np.float32(255) if whole else values)
