"""A character's description: who it is, what it wears, where it sits. One TOML file each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from studio.identity import Identity
from studio.pack import StudioError
from vcam_talker.tomlfile import load_model

_HEX: Final = re.compile(r"#[0-9a-fA-F]{6}")


def _colour(text: str) -> str:
    if not _HEX.fullmatch(text):
        raise ValueError("is no colour such as #c68863")
    return text.lower()


Colour = Annotated[str, AfterValidator(_colour)]
"""sRGB as `#rrggbb`."""
Share = Annotated[float, Field(ge=0.0, le=1.0)]


def linear(colour: str) -> tuple[float, float, float]:
    """Return a colour's linear red, green and blue, 0 to 1 (the sRGB transfer function)."""
    encoded = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in encoded)
    return red, green, blue


class Section(BaseModel):
    """Frozen; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WhoSection(Section):
    """Skull and body; see `identity.Identity`."""

    sex: Share = 0.0
    age_years: float = Field(25.0, ge=1, le=90)
    origin: Mapping[str, float] = {"caucasian": 1.0}
    muscle: Share = 0.5
    weight: Share = 0.5
    height: Share = 0.5
    ideal: Share = 1.0
    targets: Mapping[str, float] = {}
    """Further morph targets of the pack and their weights; `{side}` stands for `l` and `r` alike."""

    def identity(self) -> Identity:
        """Return the macro part. Raises StudioError."""
        return Identity(
            self.sex, self.age_years, dict(self.origin), self.muscle, self.weight, self.height, self.ideal
        )


class SkinSection(Section):
    """Colours are albedo as daylight shows it."""

    tone: Colour = "#d9a283"
    blush: Colour = "#cf6f5e"
    blush_strength: Share = 0.35
    lips: Colour = "#b8635a"
    lips_strength: Share = 0.8
    lips_gloss: Share = 0.4
    shadow: Share = 0.3
    """Of the lids: eye-shadow, or the darker skin there."""
    shadow_colour: Colour = "#8a5a48"
    liner: Share = 0.0
    """Dark line along the lashes."""
    beard: Share = 0.0
    """0 none, 0.4 shaved in the morning, 1 a full short beard."""
    beard_colour: Colour = "#4a382e"
    freckles: Share = 0.0
    shine: Share = 0.4
    """0 powdered, 1 oily."""
    age_lines: Share = 0.0


class HairSection(Section):
    """`style` is a name that `studio.hair` knows."""

    style: str = "bob"
    colour: Colour = "#3a2418"
    tips: Colour | None = None
    """Colour of the tips; default: a little lighter than `colour`."""
    grey: Share = 0.0
    volume: float = Field(1.0, ge=0.3, le=2.0)
    length: float = Field(1.0, ge=0.3, le=2.0)
    """Against the style's own."""
    curl: Share = 0.0
    parting: float = Field(0.3, ge=-1, le=1)
    """-1 on the viewer's left, 0 in the middle, 1 on the right."""


class BrowSection(Section):
    """Brows and lashes."""

    part: str = "eyebrow001"
    """Of the pack."""
    colour: Colour = "#33231a"
    thickness: float = Field(1.0, ge=0.0, le=2.5)
    lashes: Share = 0.6
    """Length and density."""


class EyeSection(Section):
    """Iris and size."""

    iris: Colour = "#6b4a2b"
    iris_size: float = Field(1.0, ge=0.7, le=1.5)
    white: Colour = "#efeae6"


class ClothesSection(Section):
    """A garment of the pack and its colours: cloth, what is worn below it, and a tie."""

    garment: str = "female_elegantsuit01"
    cloth: Colour = "#2f5a60"
    shirt: Colour | None = None
    tie: Colour | None = None
    """Of a garment that has one."""
    glasses: Literal["none", "round", "square"] = "none"
    glasses_colour: Colour = "#222226"
    earrings: bool = False


class LightSection(Section):
    """The three lights of a portrait, and the room's own."""

    key: float = Field(1.0, ge=0, le=4)
    key_side: Literal["left", "right"] = "left"
    fill: float = Field(1.0, ge=0, le=4)
    rim: float = Field(1.0, ge=0, le=4)
    key_colour: Colour = "#fff1e0"
    fill_colour: Colour = "#dfe9ff"
    rim_colour: Colour = "#ffe6cc"
    ambient: Colour = "#8f9bb0"
    ambient_strength: float = Field(1.0, ge=0, le=4)
    exposure: float = Field(0.0, ge=-3, le=3)
    """Stops."""


class SetSection(Section):
    """What stands behind; `kind` is a name that `studio.sets` knows."""

    kind: str = "study"
    wall: Colour = "#3c4654"
    accent: Colour = "#c98b52"
    seed: int = 1


class FrameSection(Section):
    """How the picture is cut."""

    head: float = Field(0.46, ge=0.15, le=0.8)
    """Chin to crown (without hair) against the picture's height."""
    eyes: float = Field(0.40, ge=0.2, le=0.6)
    """Height of the eyes from the picture's upper edge."""
    aside: float = Field(0.0, ge=-0.3, le=0.3)
    """Of the head, to the viewer's right, in picture heights."""
    distance_m: float = Field(2.1, ge=0.8, le=5)


class Character(Section):
    """One presenter."""

    name: str = Field(min_length=1, max_length=40)
    who: WhoSection = WhoSection()
    skin: SkinSection = SkinSection()
    hair: HairSection = HairSection()
    brows: BrowSection = BrowSection()
    eyes: EyeSection = EyeSection()
    clothes: ClothesSection = ClothesSection()
    light: LightSection = LightSection()
    stage: SetSection = SetSection()
    frame: FrameSection = FrameSection()
    rest: Mapping[str, float] = {}
    """Expression units of the face at rest and their weights: a hint of a smile, brows a little up."""


def load_character(path: Path) -> Character:
    """Read a description. Raises StudioError that names the key."""
    return load_model(path, Character, StudioError)
