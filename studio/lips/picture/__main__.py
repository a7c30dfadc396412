"""`python -m studio.lips.picture`: the picture net, from truth to a model that ships."""

from __future__ import annotations

from pathlib import Path

import click

from studio.lips.picture.make import make as make_files
from studio.lips.picture.scenes import people, presenters
from studio.pack import StudioError
from studio.truth.draw import SPLITS, Split

_CHARACTERS = Path("studio/characters")


@click.group(help=__doc__)
def main() -> None:
    """Dispatch."""


@main.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the files.")
@click.option("--split", type=click.Choice(SPLITS), default="train", show_default=True)
@click.option("--people", "count", type=click.IntRange(0), default=400, show_default=True)
@click.option(
    "--presenters",
    "lights",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Also the built-in presenters, in so many lights each (split train).",
)
@click.option("--renderer", default="raster", show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True)
def make(out: Path, split: Split, count: int, lights: int, renderer: str, workers: int) -> None:
    """Draw people at rest and speaking, twins of each other."""
    sitters = presenters(sorted(_CHARACTERS.glob("*.toml")), lights) if lights else []
    try:
        made = make_files(out, [*sitters, *people(split, count)], renderer, workers, click.echo)
    except StudioError as e:
        raise click.ClickException(str(e)) from None
    click.echo(f"{made} files made")


if __name__ == "__main__":
    main()
