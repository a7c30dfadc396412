"""`python -m studio.lips.sync make|train|evaluate|measure`: when lips and sound belong together."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from studio.command import run
from studio.truth.draw import SPLITS

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(file_okay=False, path_type=Path)
_PEOPLE = {"train": 120, "val": 14, "test": 20}
_threads = click.option("--threads", default=1, show_default=True, type=click.IntRange(1, 64))


@click.group(help=__doc__)
def cli() -> None:
    """Group of the verbs."""


@cli.command(help="Draw people who speak; stop it at any time and run it again.")
@click.option("--out", required=True, type=_OUT, help="Folder of the files, 0.9 MB a person.")
@click.option("--split", type=click.Choice(SPLITS), help="Default: all of them.")
@click.option("--people", type=click.IntRange(1), help="Default: 120 train, 14 val, 20 test.")
@click.option("--renderer", default="raster", show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
def make(out: Path, split: str | None, people: int | None, renderer: str, workers: int) -> None:
    """Draw the people who are missing."""
    from studio.lips.sync.clips import make as draw

    made = 0
    for each in SPLITS:
        if split in (None, each):
            made += draw(out, each, people or _PEOPLE[each], renderer, workers, click.echo)
    click.echo(f"{made} files made")


@cli.command(help="Train the expert to the end of the recipe; goes on where it was stopped.")
@click.option("--data", required=True, type=_FOLDER)
@click.option("--out", required=True, type=_OUT, help="Folder of the expert.")
@click.option("--steps", default=800, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option("--minutes", type=float, default=1e9, help="Stop after so long; the same command goes on.")
@click.option("--bf16", is_flag=True, help="Count in bfloat16: quicker on processors that can.")
@_threads
def train(data: Path, out: Path, steps: int, seed: int, minutes: float, bf16: bool, threads: int) -> None:
    """Train."""
    import torch

    from studio.lips.sync.clips import load
    from studio.lips.sync.train import Recipe
    from studio.lips.sync.train import train as teach

    torch.set_num_threads(threads)
    recipe = Recipe(seed=seed, steps=steps, bf16=bf16)
    whole = teach(load(data, "train"), out, recipe, click.echo, minutes)
    click.echo("done" if whole else "stopped; the same command goes on")


@cli.command(help="State how the expert does on whom it never met; prints JSON.")
@click.option("--data", required=True, type=_FOLDER)
@click.option("--expert", required=True, type=_FOLDER, help="What `train` made.")
@_threads
def evaluate(data: Path, expert: Path, threads: int) -> None:
    """Judge it."""
    import torch

    from studio.lips.sync.clips import load
    from studio.lips.sync.evaluate import best_threshold, by_origin
    from studio.lips.sync.evaluate import evaluate as judge
    from studio.lips.sync.train import LABEL
    from studio.lips.sync.train import load as expert_of

    torch.set_num_threads(threads)
    net, _ = expert_of(expert)
    threshold = best_threshold(net, load(data, "val"))
    found: dict[str, Any] = {"expert": LABEL}
    for name, clips in by_origin(load(data, "test")).items():
        if clips:
            found[name] = judge(net, clips, threshold)
    click.echo(json.dumps(found, indent=1))


@cli.command(help="From sound to the picture on air, against truth; prints JSON, and a table on stderr.")
@click.option("--expert", required=True, type=_FOLDER, help="What `train` made.")
@click.option("--reader", "weights", required=True, type=_FILE, help="Of `studio.lips.picture reader`.")
@click.option("--model", "models", multiple=True, type=_FOLDER, help="Who draws lips, besides shapes.")
@click.option("--persona", "personas", multiple=True, default=("elena", "kofi", "lumi"), show_default=True)
@click.option("--sentences", default=6, show_default=True, type=click.IntRange(0), help="Of held-out voices.")
@click.option("--recordings", type=_FOLDER, help="`/`, or where Debian's recorded people were unpacked.")
@click.option("--count", default=6, show_default=True, type=click.IntRange(1), help="Of those.")
@click.option("--sound", "sounds", multiple=True, type=_FILE, help="A recording to use as well.")
@_threads
def measure(
    expert: Path,
    weights: Path,
    models: tuple[Path, ...],
    personas: tuple[str, ...],
    sentences: int,
    recordings: Path | None,
    count: int,
    sounds: tuple[Path, ...],
    threads: int,
) -> None:
    """Measure what is seen on air."""
    import torch

    from studio.lips.sound.human import recordings as recorded_people
    from studio.lips.sync.measure import Judges, by_reader, table
    from studio.lips.sync.presenters import everything
    from studio.lips.sync.spoken import files, held_out, recorded
    from studio.lips.sync.train import LABEL
    from studio.lips.sync.train import load as expert_of

    torch.set_num_threads(threads)
    judges = Judges(by_reader(weights), expert_of(expert)[0])
    sets = {"held-out voices and languages": held_out(sentences)}
    if recordings or sounds:
        people = recorded(recorded_people(recordings), count) if recordings else []
        sets["recorded people"] = people + files(sounds)
    found: dict[str, Any] = {"expert": LABEL}
    for name, pieces in sets.items():
        if pieces:
            found[name] = everything(
                pieces, personas, models, judges, lambda text: click.echo(text, err=True)
            )
            click.echo(f"\n{name}\n{table(found[name])}\n", err=True)
    click.echo(json.dumps(found, indent=1, ensure_ascii=False))


def main() -> int:
    """Run from the command line; an expected failure is one line."""
    # A process keeps one core busy: threads of Mesa's and NumPy's would only be in each other's way.
    for name, value in (("LP_NUM_THREADS", "0"), ("OPENBLAS_NUM_THREADS", "1")):
        os.environ.setdefault(name, value)
    return run(cli)


if __name__ == "__main__":
    sys.exit(main())
