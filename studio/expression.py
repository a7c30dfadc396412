"""A pose as weights of the pack's expression units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from studio.pose import Pose


@dataclass(frozen=True, slots=True)
class Expression:
    """What the mesh is told."""

    units: dict[str, float]
    jaw: float
    """Weight of `mouth-open`."""
    tongue: tuple[float, float]
    """Tip up and out, decimetres."""


def express(pose: Pose, rest: Mapping[str, float]) -> Expression:
    """Return the units of `pose` on a face whose rest is `rest`."""
    units = dict(rest)
    jaw, width, rounding, protrusion, teeth, tongue, press = (float(v) for v in pose.mouth)

    def add(name: str, weight: float) -> None:
        units[name] = units.get(name, 0.0) + weight

    add("mouth-open", 0.45 * jaw)
    add("mouth-upward-retraction", 0.45 * teeth + 0.1 * jaw)
    add("mouth-retraction", 0.35 * max(width, 0.0))
    add("mouth-pursing", 0.5 * rounding)
    add("mouth-protusion", 0.5 * protrusion)
    add("mouth-compression", 0.5 * press)
    add("mouth-corner-puller", 0.5 * pose.smile)
    left, right = pose.lids
    for side, shut in (("right", left), ("left", right)):
        if shut >= 0:
            add(f"eye-{side}-closure", shut)
        else:
            add(f"eye-{side}-opened-up", -shut)
    return Expression(units, 0.45 * jaw, (0.1 * tongue, 0.05 * tongue))
