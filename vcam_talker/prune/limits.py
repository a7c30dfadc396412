"""The quality bar: metrics by name, and what they must not fall below or exceed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from vcam_talker.core.errors import BadInputError

Metrics = Mapping[str, float]

_NUMBER: Final = r"(\d+(?:\.\d+)?(?:e-?\d+)?)"
_LIMIT: Final = re.compile(
    rf"([A-Za-z_]\w*)\s*(<=|>=)\s*(?:{_NUMBER}\s*\*\s*dense|dense\s*([+-])\s*{_NUMBER}|(-?){_NUMBER})"
)


@dataclass(frozen=True, slots=True)
class Limit:
    """One bar: `l1<=1.10*dense`, `psnr>=dense-0.5` or `aperture_r>=0.95`."""

    metric: str
    relation: Literal["<=", ">="]
    value: float
    of: Literal["alone", "times dense", "plus dense"] = "alone"

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read a limit as it is written on the command line. Raises BadInputError."""
        found = _LIMIT.fullmatch(text.strip())
        if found is None:
            raise BadInputError(
                f"limit {text[:60]!r}", "can't be read", "Write l1<=1.1*dense, psnr>=dense-0.5 or r>=0.95"
            )
        if any(not math.isfinite(float(number)) for number in _numbers(found)):
            raise BadInputError(f"limit {text[:60]!r}", "holds a number that is too large")
        metric, relation, times, sign, plus, minus, alone = found.groups()
        bar: Literal["<=", ">="] = "<=" if relation == "<=" else ">="
        if times:
            return cls(metric, bar, float(times), "times dense")
        if plus:
            return cls(metric, bar, float(sign + plus), "plus dense")
        return cls(metric, bar, float(minus + alone))

    def __str__(self) -> str:
        match self.of:
            case "times dense":
                bar = f"{self.value:g}*dense"
            case "plus dense":
                bar = f"dense{self.value:+g}"
            case _:
                bar = f"{self.value:g}"
        return f"{self.metric}{self.relation}{bar}"

    def bar(self, dense: Metrics) -> float:
        """Return the value that the metric is held to. Raises BadInputError when there is no such metric."""
        if self.metric not in dense:
            raise BadInputError(
                f"limit {self}",
                f"there is no metric {self.metric!r}",
                f"There are {', '.join(sorted(dense))}",
            )
        match self.of:
            case "times dense":
                return self.value * dense[self.metric]
            case "plus dense":
                return self.value + dense[self.metric]
            case _:
                return self.value

    def met(self, metrics: Metrics, dense: Metrics) -> bool:
        """Whether the bar holds. What is not a number holds no bar. Raises BadInputError."""
        bar = self.bar(dense)
        value = metrics.get(self.metric, math.nan)
        return value <= bar if self.relation == "<=" else value >= bar


def _numbers(found: re.Match[str]) -> list[str]:
    return [found[group] for group in (3, 5, 7) if found[group]]


def broken(limits: Sequence[Limit], metrics: Metrics, dense: Metrics) -> list[str]:
    """Return the limits that don't hold, as they are written, with what was measured."""
    return [
        f"{limit} ({metrics.get(limit.metric, math.nan):.4g})"
        for limit in limits
        if not limit.met(metrics, dense)
    ]
