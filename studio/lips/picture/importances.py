"""What is left of a trained net right after a cut, by each way of telling which channels matter; no training.

`python -m studio.lips.picture.importances`: every way loses the same number of channels of every layer, so
only the choice differs. Chance is the control: the median of some seeds.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
import torch

from studio.command import run
from studio.lips.picture.data import Twins, cut
from studio.lips.picture.evaluate import by_net, evaluate, reader_of
from studio.lips.picture.shrink import taylor
from studio.lips.picture.train import load
from studio.truth.draw import SPLITS, Split
from vcam_talker.nets.lips import POSE, SIZE, LipsNet
from vcam_talker.nets.reader import MouthReader
from vcam_talker.prune.allot import CutSettings
from vcam_talker.prune.apply import apply_plan
from vcam_talker.prune.cut import choose, whole
from vcam_talker.prune.graph import trace
from vcam_talker.prune.importance import Importance, Random, batch_norm_scale, magnitude

RATIOS: Final = (0.2, 0.4)
_SEEDS: Final = (1, 2, 3)
_TOLD: Final = ("l1", "psnr_db", "aperture_r")


def compare(
    net: LipsNet,
    ways: Mapping[str, Sequence[Importance]],
    ratio: float,
    round_to: int,
    judge: Callable[[LipsNet], Mapping[str, float]],
) -> dict[str, dict[str, float]]:
    """Return the figures of `net` without `ratio` of its channels, by way; of several the median.

    Blocks for an evaluation of each. Raises VcamTalkerError.
    """
    graph = trace(net, (torch.rand(1, 3, *SIZE), torch.rand(1, 3, *SIZE), torch.rand(1, POSE)))
    settings, dense = CutSettings(ratio, round_to), whole(net, net.plan())
    found: dict[str, dict[str, float]] = {}
    for name, importances in ways.items():
        rows = []
        for importance in importances:
            plan = choose(graph, importance(net, graph), settings, dense, {})
            rows.append(judge(apply_plan(net.state_dict(), plan, LipsNet.from_plan)))
        found[name] = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    return found


def judged(twins: Twins, reader: MouthReader, count: int) -> Callable[[LipsNet], dict[str, float]]:
    """Return what tells a net's mouth L1, PSNR in dB and correlation of apertures, against truth."""

    def judge(net: LipsNet) -> dict[str, float]:
        figures = asdict(evaluate(by_net(net), twins, reader, count=count))
        return {name: round(float(figures[name]), 4) for name in _TOLD}

    return judge


_trained = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command(help=__doc__)
@click.option("--data", type=_trained, required=True, help="Folder of the drawn files.")
@click.option("--reader", "weights", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True, help="To judge with.")
@click.option("--learn", type=click.Choice(SPLITS), default="train", show_default=True, help="For Taylor.")
@click.option("--count", type=click.IntRange(1), default=300, show_default=True, help="Samples judged.")
@click.option("--round-to", type=click.IntRange(1), default=8, show_default=True)
@click.option("--threads", type=click.IntRange(1, 128), default=2, show_default=True)
@click.argument("net", type=_trained)
def cli(
    data: Path, weights: Path, split: Split, learn: Split, count: int, round_to: int, threads: int, net: Path
) -> None:
    """Cut NET at 20 and 40 % by each importance; prints JSON."""
    torch.set_num_threads(threads)
    dense = load(net)
    judge = judged(cut(data, split, data / "cut"), reader_of(weights), count)
    ways: dict[str, Sequence[Importance]] = {
        "taylor": [taylor(cut(data, learn, data / "cut"))],
        "magnitude": [magnitude],
        "bn": [batch_norm_scale],
        "random": [Random(seed) for seed in _SEEDS],
    }
    found: dict[str, Any] = {"dense": judge(dense)}
    for ratio in RATIOS:
        found[f"{ratio:.0%} gone"] = compare(dense, ways, ratio, round_to, judge)
    click.echo(json.dumps(found, indent=1))


if __name__ == "__main__":
    sys.exit(run(cli))
