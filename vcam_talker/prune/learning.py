"""Who trains and judges a pruned network, and by what its channels are ranked: both by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol

from torch import nn

from vcam_talker.core.errors import BadInputError
from vcam_talker.core.types import Pixels
from vcam_talker.prune.bounds import ImportanceName
from vcam_talker.prune.data import NpzReader
from vcam_talker.prune.graph import ChannelGraph
from vcam_talker.prune.importance import (
    Importance,
    Loss,
    Random,
    Taylor,
    batch_norm_scale,
    magnitude,
)
from vcam_talker.prune.networks import Network, argument_names
from vcam_talker.prune.pictures import PictureTask, Training
from vcam_talker.prune.schedule import Task, plan_of

Announce = Callable[[str], None]

_TAYLOR_BATCHES: Final = 8


_OFFERED: Final = ("train", "evaluate", "losses", "pictures", "truth")
"""What a task must have ..."""
JUDGES: Final = ("evaluate", "losses")
"""... and one that only judges."""
_TASKS: Final = "docs/pruning.md and prune/learning.py tell what one is"


class LearningTask(Task[nn.Module], Protocol):
    """What `--task module:Class` names: a `schedule.Task` that can also show and be differentiated.

    Made as `Class(folder, training, announce)` from `--data`, `Training` and what prints a line.
    """

    def losses(self, batches: int) -> Sequence[Loss]:
        """Return losses on so many batches, for Taylor importance."""
        ...

    def pictures(self, student: nn.Module) -> Sequence[Pixels]:
        """Return what the network makes of some held-out samples, for the report: uint8[H, W, 3], R, G, B."""
        ...

    def truth(self) -> Sequence[Pixels]:
        """Return what it should make of them."""
        ...


def make_task(
    dense: nn.Module,
    network: Network,
    graph: ChannelGraph,
    data: Path,
    name: str,
    training: Training,
    announce: Announce,
    needs: Sequence[str] = _OFFERED,
) -> LearningTask:
    """Return what trains and judges. `name`: `module:Class` or empty. Raises BadInputError.

    `needs`: which methods of LearningTask will be called.
    """
    if not name:
        if not network.pictures:
            raise BadInputError(
                f"network {network.name!r}",
                "gives no picture by itself",
                "Name who trains it: --task module:Class",
            )
        names = argument_names(dense)
        reader = NpzReader(data, names, network.shapes(plan_of(dense)))
        return PictureTask(reader, training, [g.root for g in graph.groups], announce)
    module, _, member = name.partition(":")
    try:
        kind = getattr(import_module(module), member)
    except (ImportError, AttributeError, ValueError) as e:
        raise BadInputError(f"task {name!r}", f"can't be imported ({e})", "Write module:Class") from None
    if lacking := [each for each in needs if not callable(getattr(kind, each, None))]:
        raise BadInputError(f"task {name!r}", f"has no {', '.join(lacking)}", _TASKS)
    try:
        made: LearningTask = kind(data, training, announce)
    except TypeError as e:
        raise BadInputError(f"task {name!r}", f"can't be made ({e})", _TASKS) from e
    return made


def importance_named(name: ImportanceName, seed: int, task: LearningTask | None) -> Importance:
    """Return how channels are scored; `task` gives `taylor` its losses. Raises BadInputError without one."""
    match name:
        case "magnitude":
            return magnitude
        case "bn":
            return batch_norm_scale
        case "random":
            return Random(seed)
        case "taylor":
            if task is None:
                raise BadInputError("importance 'taylor'", "needs samples", "Give --data")
            return Taylor(task.losses(_TAYLOR_BATCHES))
