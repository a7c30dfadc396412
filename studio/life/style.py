"""How lively somebody is."""

from __future__ import annotations

from dataclasses import dataclass

from studio.pack import StudioError


@dataclass(frozen=True, slots=True)
class Style:
    """Against a calm, friendly presenter, who is the default."""

    energy: float = 1.0
    """Reach of head and shoulders, 0.3 to 1.3."""
    sway: float = 1.0
    """Reach of what never stands still, 0 to 1.5."""
    brows: float = 1.0
    """Of brows, lids and the other small signs, 0 to 1.5."""
    blinks_per_min: float = 15.0
    """0 to 30."""
    smile: float = 0.1
    """The largest smile that passes over a silent face, 0 to 0.4. Mouth patches are drawn without any, so
    that speech which begins on one meets a seam as wide as the smile."""
    skew: float = 0.25
    """How uneven left and right are, 0 to 0.6; positive: the viewer's right brow does more."""

    def __post_init__(self) -> None:
        """Raise StudioError for what is out of range."""
        for name, low, high in (
            ("energy", 0.3, 1.3),
            ("sway", 0.0, 1.5),
            ("brows", 0.0, 1.5),
            ("blinks_per_min", 0.0, 30.0),
            ("smile", 0.0, 0.4),
            ("skew", -0.6, 0.6),
        ):
            if not low <= getattr(self, name) <= high:
                raise StudioError(f"life.{name}", f"is {getattr(self, name):g}", f"Use {low:g} to {high:g}")
