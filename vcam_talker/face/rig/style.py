"""What a rig file may say: palette, proportions, face, set, and the drawn parts of hair and dress.

Lengths are figure units: 1 unit is 1 px at 720 lines and `figure.scale` 1. The origin lies between the eyes'
lower lids and the nose, on the axis of the face; x runs to the viewer's right and y down.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from vcam_talker.core.errors import PersonaError
from vcam_talker.face.rig.geometry import parse_outline
from vcam_talker.persona import Section
from vcam_talker.tomlfile import find_line, load_model, matching

Hex = Annotated[str, matching(r"#[0-9a-fA-F]{6}", "write it like #ffe3d2")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
_PALETTE: Final = "palette"
"""Marks a field that names colours of `[palette]`."""
Swatch = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$"), _PALETTE]
Swatches = Annotated[tuple[str, ...], _PALETTE]


def _check_outline(text: str) -> str:
    parse_outline(text)
    return text


OutlineText = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_check_outline)]
Unit = Annotated[float, Field(ge=-5000, le=5000)]
Share = Annotated[float, Field(ge=0, le=1)]


LAYERS: Final = ("back", "body", "skull", "front", "over", "")
"""In the order they are drawn; the empty one stands for no layer at all."""


class FigureSection(Section):
    """Where the figure stands in the picture, and how it holds its head at rest."""

    scale: float = Field(1.18, ge=0.3, le=3)
    x: float = Field(0.5, ge=0, le=1)
    """Of the picture's width."""
    y: float = Field(0.4, ge=0, le=1)
    """Of the picture's height."""
    yaw: float = Field(0, ge=-15, le=15)
    """Degrees to the viewer's right."""
    pitch: float = Field(0, ge=-10, le=10)
    """Degrees up."""
    roll: float = Field(0, ge=-10, le=10)
    """Degrees clockwise."""
    neck_y: float = Field(170, ge=80, le=300)
    """Height of the joint that the head turns about."""


class HeadSection(Section):
    """The face without its features."""

    outline: OutlineText
    """Right half from the crown to the chin, both on the axis; mirrored."""
    depth: float = Field(104, ge=20, le=300)
    """How far the face bulges towards the viewer; more depth turns more."""
    skin: Swatch = "skin"
    shade: Swatch = "skin_shade"
    line: Swatch = "skin_line"
    blush: Swatch = "blush"
    light: Swatch = "skin_light"
    blush_x: Unit = 66
    blush_y: Unit = 66
    jaw_drop: float = Field(13, ge=0, le=40)
    """How far the chin falls at jaw 1."""
    nose_y: Unit = 66
    nose_size: float = Field(1, ge=0, le=3)


class EyesSection(Section):
    """Eyes and lashes; both sides are alike."""

    x: float = Field(53, ge=20, le=120)
    """From the axis to the centre of an eye."""
    y: Unit = 22
    width: float = Field(62, ge=10, le=120)
    height: float = Field(54, ge=8, le=120)
    tilt: float = Field(4, ge=-15, le=15)
    """How much higher the outer corner lies than the inner one."""
    iris: float = Field(21, ge=4, le=60)
    """Half the iris's width."""
    iris_tall: float = Field(1.18, ge=0.7, le=1.6)
    """Its height over its width."""
    lash: float = Field(8.5, ge=0, le=20)
    """Width of the upper lash line."""
    spikes: int = Field(2, ge=0, le=3)
    """Single lashes at the outer corner."""
    white: Swatch = "eye_white"
    white_shade: Swatch = "eye_shade"
    lash_colour: Swatch = "lash"
    crease: Swatch = "skin_line"
    ring: Swatch = "iris_ring"
    colour: Swatch = "iris"
    glow: Swatch = "iris_glow"
    pupil: Swatch = "pupil"
    catch_light: Swatch = "catch_light"


class BrowsSection(Section):
    """Eyebrows, drawn over the hair so that they can always be read."""

    y: float = Field(-45, ge=-150, le=100)
    """From the eyes' centre."""
    width: float = Field(60, ge=10, le=120)
    thickness: float = Field(7, ge=1, le=25)
    arch: float = Field(9, ge=-20, le=30)
    colour: Swatch = "brow"


class MouthSection(Section):
    """The mouth at rest."""

    y: Unit = 103
    width: float = Field(46, ge=10, le=120)
    open: float = Field(40, ge=5, le=100)
    """Gap between the lips at jaw 1."""
    upper: float = Field(4.5, ge=0, le=20)
    """Height of the upper lip."""
    lower: float = Field(7, ge=0, le=25)
    lip: Swatch = "lip"
    lip_upper: Swatch = "lip_upper"
    lip_light: Swatch = "lip_light"
    line: Swatch = "mouth_line"
    cavity: Swatch = "mouth"
    teeth: Swatch = "teeth"
    tongue: Swatch = "tongue"


class HairSection(Section):
    """How the parts that ride on `hair` move."""

    hang_from: Unit = 40
    """Above this height a lock is fixed to the head,"""
    hang_to: Unit = 340
    """below this one it lies on the body; between, it passes from one to the other."""
    swing: float = Field(1, ge=0, le=4)
    """How far locks swing when the head moves."""
    stiffness: float = Field(1, ge=0.2, le=4)
    """Higher swings faster and less."""


class Part(Section):
    """One drawn shape. Parts of one layer are drawn in the order of the file."""

    layer: Literal["back", "body", "skull", "front", "over"]
    """back: behind the body; body: neck and dress; skull: behind the face (ears);
    front: before the face; over: before brows and everything."""
    shape: OutlineText
    """Points on the outline, `x,y`, with `!` where it has a corner."""
    fill: Swatch
    alpha: Share = 1.0
    ribbon: tuple[Annotated[float, Field(ge=0, le=400)], ...] = ()
    """Widths: the shape is then a stroke along the points, one width each."""
    line: float = Field(0, ge=0, le=20)
    """Width of the contour around it."""
    line_colour: Annotated[str, _PALETTE] = ""
    """Empty: that of `fill`."""
    taper: float = Field(0, ge=0, le=1000)
    """The contour grows from nothing at the first point to its full width at this distance from it."""
    rides: Literal["head", "body", "hair"]
    depth: float = Field(0, ge=-300, le=300)
    """How far it bulges towards the viewer on the axis."""
    z: float = Field(0, ge=-400, le=400)
    """How far the whole part lies before (or, negative, behind) the axis of the head."""
    swing: float = Field(1, ge=-4, le=4)
    """Of a part on `hair`."""
    mirror: bool = False
    """Draw the twin at the other side too."""
    casts: float = Field(0, ge=0, le=60)
    """Length of the shadow it throws on the face."""
    inside: Name | None = None
    """Drawn only within the part of this name."""
    name: Name | None = None


class SetSection(Section):
    """The room behind the figure, out of focus."""

    wall: Swatch = "wall"
    wall_dark: Swatch = "wall_dark"
    lamp: Swatch = "lamp"
    lamp_x: float = Field(0.8, ge=-0.5, le=1.5)
    lamp_y: float = Field(0.25, ge=-0.5, le=1.5)
    lamp_size: float = Field(0.55, ge=0, le=2)
    shelf: Swatch = "shelf"
    shelves: int = Field(3, ge=0, le=6)
    things: Swatches = ()
    """Colours of what stands on the shelves."""
    lights: Swatches = ()
    """Colours of the fairy lights."""
    light_count: int = Field(22, ge=0, le=80)
    strips: Share = 0.35
    """Brightness of the lamp-coloured light under each shelf."""
    blur: float = Field(12, ge=0, le=60)
    """Standard deviation, px at 720 lines."""
    vignette: Share = 0.4
    seed: int = 1


class RigStyle(Section):
    """A whole rig file."""

    palette: dict[Name, Hex]
    figure: FigureSection = FigureSection()
    head: HeadSection
    eyes: EyesSection = EyesSection()
    brows: BrowsSection = BrowsSection()
    mouth: MouthSection = MouthSection()
    hair: HairSection = HairSection()
    set: SetSection = SetSection()
    part: tuple[Part, ...] = Field((), max_length=400)

    def colour(self, swatch: str, alpha: float = 1.0) -> int:
        """Return a colour of the palette as Skia takes it, 0xAARRGGBB."""
        return (round(alpha * 255) << 24) | int(self.palette[swatch][1:], 16)


def load_style(path: Path) -> RigStyle:
    """Return the rig file. Raises PersonaError with line, reason and remedy for any mistake in it."""
    style = load_model(path, RigStyle, PersonaError)
    for location, swatch in _swatches(style, []):
        if swatch not in style.palette:
            near = difflib.get_close_matches(swatch, style.palette, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else "Add it there"
            raise _mistake(path, location, f"colour '{swatch}' is not in [palette]", hint)
    named: dict[str, str] = {}
    for index, part in enumerate(style.part):
        count = len(parse_outline(part.shape).points)
        if part.ribbon and len(part.ribbon) != count:
            reason = f"'ribbon' has {len(part.ribbon)} widths for {count} points"
            raise _mistake(path, ["part", str(index), "ribbon"], reason, "Give one width per point")
        if not part.ribbon and count < 3:
            raise _mistake(path, ["part", str(index), "shape"], "needs three points", "Or give it a 'ribbon'")
        if part.inside and LAYERS.index(named.get(part.inside, LAYERS[-1])) > LAYERS.index(part.layer):
            near = difflib.get_close_matches(part.inside, named, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else "Name a part that stands before this one"
            reason = f"'inside' names no earlier part ('{part.inside}')"
            raise _mistake(path, ["part", str(index), "inside"], reason, hint)
        if part.name:
            named[part.name] = part.layer
    return style


def _mistake(path: Path, location: list[str], reason: str, hint: str) -> PersonaError:
    line = find_line(path.read_text(encoding="utf-8"), location)
    return PersonaError(f"{path}:{line}" if line else str(path), reason, hint)


def _swatches(model: BaseModel, at: list[str]) -> Iterator[tuple[list[str], str]]:
    """Yield every palette name that the file (or a default) uses, with its place."""
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        here = [*at, name]
        if isinstance(value, BaseModel):
            yield from _swatches(value, here)
        elif _PALETTE in info.metadata:
            names = (value,) if isinstance(value, str) else value
            yield from ((here, swatch) for swatch in names if swatch)
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if isinstance(item, BaseModel):
                    yield from _swatches(item, [*here, str(index)])
