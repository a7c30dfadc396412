"""Seeded choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def chosen(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """Return one of `choices`, each as likely."""
    return choices[int(rng.integers(len(choices)))]
