"""What the verbs of `vcam-talker prune` share: options, and how they tell what came of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from vcam_talker.cli.output import print_json
from vcam_talker.prune.bounds import ImportanceName

if TYPE_CHECKING:  # torch takes seconds to import
    from vcam_talker.prune.figures import Figures
    from vcam_talker.prune.pipeline import Pruned

PATH: Final = click.Path(path_type=Path)
IMPORTANCES: Final = click.Choice(get_args(ImportanceName))


class Finite(click.FloatRange):
    """A range that NaN and infinity are not in; click lets NaN into every one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Return the number; what is none is a usage error naming the flag."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


model_option = click.option(
    "--model", required=True, type=PATH, help="Checkpoint, or folder with plan.json and weights.safetensors."
)
task_option = click.option(
    "--task", default="", metavar="MODULE:CLASS", help="Who trains and judges, for samples of another kind."
)


def need_packages() -> None:
    """Import what pruning needs; blocks for a second or two. Raises EngineError for what is missing."""
    from vcam_talker.prune import extra

    extra.need_packages()


def announcer(*, quiet: bool) -> Callable[[str], None]:
    """Return what prints a line on stderr, or nothing at all."""

    def announce(line: str) -> None:
        if not quiet:
            click.echo(line, err=True)

    return announce


def show(done: Pruned, figures: Figures, written: list[Path], *, as_json: bool) -> None:
    """Print what came of it; `written`: the report's files."""
    if as_json:
        result: dict[str, Any] = {
            "folder": str(done.folder),
            "network": done.network.name,
            "digest": done.plan.digest(),
            "trained": done.trained,
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
    if not done.trained:
        click.echo("Nothing was retrained: give --data to train what remains.")
    click.echo(f"Report: {written[0]}")
