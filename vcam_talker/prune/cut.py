"""Choose what goes: from scores and a ratio to a channel plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from vcam_talker.prune.allot import CutSettings, allot
from vcam_talker.prune.graph import ChannelGraph, check_patterns
from vcam_talker.prune.importance import Scores
from vcam_talker.prune.layers import named_layers, widths
from vcam_talker.prune.plan import ChannelPlan, LayerCut


def whole(module: nn.Module, dense: Mapping[str, Any]) -> ChannelPlan:
    """Return the plan that keeps all of a dense network. `dense`: its own plan."""
    layers = named_layers(module)
    return ChannelPlan(dense, {n: LayerCut.whole(*widths(*pair)) for n, pair in layers.items()})


def choose(
    graph: ChannelGraph,
    scores: Scores,
    settings: CutSettings,
    plan: ChannelPlan,
    made: Mapping[str, Any],
    costs: Mapping[str, float] | None = None,
) -> ChannelPlan:
    """Return `plan` cut further, to the ratios of `settings`. Pure.

    `graph` and `scores` are of the network that `plan` describes; `costs`: see `allot`. Raises BadInputError.
    """
    settings.check()
    check_patterns([*settings.layer_ratios, *settings.ignored], list(plan.layers))
    dense = {group.root: plan.layers[group.root].dense_out for group in graph.groups}
    keeps = allot(graph.groups, scores, settings, dense, costs)
    removed = {g.root: lowest(scores[g.root], g.channels - keeps[g.root]) for g in graph.groups}
    return cut_roots(graph, removed, plan, made)


def cut_roots(
    graph: ChannelGraph,
    removed: Mapping[str, npt.NDArray[np.int64]],
    plan: ChannelPlan,
    made: Mapping[str, Any],
) -> ChannelPlan:
    """Return `plan` without some channels. `removed`: indices by group's root, of what `plan` keeps. Pure."""
    lost: dict[tuple[str, str], npt.NDArray[np.bool_]] = {}
    for name, layer in plan.layers.items():
        lost[name, "in"] = np.zeros(len(layer.keep_in), np.bool_)
        lost[name, "out"] = np.zeros(len(layer.keep_out), np.bool_)
    for group in graph.groups:
        gone = removed.get(group.root)
        if gone is None or not gone.size:
            continue
        for member in group.members:
            indices = member.indices[np.isin(member.roots, gone)]
            for side in ("in", "out") if member.side == "both" else (member.side,):
                lost[member.layer, side][indices] = True
    layers = {
        name: layer.then(
            np.flatnonzero(~lost[name, "in"]).tolist(), np.flatnonzero(~lost[name, "out"]).tolist()
        )
        for name, layer in plan.layers.items()
    }
    return ChannelPlan(plan.dense, layers, dict(made))


def lowest(scores: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    """Return the indices of the `count` lowest scores; of equal ones the first."""
    return np.argsort(scores, kind="stable")[:count].astype(np.int64)
