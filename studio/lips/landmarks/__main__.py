"""`python -m studio.lips.landmarks`: the net that finds a face's points, from drawn people to what ships."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
import torch

from studio.command import run
from studio.lips.landmarks.data import load
from studio.lips.landmarks.scenes import make as make_files
from studio.lips.landmarks.train import evaluate as evaluate_net
from studio.lips.landmarks.train import train as train_net
from studio.truth.draw import SPLITS, Split
from vcam_talker.persona_new.landmarks import MODEL

_folder = click.Path(path_type=Path, file_okay=False)
_file = click.Path(path_type=Path, dir_okay=False)
_data = click.option("--data", type=_folder, required=True, help="Folder of the drawn files.")


@click.group(help=__doc__)
def cli() -> None:
    """Group of the verbs."""


@cli.command()
@click.option("--out", type=_folder, required=True, help="Folder of the files.")
@click.option("--split", type=click.Choice(SPLITS), default="train", show_default=True)
@click.option("--people", "count", type=click.IntRange(1), default=150, show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True)
def make(out: Path, split: Split, count: int, workers: int) -> None:
    """Draw people, head and shoulders, with their points. Goes on where it was stopped."""
    made = make_files(out, split, count, workers, click.echo)
    click.echo(f"{made} files made")


@cli.command()
@_data
@click.option("--out", type=_file, default=MODEL, show_default=True, help="The weights, an .npz file.")
@click.option("--steps", type=click.IntRange(1), default=2600, show_default=True)
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True)
@click.option("--rate", type=float, default=4e-3, show_default=True, help="Highest learning rate.")
@click.option("--threads", type=click.IntRange(1, 128), default=2, show_default=True)
def train(data: Path, out: Path, steps: int, batch: int, rate: float, threads: int) -> None:
    """Train the net and write what ships: some six minutes of one core."""
    torch.set_num_threads(threads)
    net = train_net(load(data, "train"), steps, batch, rate, click.echo)
    out.parent.mkdir(parents=True, exist_ok=True)
    # What is shipped is read elsewhere meanwhile, and a training that is stopped must not leave half of it.
    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("wb") as file:
            np.savez_compressed(file, **net.weights())
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


@cli.command()
@_data
@click.option("--model", type=_file, default=MODEL, show_default=True)
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True)
@click.option("--count", type=click.IntRange(1), default=300, show_default=True)
def evaluate(data: Path, model: Path, split: Split, count: int) -> None:
    """Print how far off the net is on people it never saw, in widths of the mouth, as JSON."""
    click.echo(json.dumps(asdict(evaluate_net(model, load(data, split), count)), indent=1))


if __name__ == "__main__":
    sys.exit(run(cli))
