"""How rounds of a run ended, in memory and on disk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from vcam_talker.core.errors import BadInputError
from vcam_talker.prune.files import jsonable, read_json

RUN_FILE: Final = "run.json"
"""Of a run: what was asked, and how the dense network does."""
ROUND_FILE: Final = "round.json"
"""Of a finished round."""


@dataclass(frozen=True, slots=True)
class RoundResult:
    """How one round ended."""

    number: int
    """0 is the dense network."""
    ratio: float
    channels: int
    parameters: int
    untrained: Mapping[str, float]
    """Metrics right after the cut."""
    metrics: Mapping[str, float]
    broken: Sequence[str] = ()
    """Limits that don't hold, and weights that are no numbers; the run ended here, this round isn't used."""
    took_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return JSON data; what is no number becomes null."""
        row: dict[str, Any] = jsonable(asdict(self))
        return row

    def line(self, rounds: int) -> str:
        """Return what is told of it, the one of `rounds`."""
        figures = ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.items())
        verdict = f"; breaks {', '.join(self.broken)}" if self.broken else ""
        return (
            f"round {self.number} of {rounds}: {self.ratio:.0%} of the channels gone, "
            f"{self.parameters / 1e6:.2f} M parameters, {figures}{verdict}"
        )


def finished_rounds(folder: Path) -> list[tuple[RoundResult, Path]]:
    """Return the rounds of a run and where their networks lie; the dense one first, in the run's own folder.

    Empty: there is no run. Raises BadInputError.
    """
    if not (folder / RUN_FILE).is_file():
        return []
    places = sorted(path.parent for path in (folder / "rounds").glob(f"[0-9]*/{ROUND_FILE}"))
    return [
        (read_result(folder / RUN_FILE), folder),
        *((read_result(place / ROUND_FILE), place) for place in places),
    ]


def read_result(path: Path) -> RoundResult:
    """Read a round's file, or the dense network's part of a run's. Raises BadInputError."""
    row = read_json(path)
    row.pop("asked", None)
    try:
        for key in ("untrained", "metrics"):
            row[key] = {name: math.nan if v is None else float(v) for name, v in row[key].items()}
        return RoundResult(**row)
    except (TypeError, ValueError, KeyError, AttributeError) as e:
        raise BadInputError(
            str(path), f"is damaged ({e})", "Delete its folder: the round is done anew"
        ) from None
