"""Choose what goes: from scores and a ratio to a channel plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from torch import nn

from vcam_talker.core.errors import BadInputError
from vcam_talker.prune.graph import ChannelGraph, ChannelGroup, check_patterns, matches
from vcam_talker.prune.importance import Scores
from vcam_talker.prune.layers import named_layers, widths
from vcam_talker.prune.plan import ChannelPlan, LayerCut

MAX_STEP: Final = 0.4
"""Of the channels that a layer has, no step removes more: what is left couldn't be trained back."""
_MAX_RATIO: Final = 0.95

Ranking = Literal["uniform", "global"]


@dataclass(frozen=True, slots=True)
class CutSettings:
    """How much is cut, and where. Ratios are shares of the dense network's channels."""

    ratio: float
    round_to: int = 16
    """Layers keep a multiple of this many channels, the nearest one."""
    ranking: Ranking = "uniform"
    """`uniform`: every layer loses the same share; `global`: the lowest scores of all layers go."""
    layer_ratios: Mapping[str, float] = field(default_factory=dict)
    """By name or pattern (`face_decoder_blocks.*`); the last that fits holds. 0 leaves a layer whole."""
    ignored: Sequence[str] = ()

    def check(self) -> None:
        """Raise BadInputError for settings that no network can be cut by."""
        for name, ratio in {"ratio": self.ratio, **self.layer_ratios}.items():
            least = 0.0 if name in self.layer_ratios else 1e-3
            if not (math.isfinite(ratio) and least <= ratio <= _MAX_RATIO):
                raise BadInputError(
                    f"{name} {ratio:g}" if name == "ratio" else f"ratio {ratio:g} of {name}",
                    f"must be a share of the channels, more than 0 and at most {_MAX_RATIO}",
                    "0.3 removes 30 % of them",
                )
        if not 1 <= self.round_to <= 1024:
            raise BadInputError(
                f"round-to {self.round_to}", "must be from 1 to 1024", "8 or 16 suits processors"
            )

    def after(self, done: int, rounds: int) -> CutSettings:
        """Return the settings of a round (1 .. `rounds`): each removes the same share of what is left."""

        def part(ratio: float) -> float:
            return 1 - float((1 - ratio) ** (done / rounds))

        return replace(
            self,
            ratio=part(self.ratio),
            layer_ratios={name: part(ratio) for name, ratio in self.layer_ratios.items()},
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON data."""
        return {**asdict(self), "layer_ratios": dict(self.layer_ratios), "ignored": list(self.ignored)}


def steps_needed(ratio: float) -> int:
    """Return how many steps a ratio takes when none removes more than MAX_STEP of what is there."""
    return max(1, math.ceil(math.log(1 - ratio) / math.log(1 - MAX_STEP) - 1e-9))


def check_rounds(settings: CutSettings, rounds: int) -> None:
    """Raise BadInputError when a ratio can't be reached in so many steps."""
    settings.check()
    for name, ratio in {"ratio": settings.ratio, **settings.layer_ratios}.items():
        needed = steps_needed(ratio)
        if needed > rounds:
            raise BadInputError(
                f"ratio {ratio:g}" + ("" if name == "ratio" else f" of {name}"),
                f"would remove more than {MAX_STEP:.0%} of the channels in one step",
                f"Take {needed} rounds with training in between (--rounds {needed}), or a smaller ratio",
            )


def whole(module: nn.Module, dense: Mapping[str, Any]) -> ChannelPlan:
    """Return the plan that keeps all of a dense network. `dense`: its own plan."""
    layers = named_layers(module)
    return ChannelPlan(dense, {n: LayerCut.whole(*widths(*pair)) for n, pair in layers.items()})


def choose(
    graph: ChannelGraph, scores: Scores, settings: CutSettings, plan: ChannelPlan, made: Mapping[str, Any]
) -> ChannelPlan:
    """Return `plan` cut further, to the ratios of `settings`. Pure.

    `graph` and `scores` are of the network that `plan` describes. No group loses more than MAX_STEP of what
    it has, whatever the ratio. Raises BadInputError.
    """
    settings.check()
    check_patterns([*settings.layer_ratios, *settings.ignored], list(plan.layers))
    named = {g.root: r for g in graph.groups if (r := _own_ratio(g, settings)) is not None}
    open_groups = [g for g in graph.groups if g.root not in named]
    keeps = {g.root: _share(g, plan, named[g.root]) for g in graph.groups if g.root in named}
    if settings.ranking == "global":
        keeps |= _globally(open_groups, scores, plan, settings.ratio)
    else:
        keeps |= {g.root: _share(g, plan, settings.ratio) for g in open_groups}
    removed = {
        group.root: lowest(scores[group.root], group.channels - _rounded(keeps[group.root], group, settings))
        for group in graph.groups
    }
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


def _own_ratio(group: ChannelGroup, settings: CutSettings) -> float | None:
    """Return the ratio that is named for a group; of several makers' the smallest."""
    found = [
        ratios[-1]
        for maker in group.makers
        if (ratios := [r for pattern, r in settings.layer_ratios.items() if matches(maker, [pattern])])
    ]
    return min(found) if found else None


def _share(group: ChannelGroup, plan: ChannelPlan, ratio: float) -> float:
    return plan.layers[group.root].dense_out * (1 - ratio)


def _rounded(keep: float, group: ChannelGroup, settings: CutSettings) -> int:
    """Return how many channels a group keeps: the nearest multiple that removes no more than MAX_STEP."""
    least = math.ceil(group.channels * (1 - MAX_STEP) - 1e-9)
    unit = settings.round_to
    # Halves upward: what is kept too much costs time, what is missing can't be had back.
    near = math.floor(keep / unit + 0.5) * unit
    if near < least:
        near = math.ceil(least / unit) * unit
    return min(max(near, 1), group.channels)


def _globally(
    groups: Sequence[ChannelGroup], scores: Scores, plan: ChannelPlan, ratio: float
) -> dict[str, float]:
    """Return how many channels each group keeps when the lowest scores of all go."""
    wanted = sum(_share(g, plan, ratio) for g in groups)
    excess = round(sum(g.channels for g in groups) - wanted)
    candidates: list[tuple[float, int]] = []
    for number, group in enumerate(groups):
        least = math.ceil(group.channels * (1 - MAX_STEP) - 1e-9)
        lowest = np.sort(scores[group.root])[: group.channels - least]
        candidates += [(float(score), number) for score in lowest]
    gone = np.bincount([number for _, number in sorted(candidates)[: max(excess, 0)]], minlength=len(groups))
    return {group.root: float(group.channels - n) for group, n in zip(groups, gone, strict=True)}


def lowest(scores: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    """Return the indices of the `count` lowest scores; of equal ones the first."""
    return np.argsort(scores, kind="stable")[:count].astype(np.int64)
