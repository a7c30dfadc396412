"""`vcam-talker prune`: make networks smaller by removing channels. Offline; the daemon never does this."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vcam_talker.cli.output import json_option, print_json, speaks_errors
from vcam_talker.core.errors import BadInputError

if TYPE_CHECKING:  # torch takes seconds to import
    from vcam_talker.prune.allot import Ranking
    from vcam_talker.prune.figures import Figures
    from vcam_talker.prune.pipeline import ImportanceName, Pruned

_PATH = click.Path(path_type=Path)
_IMPORTANCES = ("magnitude", "bn", "taylor", "random")


class _Finite(click.FloatRange):
    """A range that NaN and infinity are not in; click lets NaN into every one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Return the number; what is none is a usage error naming the flag."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


_model = click.option(
    "--model", required=True, type=_PATH, help="Checkpoint, or folder with plan.json and weights.safetensors."
)
_data = click.option("--data", type=_PATH, help="Folder of samples to train and judge with.")
_task = click.option(
    "--task", default="", metavar="MODULE:CLASS", help="Who trains and judges, for data of another kind."
)


@click.group(epilog="Example:  vcam-talker prune lipsync --model wav2lip.pth --ratio 0.3 --out pruned")
def prune() -> None:
    """Remove channels from a network, for real: fewer numbers, fewer multiplications."""


@prune.command(
    epilog="""Examples:

\b
  vcam-talker prune lipsync --model wav2lip.pth --ratio 0.3 --out pruned
  vcam-talker prune lipsync --model wav2lip.pth --ratio 0.6 --rounds 2 --importance taylor \\
      --data samples --steps 2000 --limit 'mouth_l1<=1.1*dense' --out pruned --export

Without --data nothing is trained, and what remains draws worse than it could. With it, an interrupted run
goes on when the same command is given again."""
)
@_model
@click.option("--ratio", default=0.3, show_default=True, help="Share of the channels to remove.")
@click.option("--round-to", default=16, show_default=True, help="Layers keep multiples of so many.")
@click.option("--importance", type=click.Choice(_IMPORTANCES), help="taylor with --data, else magnitude.")
@click.option(
    "--ranking",
    type=click.Choice(("uniform", "global")),
    default="uniform",
    show_default=True,
    help="The same share of each layer, or the least important of all.",
)
@click.option(
    "--layer", "layers", multiple=True, metavar="NAME=RATIO", help="Another ratio for a layer or pattern."
)
@click.option("--keep", multiple=True, metavar="NAME", help="Layers that stay whole.")
@click.option("--out", required=True, type=_PATH, help="Folder for the result.")
@_data
@_task
@click.option(
    "--rounds",
    type=click.IntRange(1, 99),
    default=1,
    show_default=True,
    help="Prune and train so many times.",
)
@click.option(
    "--steps",
    type=click.IntRange(1, 10_000_000),
    default=500,
    show_default=True,
    help="Of training, in each round.",
)
@click.option("--rows", type=click.IntRange(1, 4096), default=16, show_default=True, help="Samples a step.")
@click.option(
    "--rate",
    type=_Finite(0, 1, min_open=True),
    default=2e-4,
    show_default=True,
    help="Of learning, at its highest.",
)
@click.option("--limit", "limits", multiple=True, metavar="LIMIT", help="Quality bar: 'l1<=1.1*dense'.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Of chance: samples, random importance.",
)
@click.option("--scan", "scan_path", type=_PATH, help="Sensitivity scan to show in the report.")
@click.option("--export", "to_onnx", is_flag=True, help="Write network.onnx and a model's folder, too.")
@json_option
@speaks_errors
def lipsync(
    model: Path,
    ratio: float,
    round_to: int,
    importance: ImportanceName | None,
    ranking: Ranking,
    layers: tuple[str, ...],
    keep: tuple[str, ...],
    out: Path,
    data: Path | None,
    task: str,
    rounds: int,
    steps: int,
    rows: int,
    rate: float,
    limits: tuple[str, ...],
    seed: int,
    scan_path: Path | None,
    to_onnx: bool,
    as_json: bool,
) -> None:
    """Prune a network that draws mouths: a Wav2Lip checkpoint, or one of this program's own."""
    _need_packages()
    from vcam_talker.prune.allot import CutSettings
    from vcam_talker.prune.figures import measure_all, tell
    from vcam_talker.prune.limits import Limit
    from vcam_talker.prune.pictures import Training
    from vcam_talker.prune.pipeline import Job
    from vcam_talker.prune.pipeline import prune as run
    from vcam_talker.prune.sensitivity import read_scan

    job = Job(
        model,
        out,
        CutSettings(ratio, round_to, ranking, dict(map(_layer_ratio, layers)), keep),
        importance or ("magnitude" if data is None else "taylor"),
        data=data,
        task=task,
        rounds=rounds,
        training=Training(steps, rows, rate, seed),
        limits=[Limit.parse(text) for text in limits],
        seed=seed,
        export=to_onnx,
    )
    known = read_scan(scan_path) if scan_path else None
    announce = _announcer(quiet=as_json)
    done = run(job, announce)
    if done.nothing:
        raise BadInputError(
            str(model), f"nothing could be pruned: {done.stopped}", "Train longer, or ask for less"
        )
    figures = measure_all(done, announce)
    written = tell(done, figures, model.name, known)
    _show(done, figures, written, as_json=as_json)


@prune.command(epilog="Example:  vcam-talker prune scan --model wav2lip.pth --data samples --out scan.json")
@_model
@click.option("--data", required=True, type=_PATH, help="Folder of samples to judge with.")
@_task
@click.option("--out", required=True, type=_PATH, help="FILE.json; a scan in it is gone on with.")
@click.option("--importance", type=click.Choice(_IMPORTANCES), default="magnitude", show_default=True)
@click.option("--metric", default="", help="One of which less is better; default: mouth_l1, else l1.")
@click.option("--ratio", "ratios", multiple=True, type=float, help="To try; default: 0.1, 0.2, 0.3, 0.4.")
@click.option("--minutes", type=_Finite(min=0), help="Stop after so many; run it again to go on.")
@json_option
@speaks_errors
def scan(
    model: Path,
    data: Path,
    task: str,
    out: Path,
    importance: ImportanceName,
    metric: str,
    ratios: tuple[float, ...],
    minutes: float | None,
    as_json: bool,
) -> None:
    """Find out how much each layer bears: cut each one alone and see what gets worse."""
    _need_packages()
    from vcam_talker.prune.pipeline import scan_layers
    from vcam_talker.prune.sensitivity import RATIOS

    found = scan_layers(
        model,
        out,
        data,
        task=task,
        importance=importance,
        metric=metric,
        ratios=ratios or RATIOS,
        limit_s=float("inf") if minutes is None else minutes * 60,
        announce=_announcer(quiet=as_json),
    )
    if as_json:
        print_json(found.as_dict())
        return
    click.echo(f"{out}: {len(found.rows)} cuts{'' if found.complete else ', not finished: run it again'}")
    for layer, ratio in found.bearable(0.02).items():
        click.echo(f"  {layer:44} bears {ratio:.0%} for 2 % more {found.metric}")


@prune.command(
    epilog="Example:  vcam-talker prune apply pruned/plan.json --model other.pth --out other-pruned"
)
@click.argument("plan", type=_PATH)
@_model
@click.option("--out", required=True, type=_PATH, help="Folder for the result.")
@json_option
@speaks_errors
def apply(plan: Path, model: Path, out: Path, as_json: bool) -> None:
    """Make the cut of PLAN again, in a dense checkpoint. Nothing is trained."""
    _need_packages()
    from vcam_talker.prune.pipeline import apply_again

    made = apply_again(plan, model, out)
    kept, dense = made.channels
    if as_json:
        print_json({"folder": str(out), "channels": kept, "dense_channels": dense, "digest": made.digest()})
    else:
        click.echo(f"{out}: {kept} of {dense} channels, by {plan}")


@prune.command(epilog="Example:  vcam-talker prune report pruned --model wav2lip.pth --data samples")
@click.argument("folder", type=_PATH)
@_model
@_data
@_task
@click.option("--scan", "scan_path", type=_PATH, help="Sensitivity scan to show.")
@json_option
@speaks_errors
def report(
    folder: Path, model: Path, data: Path | None, task: str, scan_path: Path | None, as_json: bool
) -> None:
    """Measure what lies in FOLDER beside the dense network that it came from, and write its report anew."""
    _need_packages()
    from vcam_talker.prune.figures import measure_all, tell
    from vcam_talker.prune.pipeline import reopen
    from vcam_talker.prune.sensitivity import read_scan

    known = read_scan(scan_path) if scan_path else None
    done = reopen(folder, model, data, task)
    figures = measure_all(done, _announcer(quiet=as_json))
    _show(done, figures, tell(done, figures, model.name, known), as_json=as_json)


@prune.command(epilog="Example:  vcam-talker prune layers --model wav2lip.pth")
@_model
@json_option
@speaks_errors
def layers(model: Path, as_json: bool) -> None:
    """List the layers of a network whose channels can go, and which go together."""
    _need_packages()
    from vcam_talker.prune.pipeline import layer_groups

    graph = layer_groups(model)
    if as_json:
        rows = [{"layer": g.root, "channels": g.channels, "with": list(g.makers)} for g in graph.groups]
        print_json({"groups": rows, "whole": graph.whole})
        return
    for group in graph.groups:
        others = len(group.makers) - 1
        click.echo(f"{group.root:44} {group.channels:5}" + (f"  with {others} more" if others else ""))
    for name, why in graph.whole.items():
        click.echo(f"{name:44}     -  {why}")


def _need_packages() -> None:
    from vcam_talker.prune.extra import need_packages

    need_packages()


def _layer_ratio(text: str) -> tuple[str, float]:
    found = re.fullmatch(r"(.+)=(\d*\.?\d+)", text)
    if found is None:
        raise BadInputError(f"--layer {text[:60]!r}", "is no NAME=RATIO", "Write face_decoder_blocks.6=0.1")
    return found[1], float(found[2])


def _announcer(*, quiet: bool) -> Callable[[str], None]:
    def announce(line: str) -> None:
        if not quiet:
            click.echo(line, err=True)

    return announce


def _show(done: Pruned, figures: Figures, written: list[Path], *, as_json: bool) -> None:
    if as_json:
        result: dict[str, Any] = {
            "folder": str(done.folder),
            "network": done.network.name,
            "digest": done.plan.digest(),
            "trained": done.task is not None,
            "stopped": done.stopped,
            "report": [str(path) for path in written],
        }
        print_json(result | figures.as_dict())
        return
    kept, dense = done.plan.channels
    click.echo(
        f"{done.folder}: {kept} of {dense} channels" + (f"; stopped: {done.stopped}" if done.stopped else "")
    )
    for name, value in figures.ratios.items():
        click.echo(f"  {name:12} {value:6.2f}x" + (f"  with {figures.engine}" if name == "speed" else ""))
    if done.task is None:
        click.echo("Nothing was retrained: give --data to train what remains.")
    click.echo(f"Report: {written[0]}")
