"""What could run a network here, and how the candidates did against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from vcam_talker.core.errors import EngineError
from vcam_talker.inference.engines import (
    ENGINES,
    EXACTNESS,
    Engine,
    EngineChoice,
    PrecisionChoice,
    find_engine,
)
from vcam_talker.inference.model import Model
from vcam_talker.inference.processor import Processor
from vcam_talker.inference.session import Array, EngineName, Precision

TOLERANCE: Final[dict[Precision, float]] = {"fp32": 1e-4, "fp16": 1e-2, "bf16": 5e-2, "int8": 0.15}
"""How far outputs may be from the reference's: root of the mean square error over that of the reference."""
_QUIET: Final = 1e-3
"""Reference outputs are taken to be at least this large; smaller ones are zeros."""
_NEAR: Final = 1.1
"""Engines this close are equally fast, and the more exact one is taken."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine and the number format it would compute in."""

    engine: EngineName
    precision: Precision

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}"


@dataclass(frozen=True, slots=True)
class Measured:
    """How a candidate did."""

    candidate: Candidate
    run_ms: float = 0.0
    """Median."""
    deviation: float = 0.0
    """From the reference; see TOLERANCE."""
    fault: str = ""
    """Why it can't be used; empty when it can."""
    passing: bool = False
    """It may be the machine's fault, and gone when that is at rest: a time-out, a crash, no memory."""
    tries: int = 0
    """How often in a row it could not be measured; 0: it was, and results that are wrong stay so."""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "engine": self.candidate.engine,
            "precision": self.candidate.precision,
            "run_ms": round(self.run_ms, 4),
            "deviation": round(self.deviation, 6),
            "fault": self.fault,
            "passing": self.passing,
            "tries": self.tries,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Measured:
        """Return what `as_dict` made.

        Raises KeyError, TypeError, ValueError, OverflowError for anything else.
        """
        engine, precision = data["engine"], data["precision"]
        if precision not in EXACTNESS or engine not in {e.name for e in ENGINES}:
            raise ValueError(f"no engine {engine!r} in {precision!r}")
        run_ms, deviation = float(data["run_ms"]), float(data["deviation"])
        candidate = Candidate(engine, precision)
        fault, passing, tries = str(data["fault"]), bool(data["passing"]), max(0, int(data["tries"]))
        return cls(candidate, run_ms, deviation, fault, passing, tries)


def candidates(
    model: Model, engine: EngineChoice, precision: PrecisionChoice, processor: Processor
) -> tuple[list[Candidate], list[EngineError]]:
    """Return what can run the model here, as far as that shows without loading it, and what is lacking.

    With `auto`, torch is no candidate where another engine is: it takes seconds and hundreds of megabytes.
    """
    found: list[Candidate] = []
    faults: list[EngineError] = []
    for row in ENGINES if engine == "auto" else (find_engine(engine),):
        if fault := row.lacks() or _unable(row, model, precision, processor):
            faults.append(fault)
        elif not (row.name == "torch" and found):
            able = row.precisions(model, processor)
            found += [Candidate(row.name, p) for p in able if precision in {"auto", p}]
    return found, faults


def _unable(
    row: Engine, model: Model, precision: PrecisionChoice, processor: Processor
) -> EngineError | None:
    able = row.precisions(model, processor)
    if precision in able or (precision == "auto" and able):
        return None
    shown = f"{row.name}" if precision == "auto" else f"{row.name} in {precision}"
    return EngineError(
        f"engine '{shown}'",
        f"can't run {model.label} here, which there is as {' and '.join(model.forms)}",
        "Set it to auto",
    )


def deviation(outputs: dict[str, Array], reference: dict[str, Array]) -> float:
    """Return how far outputs are from the reference's, relative; infinite where name or shape differ."""
    worst = 0.0
    for name, wanted in reference.items():
        made = outputs.get(name)
        if made is None or made.shape != wanted.shape:
            return float("inf")
        error = made.astype(np.float64) - wanted
        worst = max(worst, _rms(error) / max(_rms(wanted.astype(np.float64)), _QUIET))
    return worst


def ranked(measured: list[Measured]) -> list[Candidate]:
    """Return those that work, the one to take first, the others by their speed."""
    good = sorted((m for m in measured if not m.fault), key=lambda m: m.run_ms)
    near = [m for m in good if m.run_ms <= good[0].run_ms * _NEAR]
    near.sort(key=lambda m: EXACTNESS.index(m.candidate.precision))
    return [m.candidate for m in (*near, *good[len(near) :])]


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
