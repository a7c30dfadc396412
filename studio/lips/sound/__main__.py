"""`python -m studio.lips.sound make|train|evaluate|export`: the network that turns sound into mouths."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from studio.command import run
from studio.truth.draw import SPLITS

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_OUT = click.Path(file_okay=False, path_type=Path)
_HELD_OUT_HOURS = {"val": 0.3, "test": 0.6}


@click.group(help="The network that turns sound into mouths: its speech, its training, its figures.")
def cli() -> None:
    """Group of the verbs."""


@cli.command(help="Speak what it learns from and is judged by; stop it at any time and run it again.")
@click.option("--out", required=True, type=_OUT, help="Folder of the shards, 115 MB an hour.")
@click.option(
    "--hours", default=15.0, show_default=True, type=click.FloatRange(0.1, 200), help="Of training."
)
@click.option("--split", type=click.Choice(SPLITS), help="Default: all of them.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
def make(out: Path, hours: float, split: str | None, seed: int) -> None:
    """Make the shards that are missing."""
    from studio.lips.sound.data import make_set

    made = 0
    for each in SPLITS:
        if split in (None, each):
            made += make_set(out, each, seed, _HELD_OUT_HOURS.get(each, hours), click.echo)
    click.echo(f"{made} shards made")


@cli.command(help="Train to the end of the recipe; goes on where it was stopped.")
@click.option("--data", required=True, type=_FOLDER)
@click.option("--out", required=True, type=_OUT, help="Folder of the checkpoint and the log.")
@click.option("--steps", default=5000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option("--device", default="cpu", show_default=True, type=click.Choice(["cpu", "cuda"]))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(0, 64), help="Making batches.")
def train(data: Path, out: Path, steps: int, seed: int, device: str, threads: int, workers: int) -> None:
    """Train."""
    import torch

    from studio.lips.sound.train import Recipe
    from studio.lips.sound.train import train as run

    torch.set_num_threads(threads)
    run(data, out, Recipe(steps=steps, seed=seed), click.echo, device, workers)


@cli.command(help="State how the shipped network, or another, does; with --to also as JSON.")
@click.option("--data", required=True, type=_FOLDER)
@click.option("--net", type=_FOLDER, help="Folder of an exported network. Default: the shipped one.")
@click.option(
    "--root", default=Path("/"), show_default=True, type=_FOLDER, help="Where recordings of people lie."
)
@click.option("--takes", default=80, show_default=True, type=click.IntRange(2), help="Half minutes to use.")
@click.option("--to", type=click.Path(path_type=Path), help="For the figures: a .json file, or a folder.")
def evaluate(data: Path, net: Path | None, root: Path, takes: int, to: Path | None) -> None:
    """Judge it beside the other drivers."""
    from studio.lips.sound.report import results, table, write

    found = results(data, net, root, takes, click.echo)
    click.echo(table(found))
    if to:
        click.echo(write(found, to))


@cli.command(help="Put a trained network where the daemon finds it.")
@click.option("--run", "folder", required=True, type=_FOLDER, help="What `train` made.")
@click.option("--to", type=_OUT, help="Default: vcam_talker/models/sound.")
@click.option(
    "--figures", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Of `evaluate`."
)
@click.option("--onnx", type=click.Path(dir_okay=False, path_type=Path), help="Also as ONNX, for others.")
def export(folder: Path, to: Path | None, figures: Path | None, onnx: Path | None) -> None:
    """Export a training run."""
    from studio.lips.sound.export import SHIPPED, export_onnx
    from studio.lips.sound.export import export as put
    from studio.lips.sound.train import load

    net, recipe, facts = load(folder)
    if figures:
        facts["figures"] = json.loads(figures.read_text("utf-8"))
    put(net, to or SHIPPED, recipe, facts)
    if onnx:
        export_onnx(net, onnx)
    click.echo(str(to or SHIPPED))


def main() -> int:
    """Run from the command line; an expected failure is one line."""
    # Small products on many threads cost more than they save. NumPy reads this once, when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return run(cli)


if __name__ == "__main__":
    sys.exit(main())
