"""Random draws that depend on nothing but what they are for: the same on every machine, in any order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Literal, TypeVar, get_args

import numpy as np

Split = Literal["train", "val", "test"]
SPLITS: Final[tuple[Split, ...]] = get_args(Split)
SHARES: Final[dict[Split, float]] = {"train": 0.76, "val": 0.12, "test": 0.12}
"""What part of people and of lines belongs to each."""

T = TypeVar("T")


def digest(*words: str | int) -> int:
    """Return 64 bits that depend on all `words` (BLAKE2b)."""
    text = "\0".join(map(str, words)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def generator(*words: str | int) -> np.random.Generator:
    """Return a source of random numbers of its own for what `words` name."""
    return np.random.Generator(np.random.PCG64(digest(*words)))


def shared_out(items: Sequence[str], split: Split, salt: str) -> tuple[str, ...]:
    """Return the items that belong to `split`: each belongs to exactly one, by its own text.

    Three items or more leave none empty; of fewer, every split has all, for there is nothing to share.
    """
    if len(items) < len(SPLITS):
        return tuple(items)
    ranked = sorted(items, key=lambda item: digest("share", salt, item))
    held = {s: max(1, round(SHARES[s] * len(items))) for s in SPLITS if s != "train"}
    first = len(items) - sum(held.values())
    if split == "train":
        return tuple(ranked[:first])
    if split == "val":
        return tuple(ranked[first : first + held["val"]])
    return tuple(ranked[first + held["val"] :])


def one_of(rng: np.random.Generator, items: Sequence[T]) -> T:
    """Return one of `items`, all alike."""
    return items[int(rng.integers(len(items)))]


def weighted(rng: np.random.Generator, shares: dict[T, float]) -> T:
    """Return one of the keys, as often as its share says."""
    keys = list(shares)
    weights = np.array([shares[k] for k in keys], np.float64)
    return keys[int(rng.choice(len(keys), p=weights / weights.sum()))]


def bounded_normal(rng: np.random.Generator, mean: float, sigma: float, low: float, high: float) -> float:
    """Return a normal draw, drawn again until it lies in `low` .. `high`."""
    for _ in range(64):
        value = float(rng.normal(mean, sigma))
        if low <= value <= high:
            return value
    return float(np.clip(mean, low, high))
