"""How many channels each layer keeps: ratios, ranking, and rounding to what processors like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np

from vcam_talker.core.errors import BadInputError
from vcam_talker.prune.bounds import MAX_ROUNDS, Ranking
from vcam_talker.prune.graph import ChannelGroup, matches
from vcam_talker.prune.importance import Scores

MAX_STEP: Final = 0.4
"""Of the channels that there are, no step removes more: what is left couldn't be trained back."""
MAX_LAYER_STEP: Final = 0.5
"""Of the channels that a layer has, no step removes more, wherever rounding and ranking would."""
_MAX_RATIO: Final = 0.95


@dataclass(frozen=True, slots=True)
class CutSettings:
    """How much is cut, and where. Ratios are shares of the dense network's channels."""

    ratio: float
    round_to: int = 16
    """Layers keep a multiple of this many channels."""
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
    """Raise BadInputError when a ratio can't be reached in so many steps, or there can't be as many."""
    settings.check()
    if not 1 <= rounds <= MAX_ROUNDS:
        raise BadInputError(f"rounds {rounds}", f"must be from 1 to {MAX_ROUNDS}")
    for name, ratio in {"ratio": settings.ratio, **settings.layer_ratios}.items():
        needed = steps_needed(ratio)
        if needed > rounds:
            raise BadInputError(
                f"ratio {ratio:g}" + ("" if name == "ratio" else f" of {name}"),
                f"would remove more than {MAX_STEP:.0%} of the channels in one step",
                f"Take {needed} rounds with training in between (--rounds {needed}), or a smaller ratio",
            )


def allot(
    groups: Sequence[ChannelGroup],
    scores: Scores,
    settings: CutSettings,
    dense: Mapping[str, int],
    costs: Mapping[str, float] | None = None,
) -> dict[str, int]:
    """Return how many channels each group keeps, by its root. Pure.

    `dense`: how many it had in the dense network, which is what ratios are of. Each group keeps one of the
    two multiples of `round_to` around its share, so that over all layers the ratio holds: those that `costs`
    (multiplications per channel) most get the smaller one; without costs, those that are nearest to it.
    Whatever the ratio: of all channels that there are no more than MAX_STEP go, rounding included.
    """
    shares: dict[str, float] = {}
    open_groups = []
    for group in groups:
        ratio = _own_ratio(group, settings)
        if ratio is None:
            open_groups.append(group)
        else:
            shares[group.root] = min(dense[group.root] * (1 - ratio), group.channels)
    uniform = {g.root: min(dense[g.root] * (1 - settings.ratio), float(g.channels)) for g in open_groups}
    shares |= _ranked(open_groups, scores, uniform) if settings.ranking == "global" else uniform
    return _rounded(groups, shares, settings.round_to, costs)


def _own_ratio(group: ChannelGroup, settings: CutSettings) -> float | None:
    """Return the ratio that is named for a group; of several makers' the smallest."""
    found = [
        ratios[-1]
        for maker in group.makers
        if (ratios := [r for pattern, r in settings.layer_ratios.items() if matches(maker, [pattern])])
    ]
    return min(found) if found else None


def _ranked(groups: Sequence[ChannelGroup], scores: Scores, uniform: Mapping[str, float]) -> dict[str, float]:
    """Return the shares when as many channels go as in `uniform`, but the lowest scores of all."""
    # Rounded down: half a channel more could be more than a step may remove.
    excess = math.floor(sum(group.channels - uniform[group.root] for group in groups) + 1e-9)
    candidates: list[tuple[float, int]] = []
    for number, group in enumerate(groups):
        least = math.ceil(group.channels * (1 - MAX_LAYER_STEP))
        lowest = np.sort(scores[group.root])[: group.channels - least]
        candidates += [(float(score), number) for score in lowest]
    gone = np.bincount([number for _, number in sorted(candidates)[:excess]], minlength=len(groups))
    return {group.root: float(group.channels - n) for group, n in zip(groups, gone, strict=True)}


def _rounded(
    groups: Sequence[ChannelGroup], shares: Mapping[str, float], unit: int, costs: Mapping[str, float] | None
) -> dict[str, int]:
    upper: dict[str, int] = {}
    lower: dict[str, int] = {}
    for group in groups:
        share = shares[group.root]
        least = max(1, math.ceil(group.channels * (1 - MAX_LAYER_STEP)))
        above = max(math.ceil(share / unit - 1e-9), math.ceil(least / unit)) * unit
        upper[group.root] = min(above, group.channels)
        below = math.floor(share / unit + 1e-9) * unit
        lower[group.root] = below if least <= below < upper[group.root] else upper[group.root]

    def nearness(group: ChannelGroup) -> float:
        if costs is not None:
            return -costs[group.root]
        return (shares[group.root] - lower[group.root]) / unit

    order = sorted(groups, key=nearness)
    keeps = dict(upper)
    # Counted as the network's plan does: a channel once for every layer that makes it.
    spare = sum(keeps[g.root] * len(g.makers) for g in groups) - _least_kept(groups)
    # A step before this one may have left more than its share; what is right by the ratio is too much then.
    while spare < 0:
        for group in reversed(order):
            more = min(unit, group.channels - keeps[group.root])
            if spare < 0 and more:
                keeps[group.root] += more
                spare += more * len(group.makers)
    left = sum((keeps[g.root] - shares[g.root]) * len(g.makers) for g in groups)
    for group in order:
        drop = (keeps[group.root] - lower[group.root]) * len(group.makers)
        if drop and left >= drop / 2 and drop <= spare:
            keeps[group.root] = lower[group.root]
            left -= drop
            spare -= drop
    return keeps


def _least_kept(groups: Sequence[ChannelGroup]) -> int:
    """Return how many channels a step leaves at least, for no more than MAX_STEP to go."""
    present = sum(group.channels * len(group.makers) for group in groups)
    return math.ceil(present * (1 - MAX_STEP) - 1e-6)
