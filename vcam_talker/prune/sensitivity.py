"""How much each layer bears: cut one group of channels alone, measure, put it back, go on with the next.

A scan is bounded by evaluations and time, and goes on where it was stopped or killed: every row is on disk
before the next one is measured.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch

from vcam_talker.core.errors import BadInputError
from vcam_talker.prune.allot import MAX_STEP
from vcam_talker.prune.apply import Build, N, apply_plan
from vcam_talker.prune.cut import cut_roots, lowest, whole
from vcam_talker.prune.files import differing, jsonable, read_json, reading, write_json
from vcam_talker.prune.graph import ChannelGraph
from vcam_talker.prune.importance import Scores
from vcam_talker.prune.schedule import plan_of, state_digest

VERSION: Final = 1
RATIOS: Final = (0.1, 0.2, 0.3, 0.4)
_FORMAT: Final = "vcam-talker sensitivity scan"
_MORE_IS_BETTER: Final = re.compile(r"(?:^|_)(?:psnr|ssim|r|r2|accuracy|iou)(?:_|$)", re.IGNORECASE)
"""Usual names of metrics that fall when a network gets worse; `bearable` would read them upside down."""


@dataclass(frozen=True, slots=True)
class Row:
    """The loss when one group alone has lost `removed` of its `channels`."""

    layer: str
    """Root of the group."""
    ratio: float
    channels: int
    removed: int
    loss: float


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan has found so far."""

    metric: str
    dense_loss: float
    rows: Sequence[Row]
    complete: bool

    def bearable(self, rise: float) -> dict[str, float]:
        """Return, by layer, the highest ratio whose loss is at most `rise` above the dense one (0.05: 5 %).

        Layers that bear nothing of what was tried have 0: as `CutSettings.layer_ratios` they stay whole.
        """
        bar = self.dense_loss + rise * abs(self.dense_loss)
        ratios: dict[str, float] = {}
        for row in sorted(self.rows, key=lambda r: (r.layer, r.ratio)):
            ratios.setdefault(row.layer, 0.0)
            if row.loss <= bar:
                ratios[row.layer] = row.ratio
        return ratios

    def as_dict(self) -> dict[str, Any]:
        """Return the scan as JSON data; a loss that is no number is null."""
        found: dict[str, Any] = jsonable(
            {
                "format": _FORMAT,
                "version": VERSION,
                "metric": self.metric,
                "dense_loss": self.dense_loss,
                "complete": self.complete,
                "rows": [asdict(row) for row in self.rows],
            }
        )
        return found


def scan(
    dense: N,
    graph: ChannelGraph,
    scores: Scores,
    loss: Callable[[N], float],
    path: Path,
    *,
    build: Build[N],
    metric: str = "loss",
    ratios: Sequence[float] = RATIOS,
    made: Mapping[str, Any] | None = None,
    told: Mapping[str, Any] | None = None,
    max_evaluations: int = 500,
    limit_s: float = math.inf,
    announce: Callable[[str], None] = lambda _line: None,
) -> Scan:
    """Measure `loss` (less is better) for every group and ratio; blocks for as many evaluations at most.

    `path`: the JSON file of the result, kept up to date; a scan that lies there with the same question is
    gone on with. `made` is part of the question, `told` is only written beside it. `limit_s` ends it between
    two evaluations. Raises BadInputError for what `check_question` refuses, for ratios that remove nothing,
    and for a file of another scan or one that can't be written.
    """
    check_question(metric, ratios)
    deadline_s = time.monotonic() + limit_s
    plan = whole(dense, plan_of(dense))
    state = dense.state_dict()
    asked = {"dense": state_digest(state), "metric": metric, "made": dict(made or {})}
    known = _known(path, asked)
    wanted = _wanted(graph, ratios)
    if not wanted:
        tried = ", ".join(f"{ratio:g}" for ratio in ratios)
        raise BadInputError(f"ratio {tried}", "removes no channel of any layer", "Try 0.1")
    dense_loss = known.dense_loss if known else _measured(dense, loss)
    if not math.isfinite(dense_loss):
        raise BadInputError(
            "the dense network", f"has a {metric} of {dense_loss}, so nothing can be compared"
        )
    rows = {(row.layer, row.removed): row for row in known.rows} if known else {}
    # Not by their number: rows of other ratios, asked for earlier, count for nothing here.
    keys = [(layer, removed) for layer, _, _, removed in wanted]
    todo = [want for want, key in zip(wanted, keys, strict=True) if key not in rows]
    for number, (layer, ratio, channels, removed) in enumerate(todo[:max_evaluations]):
        if time.monotonic() > deadline_s:
            announce(f"stopped by the clock; {len(todo) - number} evaluations were left")
            break
        cut = cut_roots(graph, {layer: lowest(scores[layer], removed)}, plan, {})
        row = Row(layer, ratio, channels, removed, _measured(apply_plan(state, cut, build), loss))
        rows[layer, removed] = row
        found = Scan(metric, dense_loss, list(rows.values()), complete=all(key in rows for key in keys))
        write_json(path, {**found.as_dict(), "told": dict(told or {}), "asked": asked})
        announce(f"{layer}: {removed} of {channels} gone, {metric} {row.loss:.4g} (dense {dense_loss:.4g})")
    return Scan(metric, dense_loss, list(rows.values()), complete=all(key in rows for key in keys))


def check_question(metric: str, ratios: Sequence[float]) -> None:
    """Raise BadInputError for ratios that no step may remove, and for a metric of which more is better."""
    for ratio in ratios:
        if not 0 < ratio <= MAX_STEP:
            raise BadInputError(f"ratio {ratio:g}", f"must be more than 0 and at most {MAX_STEP:g}")
    if _MORE_IS_BETTER.search(metric):
        raise BadInputError(
            f"metric {metric!r}",
            "is better the more it is; a scan tells by how much a loss rises",
            "Take one of which less is better, such as l1",
        )


def read_scan(path: Path) -> Scan:
    """Read a scan's file. Raises BadInputError."""
    raw = read_json(path)
    if raw.get("format") != _FORMAT or raw.get("version") != VERSION:
        raise BadInputError(str(path), f"is no sensitivity scan of version {VERSION}")
    try:
        rows = [
            Row(**{**row, "loss": math.nan if row["loss"] is None else float(row["loss"])})
            for row in raw["rows"]
        ]
        found = Scan(str(raw["metric"]), float(raw["dense_loss"]), rows, complete=bool(raw["complete"]))
        check_question(found.metric, [row.ratio for row in rows])
    except (TypeError, ValueError, KeyError) as e:
        raise BadInputError(str(path), f"is damaged ({e})", "Delete it and scan again") from None
    return found


def _known(path: Path, asked: Mapping[str, Any]) -> Scan | None:
    with reading(path):
        if not path.exists():
            return None
    if other := differing(read_json(path).get("asked"), asked):
        raise BadInputError(
            str(path),
            f"holds a scan of another network or with other settings; not the same: {', '.join(other)}",
            "Name another file, or delete it",
        )
    return read_scan(path)


def _wanted(graph: ChannelGraph, ratios: Sequence[float]) -> list[tuple[str, float, int, int]]:
    wanted: dict[tuple[str, int], tuple[str, float, int, int]] = {}
    for ratio in sorted(ratios):
        for group in graph.groups:
            removed = int(group.channels * ratio + 1e-9)
            if removed:
                wanted.setdefault((group.root, removed), (group.root, ratio, group.channels, removed))
    return list(wanted.values())


def _measured(module: N, loss: Callable[[N], float]) -> float:
    with torch.no_grad():
        return float(loss(module.eval()))
