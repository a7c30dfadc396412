"""`python -m studio.lips.picture`: the picture net, from truth to a model that ships."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import torch

from studio.command import run
from studio.lips.picture.against import compare, scenes_of, speaking
from studio.lips.picture.against import sheet as draw_sheet
from studio.lips.picture.data import cut
from studio.lips.picture.evaluate import at_rest, by_net, evaluate, reader_of, train_reader
from studio.lips.picture.export import export as export_net
from studio.lips.picture.make import make as make_files
from studio.lips.picture.scenes import people, presenters
from studio.lips.picture.shrink import TwinsTask, missed, shrink
from studio.lips.picture.train import Schedule, load
from studio.lips.picture.train import train as train_net
from studio.lips.picture.widen import widened
from studio.pack import open_pack
from studio.truth.draw import SPLITS, Split
from vcam_talker.nets.lips import LipsNet, LipsPlan
from vcam_talker.persona import load_persona

_CHARACTERS = Path("studio/characters")
_AIR_SIZE = (1280, 720)
_COLUMNS = 7
_PLANS = Path(__file__).parent / "plans"

_folder = click.Path(path_type=Path, file_okay=False)
_trained = click.Path(path_type=Path, exists=True, file_okay=False)
_file = click.Path(path_type=Path, exists=True, dir_okay=False)
_threads = click.option("--threads", type=click.IntRange(1, 128), default=2, show_default=True)
_bf16 = click.option("--bf16", is_flag=True, help="Count in bfloat16: quicker on processors that can.")
_device = click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="What counts."
)
_data = click.option("--data", type=_folder, required=True, help="Folder of the drawn files.")


@click.group(help=__doc__)
def cli() -> None:
    """Group of the verbs."""


@cli.command()
@click.option("--out", type=_folder, required=True, help="Folder of the files.")
@click.option("--split", type=click.Choice(SPLITS), default="train", show_default=True)
@click.option("--people", "count", type=click.IntRange(0), default=440, show_default=True)
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
    """Draw people at rest and speaking, twins of each other. Goes on where it was stopped."""
    sitters = presenters(sorted(_CHARACTERS.glob("*.toml")), lights) if lights else []
    made = make_files(out, [*sitters, *people(split, count)], renderer, workers, click.echo)
    click.echo(f"{made} files made")


@cli.command()
@_data
@click.option("--out", type=_folder, required=True, help="Folder of the training; it goes on from there.")
@click.option("--plan", help="`teacher`, `student`, or a JSON file.  [default: that of --begin, or teacher]")
@click.option("--begin", type=_trained, help="Folder of a net to go on from; widened, if a plan is given.")
@click.option("--teacher", type=_trained, help="Training folder of a teacher, to learn from as well.")
@click.option("--steps", type=click.IntRange(1), default=12_000, show_default=True)
@click.option("--batch", type=click.IntRange(1), default=16, show_default=True)
@click.option("--rate", type=float, default=2e-3, show_default=True, help="Highest learning rate.")
@click.option("--minutes", type=float, default=1e9, help="Stop after so long; the same command goes on.")
@_threads
@_bf16
@_device
def train(
    data: Path,
    out: Path,
    plan: str | None,
    begin: Path | None,
    teacher: Path | None,
    steps: int,
    batch: int,
    rate: float,
    minutes: float,
    threads: int,
    bf16: bool,
    device: str,
) -> None:
    """Train a net."""
    torch.set_num_threads(threads)
    net = load(begin) if begin else LipsNet(_plan(plan or "teacher"))
    if begin and plan:
        net = _widened(net, plan)
    taught = load(teacher) if teacher else None
    schedule = Schedule(steps, batch, rate, bf16=bf16, device=_there(device))
    twins = cut(data, "train", data / "cut")
    whole = train_net(net, twins, schedule, out, click.echo, teacher=taught, minutes=minutes)
    click.echo("done" if whole else "stopped; the same command goes on")


@cli.command(name="shrink")
@_data
@click.option("--teacher", type=_trained, required=True, help="Training folder of the teacher.")
@click.option("--out", type=_folder, required=True, help="Folder of the student; it goes on from there.")
@click.option("--reader", "weights", type=_file, required=True, help="The reader of mouths.")
@click.option("--ratio", type=float, help="Of all channels, how many go; default: more where they cost more.")
@click.option("--rounds", type=click.IntRange(1), default=4, show_default=True)
@click.option("--round-to", type=click.IntRange(1), default=8, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=2000, show_default=True, help="Of a round.")
@click.option("--batch", type=click.IntRange(1), default=16, show_default=True)
@click.option("--rate", type=float, default=1.5e-3, show_default=True)
@_threads
@_bf16
@_device
def shrink_net(
    data: Path,
    teacher: Path,
    out: Path,
    weights: Path,
    ratio: float | None,
    rounds: int,
    round_to: int,
    steps: int,
    batch: int,
    rate: float,
    threads: int,
    bf16: bool,
    device: str,
) -> None:
    """Prune a teacher to a student, and let it learn after each round; exits with 1 if it misses its bars."""
    torch.set_num_threads(threads)
    task = TwinsTask(
        cut(data, "train", data / "cut"),
        cut(data, "val", data / "cut"),
        reader_of(weights),
        Schedule(steps, batch, rate, bf16=bf16, device=_there(device)),
        click.echo,
    )
    done = shrink(load(teacher), task, out, ratio=ratio, rounds=rounds, round_to=round_to, say=click.echo)
    click.echo(done.stopped or "all rounds hold")
    if limits := missed(done):
        raise click.ClickException(f"the student misses {', '.join(limits)}")


@cli.command()
@_data
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Its weights.")
@click.option("--steps", type=click.IntRange(1), default=1500, show_default=True)
@_threads
def reader(data: Path, out: Path, steps: int, threads: int) -> None:
    """Train the reader of mouths, which judges what nets draw."""
    torch.set_num_threads(threads)
    found = train_reader(cut(data, "train", data / "cut"), steps, click.echo)
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(found.state_dict(), out)


@cli.command(name="evaluate")
@_data
@click.option("--reader", "weights", type=_file, required=True)
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True)
@click.option("--count", type=click.IntRange(1), default=1500, show_default=True)
@_threads
@click.argument("nets", type=_trained, nargs=-1)
def evaluate_nets(
    data: Path, weights: Path, split: Split, count: int, threads: int, nets: tuple[Path, ...]
) -> None:
    """Compare trained NETS with truth on people, voices and lights they never saw; prints JSON."""
    torch.set_num_threads(threads)
    judge = reader_of(weights)
    twins = cut(data, split, data / "cut")
    found: dict[str, Any] = {"the mouth at rest": asdict(evaluate(at_rest, twins, judge, count=count))}
    for folder in nets:
        net = load(folder)
        figures = asdict(evaluate(by_net(net), twins, judge, count=count))
        found[folder.name] = figures | {"parameters": sum(p.numel() for p in net.parameters())}
    click.echo(json.dumps(found, indent=1))


@cli.command(name="against")
@click.argument("name")
@click.argument("models", type=_trained, nargs=-1)
@click.option("--backdrop", type=_file, help="The presenter's room; build/sets/NAME.png by default.")
@click.option("--personas", type=_folder, default=Path("personas"), show_default=True)
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=10.0, show_default=True)
@click.option("--every", type=click.IntRange(1), default=10, show_default=True, help="Frames per comparison.")
@click.option("--seed", type=int, default=31, show_default=True, help="Of the presenter's idle life.")
@click.option("--sheet", type=click.Path(path_type=Path, dir_okay=False), help="A picture of some moments.")
def against_truth(
    name: str,
    models: tuple[Path, ...],
    backdrop: Path | None,
    personas: Path,
    seconds: float,
    every: int,
    seed: int,
    sheet: Path | None,
) -> None:
    """Compare presenter NAME on air, by shapes and by each of MODELS, with NAME drawn anew; prints JSON."""
    room = backdrop or Path("build/sets") / f"{name}.png"
    with scenes_of(load_persona(str(personas / name)), models, _AIR_SIZE) as scenes:
        found, moments = compare(
            open_pack(), _CHARACTERS / f"{name}.toml", room, scenes, speaking(seconds), every, seed
        )
    if sheet is not None:
        draw_sheet(moments, _COLUMNS, sheet)
    click.echo(json.dumps({who: asdict(likeness) for who, likeness in found.items()}, indent=1))


@cli.command()
@click.argument("training", type=_trained)
@click.option("--out", type=_folder, required=True, help="The model's folder.")
@click.option("--label", required=True, help="What users see.")
@click.option("--trained-on", required=True, help="What it learned from, in a sentence.")
@click.option("--replace", is_flag=True, help="Put it in the place of a folder that is there.")
def export(training: Path, out: Path, label: str, trained_on: str, replace: bool) -> None:
    """Write a trained net as a model folder for the daemon."""
    parity = export_net(load(training), out, label, trained_on, replace=replace)
    for part, difference in parity.items():
        click.echo(f"{part}: ONNX is {difference:.1e} from torch")


def _there(device: str) -> str:
    if device == "cuda" and not torch.cuda.is_available():
        raise click.BadParameter("torch finds no GPU here", param_hint="--device")
    return device


def _widened(net: LipsNet, plan: str) -> LipsNet:
    try:
        return widened(net, _plan(plan))
    except ValueError as e:
        raise click.BadParameter(f"the net can't be widened to it: {e}", param_hint="--plan") from None


def _plan(name: str) -> LipsPlan:
    shipped = _PLANS / f"{name}.json"
    path = shipped if shipped.exists() else Path(name)
    try:
        return LipsPlan.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as e:
        raise click.BadParameter(f"{path} can't be read as a plan: {e}", param_hint="--plan") from None


if __name__ == "__main__":
    sys.exit(run(cli))
