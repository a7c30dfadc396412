"""Random people: who they are, how they look, how they speak. Person 17 is person 17 in every set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from studio.character import (
    BrowSection,
    Character,
    ClothesSection,
    EyeSection,
    HairSection,
    SkinSection,
    WhoSection,
)
from studio.identity import ORIGINS
from studio.truth.colours import Albedo, hair_albedo, iris_colour, skin_albedo, srgb
from studio.truth.draw import SHARES, Split, bounded_normal, digest, generator, one_of, weighted
from studio.truth.mouth import Style, random_style
from studio.truth.proportions import draw_targets

POPULATION: Final = 600
"""How many people there are, over all splits."""

HAIR_STYLES: Final = ("none", "crop", "side_part", "bob", "long", "bun", "curls", "buzz")
GARMENTS: Final[dict[str, tuple[str, ...]]] = {
    "female": ("female_casualsuit01", "female_casualsuit02", "female_elegantsuit01", "female_sportsuit01"),
    "male": (
        *(f"male_casualsuit0{n}" for n in range(1, 7)),
        "male_elegantsuit01",
        "male_worksuit01",
    ),
}
"""Of the pack."""
BROWS: Final = tuple(f"eyebrow{n:03}" for n in range(1, 13))

_AGES: Final = (16.0, 80.0)


@dataclass(frozen=True, slots=True)
class Person:
    """A character and what a TOML file has no words for."""

    number: int
    character: Character
    melanin: float
    """0 fairest to 1 deepest skin."""
    style: Style

    @property
    def sex(self) -> str:
        """`female` or `male`, whichever is nearer."""
        return "male" if self.character.who.sex >= 0.5 else "female"


def people_of(split: Split) -> tuple[int, ...]:
    """Return the numbers of the people of a split, in a fixed random order."""
    ranked = sorted(range(POPULATION), key=lambda number: digest("person's split", number))
    val, test = (round(SHARES[s] * POPULATION) for s in ("val", "test"))
    bounds = {"val": (0, val), "test": (val, val + test), "train": (val + test, POPULATION)}
    first, beyond = bounds[split]
    return tuple(ranked[first:beyond])


def person(number: int) -> Person:
    """Return a person; the same one for the same number, always."""
    rng = generator("person", number)
    male = bool(rng.random() < 0.5)
    # Hardly any face is at the end of the scale.
    sex = bounded_normal(rng, 0.88, 0.08, 0.72, 1.0)
    years = float(rng.uniform(*_AGES)) if rng.random() < 0.55 else bounded_normal(rng, 32, 12, *_AGES)
    shares = rng.dirichlet([0.45] * len(ORIGINS))
    origin = {name: round(float(share), 3) for name, share in zip(ORIGINS, shares, strict=True)}
    weight = bounded_normal(rng, 0.48, 0.16, 0.12, 0.92)
    melanin = _melanin(rng, origin)
    warmth = float(np.clip(rng.normal(0.1, 0.5), -0.8, 1))
    blood = float(np.clip(rng.normal(0.1, 0.35), -0.45, 0.75))
    skin = skin_albedo(melanin, blood, warmth)
    hair = _hair(rng, melanin, years, male=male)
    who = WhoSection(
        sex=round(sex if male else 1 - sex, 3),
        age_years=round(years, 1),
        origin=origin,
        muscle=round(bounded_normal(rng, 0.55 if male else 0.45, 0.15, 0.1, 0.95), 3),
        weight=round(weight, 3),
        height=round(bounded_normal(rng, 0.5, 0.15, 0.1, 0.9), 3),
        ideal=round(float(rng.uniform(0.25, 0.95)), 3),
        targets=draw_targets(rng, years, weight),
    )
    character = Character(
        name=f"person {number}",
        who=who,
        skin=_skin(rng, skin, melanin, blood, warmth, years, hair.colour, male=male),
        hair=hair,
        brows=_brows(rng, hair, melanin, male=male),
        eyes=EyeSection(
            iris=iris_colour(rng, melanin),
            iris_size=round(float(rng.uniform(0.95, 1.12)), 3),
            white=srgb(np.array([0.82, 0.79, 0.75]) * float(rng.uniform(0.88, 1.04))),
        ),
        clothes=_clothes(rng, male=male, years=years),
    )
    return Person(number, character, melanin, random_style(rng))


def _melanin(rng: np.random.Generator, origin: dict[str, float]) -> float:
    means = {"african": 0.72, "asian": 0.34, "caucasian": 0.20}
    mean = sum(means[name] * share for name, share in origin.items()) / sum(origin.values())
    return bounded_normal(rng, mean, 0.14, 0.0, 1.0)


def _skin(
    rng: np.random.Generator,
    skin: Albedo,
    melanin: float,
    blood: float,
    warmth: float,
    years: float,
    hair: str,
    *,
    male: bool,
) -> SkinSection:
    """Lips and cheeks are the same skin with more blood in it; paint lies on top."""

    def flushed(more_melanin: float, more_blood: float) -> Albedo:
        return skin_albedo(min(1.0, melanin + more_melanin), blood + more_blood, warmth)

    lips = flushed(0.08, float(rng.uniform(1.2, 2.6)))
    painted = not male and rng.random() < 0.5
    if painted:
        red = np.array([rng.uniform(0.25, 0.6), rng.uniform(0.02, 0.16), rng.uniform(0.03, 0.2)])
        share = float(rng.uniform(0.3, 0.9))
        lips = lips ** (1 - share) * red**share
    lids = bool(not male and rng.random() < 0.4)
    return SkinSection(
        tone=srgb(skin),
        blush=srgb(flushed(0.02, 1.6)),
        blush_strength=round(float(rng.uniform(0.1, 0.6)), 3),
        lips=srgb(lips),
        lips_strength=round(float(rng.uniform(0.75, 1.0) if painted else rng.uniform(0.5, 0.9)), 3),
        lips_gloss=round(float(rng.uniform(0.2, 0.9) if painted else rng.uniform(0.05, 0.45)), 3),
        shadow=round(float(rng.uniform(0.3, 0.8) if lids else rng.uniform(0.05, 0.4)), 3),
        shadow_colour=srgb(rng.uniform(0.05, 0.4, 3)) if lids else srgb(flushed(0.15, 0.6) * 0.8),
        liner=round(float(rng.uniform(0.2, 0.9)), 3) if lids else 0.0,
        beard=_beard(rng) if male else 0.0,
        beard_colour=hair,
        freckles=round(float(rng.random() ** 3), 3) if melanin < 0.3 else 0.0,
        shine=round(float(rng.uniform(0.1, 0.75)), 3),
        age_lines=round(float(np.clip((years - 25) / 55 + rng.normal(0, 0.1), 0, 1)), 3),
    )


def _beard(rng: np.random.Generator) -> float:
    kind: Callable[[], float] = one_of(
        rng,
        (
            lambda: 0.05,
            lambda: rng.uniform(0.1, 0.35),
            lambda: rng.uniform(0.35, 0.6),
            lambda: rng.uniform(0.6, 1),
        ),
    )
    return round(float(kind()), 3)


def _hair(rng: np.random.Generator, melanin: float, years: float, *, male: bool) -> HairSection:
    # Dark skin goes with dark hair; fair skin with any.
    dark = (
        bounded_normal(rng, 0.45 + 0.6 * min(1.0, melanin / 0.5), 0.22, 0.05, 1.0) if melanin < 0.6 else 0.95
    )
    red = float(rng.beta(1.2, 5)) if melanin < 0.45 else 0.1
    grey = float(np.clip((years - 34) / 40 + rng.normal(0, 0.22), 0, 1)) if years > 30 else 0.0
    dyed = rng.random() < (0.05 if male else 0.2)
    if dyed:
        grey *= 0.1
    albedo = rng.uniform(0.02, 0.5, 3) if dyed and rng.random() < 0.3 else hair_albedo(dark, red)
    style = weighted(
        rng,
        {
            "none": 0.06 + 0.1 * (years > 45),
            "crop": 0.28,
            "side_part": 0.24,
            "buzz": 0.2,
            "curls": 0.1,
            "long": 0.05,
        }
        if male
        else {
            "bob": 0.25,
            "long": 0.28,
            "bun": 0.17,
            "curls": 0.15,
            "crop": 0.08,
            "side_part": 0.06,
            "buzz": 0.01,
        },
    )
    return HairSection(
        style=style,
        colour=srgb(albedo),
        grey=round(grey, 3),
        volume=round(bounded_normal(rng, 1.0, 0.18, 0.6, 1.5), 3),
        length=round(bounded_normal(rng, 1.0, 0.2, 0.6, 1.5), 3),
        curl=round(float(np.clip(rng.beta(1, 3) + 0.5 * (melanin > 0.6), 0, 1)), 3),
        parting=round(float(rng.uniform(-0.8, 0.8)), 3),
    )


def _brows(rng: np.random.Generator, hair: HairSection, melanin: float, *, male: bool) -> BrowSection:
    own = np.array([int(hair.colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    # Brows are darker than fair hair, and turn grey later.
    dark = own**2.2 * float(rng.uniform(0.35, 0.9))
    return BrowSection(
        part=one_of(rng, BROWS),
        colour=srgb(dark * (1 - 0.5 * melanin)),
        thickness=round(bounded_normal(rng, 1.15 if male else 0.9, 0.25, 0.4, 1.8), 3),
        lashes=round(float(rng.uniform(0.15, 0.5) if male else rng.uniform(0.3, 1.0)), 3),
    )


def _clothes(rng: np.random.Generator, *, male: bool, years: float) -> ClothesSection:
    def cloth() -> str:
        return srgb(rng.beta(1.1, 2.2, 3) * 0.8 + 0.02)

    return ClothesSection(
        garment=one_of(rng, GARMENTS["male" if male else "female"]),
        cloth=cloth(),
        shirt=cloth() if rng.random() < 0.5 else "#e8e6e2",
        tie=cloth(),
        glasses=weighted(rng, {"none": 0.78 - 0.25 * (years > 50), "round": 0.11, "square": 0.11}),
        # Most are dark.
        glasses_colour=srgb(0.006 + 0.25 * rng.random(3) ** 3),
        earrings=bool(rng.random() < (0.04 if male else 0.4)),
    )
