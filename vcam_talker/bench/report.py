"""What a bench found: figures beside the bars they are held to."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; `bar` is what it is held to (None: told for information)."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = False
    """True: the value must reach the bar; False: it must not exceed it."""

    @property
    def met(self) -> bool:
        """Whether the bar holds."""
        if self.bar is None:
            return True
        return self.value >= self.bar if self.at_least else self.value <= self.bar


@dataclass(slots=True)
class Report:
    """All figures of one bench."""

    bench: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def met(self) -> bool:
        """Whether every bar holds."""
        return all(f.met for f in self.figures)

    def add(
        self, name: str, value: float, unit: str, bar: float | None = None, *, at_least: bool = False
    ) -> None:
        """Add a figure."""
        self.figures.append(Figure(name, round(float(value), 3), unit, bar, at_least))

    def lines(self) -> list[str]:
        """Return the report for people."""
        lines = [f"bench {self.bench} on {machine()}"]
        for f in self.figures:
            sign = ">=" if f.at_least else "<="
            bar = "" if f.bar is None else f"   bar {sign} {f.bar:g} {f.unit}: {'met' if f.met else 'MISSED'}"
            lines.append(f"  {f.name:44} {f.value:10.3f} {f.unit:8}{bar}")
        return [*lines, *(f"  {note}" for note in self.notes)]

    def as_dict(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "bench": self.bench,
            "machine": machine(),
            "met": self.met,
            "figures": [
                {"name": f.name, "value": f.value, "unit": f.unit, "bar": f.bar, "met": f.met}
                for f in self.figures
            ],
            "notes": self.notes,
        }


def machine() -> str:
    """Name the processor count and kind, nothing that tells whose machine it is."""
    return f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}"


def percentile(values: npt.ArrayLike, share: float) -> float:
    """Return a percentile of `values`; NaN when there are none."""
    array = np.asarray(values, np.float64)
    return float(np.percentile(array, share)) if array.size else float("nan")
