"""`vcam-talker prune lipsync`: make a network that draws mouths smaller."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import click

from vcam_talker.cli.output import json_option, speaks_errors
from vcam_talker.cli.prune_common import (
    IMPORTANCES,
    PATH,
    Finite,
    announcer,
    model_option,
    need_packages,
    show,
    task_option,
)
from vcam_talker.core.errors import BadInputError
from vcam_talker.prune import bounds
from vcam_talker.prune.bounds import ImportanceName, Ranking


@click.command(
    epilog="""Examples:

\b
  vcam-talker prune lipsync --model wav2lip.pth --ratio 0.3 --out pruned
  vcam-talker prune lipsync --model wav2lip.pth --data samples --ratio 0.6 --rounds 2 \\
      --steps 2000 --limit 'l1<=1.1*dense' --limit 'psnr>=dense-0.5' --out pruned --export

Without --data nothing is trained, and what remains draws worse than it could. With it, an interrupted run
goes on when the same command is given again. Metrics are l1 (the mean error of values in 0 .. 1), mouth_l1
(the same, weighted, of samples that hold weights) and psnr (dB). More in docs/pruning.md.""",
    short_help="Prune a network that draws mouths.",
)
@model_option
@click.option(
    "--ratio",
    default=0.3,
    show_default=True,
    help="Share of the channels to remove, at most 0.95; above 0.4 it takes more --rounds.",
)
@click.option(
    "--round-to",
    default=16,
    show_default=True,
    help="Layers keep multiples of so many channels; 8 suits narrow networks.",
)
@click.option(
    "--importance",
    type=IMPORTANCES,
    help="How channels are ranked; default: taylor with --data, else magnitude.",
)
@click.option(
    "--ranking",
    type=click.Choice(get_args(Ranking)),
    default="uniform",
    show_default=True,
    help="The same share of each layer, or the least important of all.",
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="NAME=RATIO",
    help="Another ratio for a layer, part or pattern, such as face_decoder_blocks.0=0.1. May be repeated.",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="NAME",
    help="A layer, part or pattern that stays whole. May be repeated.",
)
@click.option(
    "--out", required=True, type=PATH, help="Folder for the result: new, empty, or of the same run."
)
@click.option(
    "--data", type=PATH, help="Folder of samples to train and judge with; without it, nothing is trained."
)
@task_option
@click.option(
    "--rounds",
    type=click.IntRange(1, bounds.MAX_ROUNDS),
    default=1,
    show_default=True,
    help="Prune and train so many times; more than once with --data only.",
)
@click.option(
    "--steps",
    type=click.IntRange(1, bounds.MAX_STEPS),
    default=500,
    show_default=True,
    help="Steps of training in each round.",
)
@click.option(
    "--rows",
    type=click.IntRange(1, bounds.MAX_ROWS),
    default=16,
    show_default=True,
    help="Samples in each step.",
)
@click.option(
    "--rate",
    type=Finite(0, bounds.MAX_RATE, min_open=True),
    default=2e-4,
    show_default=True,
    help="Rate of learning, at its highest.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="LIMIT",
    help="Quality bar, such as 'l1<=1.1*dense'; a round that breaks one ends the run. May be repeated.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Of chance: the samples' order, random importance.",
)
@click.option("--scan", "scan_path", type=PATH, help="File of a scan, to show in the report.")
@click.option(
    "--export",
    "to_onnx",
    is_flag=True,
    help="Write network.onnx, too, and, of Wav2Lip, the folder model that lips.model may name.",
)
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
    need_packages()
    from vcam_talker.prune.allot import CutSettings
    from vcam_talker.prune.figures import measure_all, tell
    from vcam_talker.prune.job import Job
    from vcam_talker.prune.limits import Limit
    from vcam_talker.prune.pictures import Training
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
    announce = announcer(quiet=as_json)
    done = run(job, announce)
    if done.nothing:
        raise BadInputError(
            str(model), f"nothing could be pruned: {done.stopped}", "Train longer, or ask for less"
        )
    figures = measure_all(done, announce)
    written = tell(done, figures, model.name, known)
    show(done, figures, written, as_json=as_json)


def _layer_ratio(text: str) -> tuple[str, float]:
    found = re.fullmatch(r"(.+)=(\d*\.?\d+)", text)
    if found is None:
        raise BadInputError(f"--layer {text[:60]!r}", "is no NAME=RATIO", "Write face_decoder_blocks.6=0.1")
    return found[1], float(found[2])
