"""`python -m studio.truth make|report|check`: a truth set on disk."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from studio.command import run
from studio.pack import StudioError
from studio.truth import container
from studio.truth.clips import Plan
from studio.truth.draw import SPLITS, Split
from studio.truth.make import make_set
from studio.truth.people import POPULATION
from studio.truth.render import RENDERERS
from studio.truth.report import write_report
from studio.truth.shards import Shard, shard_paths
from studio.truth.traced import traced

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(help="Speaking faces of which everything is known, in shards of two thousand frames.")
def cli() -> None:
    """Group of the verbs."""


@cli.command(help="Make a set, or what is missing of it; stop it at any time and run it again.")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the shards."
)
@click.option("--frames", required=True, type=click.IntRange(1), help="At least so many, in whole shards.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Processes.")
@click.option(
    "--size", default=128, show_default=True, type=click.IntRange(64, 512), help="Pixels of a crop's side."
)
@click.option("--split", default="train", show_default=True, type=click.Choice(SPLITS))
@click.option(
    "--renderer", default="raster", show_default=True, help=f"{', '.join(RENDERERS)}, or module:factory."
)
def make(out: Path, frames: int, seed: int, workers: int, size: int, split: Split, renderer: str) -> None:
    """Make shards."""
    plan = Plan(seed, split, size)
    made = make_set(out, plan, frames, renderer, workers=workers, say=click.echo)
    if not made.made:
        click.echo(f"All {made.shards} shards were there.")
        return
    hours = made.seconds / 3600
    click.echo(
        f"{made.frames:,} frames in {made.seconds:.0f} s ({made.frames / hours:,.0f} an hour),"
        f" {made.bytes / 1e6:.0f} MB ({made.bytes / made.frames / 10:.0f} MB per 100,000);"
        f" {workers} workers, {made.shards} shards, {made.shards * plan.shard_clips} clips,"
        f" {plan.people(made.shards)} people"
    )


@cli.command(help="State what a set holds: report.md with pictures, beside the shards or in --to.")
@click.argument("folder", type=_FOLDER)
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), help="Another folder for it.")
def report(folder: Path, to: Path | None) -> None:
    """Write the report."""
    for path in write_report(folder, to or folder):
        click.echo(path)


@cli.command(help="Show random people to OpenCV's detector of frontal faces, and say how many it accepts.")
@click.option("--people", default=300, show_default=True, type=click.IntRange(1, POPULATION))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Who, and in which light.")
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path), help="Picture of the refused ones.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def faces(people: int, seed: int, sheet: Path | None, as_json: bool) -> None:
    """Judge random people."""
    from studio.truth.faces import judge

    def say(line: str) -> None:
        click.echo(line, err=as_json)

    found = judge(people, seed, sheet, say)
    if as_json:
        click.echo(json.dumps({"seed": seed, "share": round(found.share, 5), **asdict(found)}))
        return
    click.echo(
        f"{found.accepted} of {found.people} people are accepted in all of their pictures"
        f" ({100 * found.share:.1f} %), {found.accepted_frontal} looking straight ahead;"
        f" {found.pictures_accepted} of {found.pictures} pictures"
    )


@cli.command(help="Read every byte of every shard and name the damaged ones.")
@click.argument("folder", type=_FOLDER)
def check(folder: Path) -> None:
    """Verify the shards; exit status 1 when one is damaged."""
    paths = shard_paths(folder)
    if not paths:
        raise StudioError(str(folder), "holds no shard", "Make some: python -m studio.truth make")
    frames = damaged = 0
    for path in paths:
        try:
            container.verify(path)
            frames += len(Shard(path))
        except StudioError as e:
            damaged += 1
            click.echo(str(e))
    click.echo(f"{len(paths) - damaged} shards of {len(paths)} are whole: {frames:,} frames")
    if damaged:
        sys.exit(1)


cli.add_command(traced)


def main() -> int:
    """Run from the command line; an expected failure is one line."""
    return run(cli)


if __name__ == "__main__":
    sys.exit(main())
