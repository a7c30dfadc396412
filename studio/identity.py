"""Who somebody is, in a few numbers, as weights of the macro targets."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from studio.pack import StudioError

ORIGINS: Final = ("african", "asian", "caucasian")
"""As MakeHuman names its three skull types."""
_AGES: Final = {"baby": 1.0, "child": 12.0, "young": 25.0, "old": 90.0}
"""Years at which each age's targets hold alone; between two of them both are mixed."""
_SHARES: Final = ("sex", "muscle", "weight", "height", "ideal")


@dataclass(frozen=True, slots=True)
class Identity:
    """A person. Shares are 0 to 1; 0.5 is the average where both ends are extremes."""

    sex: float = 0.0
    """0 female, 1 male."""
    age_years: float = 25.0
    """1 to 90."""
    origin: Mapping[str, float] = field(default_factory=lambda: {"caucasian": 1.0})
    """Skull types and their weights, which are brought to a sum of 1."""
    muscle: float = 0.5
    weight: float = 0.5
    height: float = 0.5
    ideal: float = 1.0
    """How far proportions follow MakeHuman's ideal ones."""

    def __post_init__(self) -> None:
        """Raise StudioError for what is out of range."""
        for name in _SHARES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise StudioError(f"identity.{name}", f"is {getattr(self, name):g}", "Use 0 to 1")
        if not min(_AGES.values()) <= self.age_years <= max(_AGES.values()):
            raise StudioError("identity.age_years", f"is {self.age_years:g}", "Use 1 to 90")
        unknown = set(self.origin) - set(ORIGINS)
        if unknown or min(self.origin.values(), default=0.0) < 0 or not sum(self.origin.values()):
            raise StudioError(
                "identity.origin", f"is {dict(self.origin)}", f"Give weights of {', '.join(ORIGINS)}"
            )


def macro_weights(identity: Identity, known: Container[str]) -> dict[str, float]:
    """Return the macro targets' weights; those that the pack does not have (`known`) count as no change.

    Products of the factors, as MakeHuman mixes them: the skull by origin, sex and age, the body by sex, age,
    muscle and weight, proportions and height on top.
    """
    total = sum(identity.origin.values())
    found: dict[str, float] = {}
    people = [(f"{s}-{a}", x * y) for (s, x), (a, y) in itertools.product(_sexes(identity), _ages(identity))]
    for person, share in people:
        for origin, part in identity.origin.items():
            found[f"macrodetails/{origin}-{person}"] = share * part / total
        for muscle, weight in itertools.product(_ends(identity.muscle), _ends(identity.weight)):
            body = f"{person}-{muscle[0]}muscle-{weight[0]}weight"
            part = share * muscle[1] * weight[1]
            found[f"macrodetails/universal-{body}"] = part
            found[f"macrodetails/proportions/{body}-idealproportions"] = part * identity.ideal
            for end, tall in _ends(identity.height):
                found[f"macrodetails/height/{body}-{end}height"] = part * tall
    return {name: weight for name, weight in found.items() if weight and name in known}


def _sexes(identity: Identity) -> Iterator[tuple[str, float]]:
    yield "female", 1.0 - identity.sex
    yield "male", identity.sex


def _ages(identity: Identity) -> Iterator[tuple[str, float]]:
    years = list(_AGES.values())
    for k, name in enumerate(_AGES):
        alone = [float(k == other) for other in range(len(years))]
        yield name, float(np.interp(identity.age_years, years, alone))


def _ends(share: float) -> Iterator[tuple[str, float]]:
    """Yield how much of least, average and most there is in a share."""
    least, most = max(0.0, 1.0 - 2.0 * share), max(0.0, 2.0 * share - 1.0)
    yield "min", least
    yield "average", 1.0 - least - most
    yield "max", most
