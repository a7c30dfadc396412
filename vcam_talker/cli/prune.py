"""`vcam-talker prune`: make networks smaller by removing channels. Offline; the daemon never does this."""

from __future__ import annotations

from pathlib import Path

import click

from vcam_talker.cli.output import json_option, print_json, speaks_errors
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
from vcam_talker.cli.prune_lipsync import lipsync
from vcam_talker.prune.bounds import ImportanceName


@click.group(
    epilog="""Example:

\b
  vcam-talker prune lipsync --model wav2lip.pth --ratio 0.3 --out pruned
"""
)
def prune() -> None:
    """Remove channels from a network, for real: fewer numbers, fewer multiplications."""


prune.add_command(lipsync)


@prune.command(
    epilog="""Example:

\b
  vcam-talker prune scan --model wav2lip.pth --data samples --out scan.json
""",
    short_help="Find out how much each layer bears.",
)
@model_option
@click.option(
    "--data", required=True, type=PATH, help="Folder of samples to judge with; see docs/pruning.md."
)
@task_option
@click.option("--out", required=True, type=PATH, help="FILE.json; a scan in it is gone on with.")
@click.option(
    "--importance", type=IMPORTANCES, default="magnitude", show_default=True, help="How channels are ranked."
)
@click.option(
    "--metric",
    default="",
    help="One of which less is better; default: mouth_l1 if the samples hold weights, else l1.",
)
@click.option(
    "--ratio",
    "ratios",
    multiple=True,
    type=float,
    help="A share to try, at most 0.4; may be repeated. Default: 0.1, 0.2, 0.3 and 0.4.",
)
@click.option(
    "--minutes", type=Finite(min=0), help="Stop after so many; run it again to go on. Default: no end."
)
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
    need_packages()
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
        announce=announcer(quiet=as_json),
    )
    if as_json:
        print_json(found.as_dict())
        return
    click.echo(f"{out}: {len(found.rows)} cuts{'' if found.complete else ', not finished: run it again'}")
    for layer, ratio in found.bearable(0.02).items():
        click.echo(f"  {layer:44} bears {ratio:.0%} for 2 % more {found.metric}")


@prune.command(
    epilog="""Example:

\b
  vcam-talker prune apply pruned/plan.json --model other.pth --out other-pruned
"""
)
@click.argument("plan", type=PATH)
@model_option
@click.option("--out", required=True, type=PATH, help="Folder for the result, new or empty.")
@json_option
@speaks_errors
def apply(plan: Path, model: Path, out: Path, as_json: bool) -> None:
    """Make the cut of PLAN again, in a dense checkpoint. Nothing is trained."""
    need_packages()
    from vcam_talker.prune.pipeline import apply_again

    made = apply_again(plan, model, out)
    kept, dense = made.channels
    if as_json:
        print_json({"folder": str(out), "channels": kept, "dense_channels": dense, "digest": made.digest()})
    else:
        click.echo(f"{out}: {kept} of {dense} channels, by {plan}")


@prune.command(
    epilog="""Example:

\b
  vcam-talker prune report pruned --model wav2lip.pth --data samples
""",
    short_help="Measure a pruned network, and write its report anew.",
)
@click.argument("folder", type=PATH)
@model_option
@click.option("--data", type=PATH, help="Folder of samples to show pictures of.")
@task_option
@click.option("--scan", "scan_path", type=PATH, help="File of a scan, to show.")
@json_option
@speaks_errors
def report(
    folder: Path, model: Path, data: Path | None, task: str, scan_path: Path | None, as_json: bool
) -> None:
    """Measure what lies in FOLDER beside the dense network that it came from, and write its report anew."""
    need_packages()
    from vcam_talker.prune.figures import measure_all, tell
    from vcam_talker.prune.pipeline import reopen
    from vcam_talker.prune.sensitivity import read_scan

    known = read_scan(scan_path) if scan_path else None
    done = reopen(folder, model, data, task)
    figures = measure_all(done, announcer(quiet=as_json))
    show(done, figures, tell(done, figures, model.name, known), as_json=as_json)


@prune.command(
    epilog="""Example:

\b
  vcam-talker prune layers --model wav2lip.pth
""",
    short_help="List what can go, and what goes together.",
)
@model_option
@json_option
@speaks_errors
def layers(model: Path, as_json: bool) -> None:
    """List the layers of a network whose channels can go, and which go together."""
    need_packages()
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
