"""`vcam-talker persona`: lists personas, puts one on air, makes new ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vcam_talker.cli.output import SizeType, json_option, print_json, speaks_errors
from vcam_talker.control.client import ControlClient

if TYPE_CHECKING:
    from vcam_talker.persona import Persona


class _Personas(click.Group):
    """A group whose unknown words are names of personas: `persona kofi` puts Kofi on air."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb that the words ask for."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            return "show", _show, args
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Personas,
    invoke_without_command=True,
    subcommand_metavar="[NAME | new NAME ...]",
    epilog="""Examples:

\b
  vcam-talker persona
  vcam-talker persona kofi
  vcam-talker persona new ada --portrait ada.jpg
""",
)
@json_option
@click.pass_context
@speaks_errors
def persona(ctx: click.Context, as_json: bool) -> None:
    """Put persona NAME on air; without NAME list what there is; `new` makes one."""
    ctx.obj = as_json
    if ctx.invoked_subcommand is not None:
        return
    from vcam_talker.persona import list_personas

    found = list_personas()
    if as_json:
        print_json([{"name": p.name, "title": p.title, "language": p.language} for p in found])
        return
    for p in found:
        click.echo(f"{p.name:16} {p.language:6} {p.title}. {p.description}")


@click.command()
@click.argument("name")
@json_option
@click.pass_obj
@speaks_errors
def _show(before: bool, name: str, as_json: bool) -> None:
    """Put persona NAME on air."""
    chosen = ControlClient.discover().persona(name)
    if as_json or before:
        print_json(chosen)
    else:
        click.echo(f"{chosen.title} is on air")


@persona.command(
    epilog="""Examples:

\b
  vcam-talker persona new ada --portrait ada.jpg
  vcam-talker persona new ben --clip ben.mp4 --voice flite:rms
  vcam-talker persona new eva --portrait group.jpg --box 410,120,180,220
"""
)
@click.argument("name")
@click.option("--portrait", type=click.Path(path_type=Path), metavar="PHOTO", help="JPEG, PNG or WebP.")
@click.option("--clip", type=click.Path(path_type=Path), metavar="VIDEO", help="3 to 60 s, mouth shut.")
@click.option(
    "--box",
    metavar="X,Y,W,H",
    help="Where the face is, when it isn't found: left, top, width, height in pixels of the picture as it is"
    " shown, upright.",
)
@click.option(
    "--size", default="1280x720", show_default=True, type=SizeType(), metavar="WxH", help="Picture size."
)
@click.option("--voice", default="", metavar="ENGINE:NAME", help="Such as flite:slt or espeak-ng:de+f2.")
@click.option("--language", default="en", show_default=True, metavar="TAG", help="Spoken, such as en or de.")
@click.option(
    "--lips",
    default="",
    metavar="MODEL",
    help="Network for the mouth, a model's name or a folder such as ./pruned; default: the shipped one.",
)
@json_option
@speaks_errors
def new(
    name: str,
    portrait: Path | None,
    clip: Path | None,
    box: str | None,
    size: tuple[int, int],
    voice: str,
    language: str,
    lips: str,
    as_json: bool,
) -> None:
    """Make persona NAME of a photograph or a clip of a face, mouth shut, that looks into the camera.

    A photograph is made to breathe, sway and blink; a clip becomes a seamless loop, without its sound. Use
    pictures only of people who agree.
    """
    from vcam_talker.persona_new.make import Wish, new_persona

    source = portrait if clip is None else clip
    if source is None or (portrait is not None and clip is not None):
        raise click.UsageError("give either --portrait or --clip")
    wish = Wish(name, source, clip is not None, size, _box(box), voice, language, lips)
    made = new_persona(wish, (lambda _: None) if as_json else click.echo)
    drawn_by = _lips_told(made.persona)
    if as_json:
        print_json(
            {
                "name": made.persona.name,
                "folder": str(made.persona.root),
                "seconds": round(made.seconds, 2),
                "segments": made.segments,
                "lips": drawn_by,
                "notices": list(made.notices),
            }
        )
        return
    for notice in made.notices:
        click.echo(f"Note: {notice}")
    click.echo(
        f"{made.persona.root}: {made.persona.title}, {made.seconds:.0f} s of life at {size[0]}x{size[1]}"
    )
    click.echo(drawn_by)
    click.echo(
        f"On air:  vcam-talker run --persona {name}   (or, while it runs:  vcam-talker persona {name})"
    )
    click.echo(f'To a file:  vcam-talker render --persona {name} --text "Hello." --out hello.mp4')


def _box(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError:
        x = y = w = h = math.nan
    if not all(map(math.isfinite, (x, y, w, h))) or w <= 0 or h <= 0:
        raise click.BadParameter("is not X,Y,W,H in pixels, such as 410,120,180,220", param_hint="--box")
    return x, y, w, h


def _lips_told(persona: Persona) -> str:
    """Return which network will draw the mouth, and how another one is brought."""
    from vcam_talker.config import load_config
    from vcam_talker.core.errors import VcamTalkerError
    from vcam_talker.face.neural.package import choose_model, load_package

    another = (
        "A Wav2Lip checkpoint of yours: vcam-talker models lips import FILE, then lips = NAME in persona.toml"
    )
    try:
        folder = choose_model(persona, load_config(None).lips)
        if folder is not None:
            return f"The mouth is drawn by '{load_package(folder).spec.label}'. {another}"
    except VcamTalkerError as e:
        return f"The mouth rests for now: {e}. {another}"
    return f"The mouth rests for now: no network is there to draw it. {another}"
