"""What a run of pruning is asked, what can't be asked, and by what a run that goes on is known again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vcam_talker.core.errors import BadInputError
from vcam_talker.prune.allot import CutSettings, check_rounds
from vcam_talker.prune.bounds import ImportanceName
from vcam_talker.prune.data import archives_digest
from vcam_talker.prune.files import reading, writing
from vcam_talker.prune.limits import Limit
from vcam_talker.prune.pictures import Training
from vcam_talker.prune.rounds import RUN_FILE


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked."""

    model: Path
    """A public checkpoint, or a folder with plan and weights."""
    out: Path
    cut: CutSettings
    importance: ImportanceName
    data: Path | None = None
    """To train and judge with; None: channels are removed, and nothing is trained."""
    task: str = ""
    """`module:Class` of a LearningTask; empty: pictures from archives, see `data`."""
    rounds: int = 1
    training: Training = field(default_factory=Training)
    limits: Sequence[Limit] = ()
    seed: int = 1
    export: bool = False

    def check(self) -> None:
        """Raise BadInputError for what can't be, and for a folder that holds something else than a run."""
        check_rounds(self.cut, self.rounds)
        if self.data is not None:
            with writing(self.out):
                begun = (self.out / RUN_FILE).is_file()
            if not begun:
                check_new(self.out)
            return
        check_new(self.out)
        if self.importance == "taylor":
            raise BadInputError(
                "importance 'taylor'", "needs samples", "Give --data, or take --importance magnitude"
            )
        if self.rounds > 1 or self.limits:
            raise BadInputError("rounds and limits", "need samples to train and judge with", "Give --data")

    def made(self) -> dict[str, Any]:
        """Return what is written into the plan; a run with other values is another run.

        Blocks for reading the archives once. Raises BadInputError.
        """
        made: dict[str, Any] = {
            "importance": self.importance,
            "ratio": self.cut.ratio,
            "round_to": self.cut.round_to,
            "ranking": self.cut.ranking,
            "trained": self.data is not None,
        }
        if self.importance == "random":
            made["seed"] = self.seed
        if self.data is not None:
            training = self.training
            made |= {**samples_asked(self.data, self.task), **asdict(training)}
        return made

    def told(self) -> dict[str, Any]:
        """Return what is written into the plan beside it, and may be otherwise when a run goes on."""
        return {} if self.data is None else samples_told(self.data)


def check_new(out: Path) -> None:
    """Raise BadInputError unless `out` isn't there yet, or is an empty folder."""
    with writing(out):
        taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
    if taken:
        raise BadInputError(str(out), "is there already, and not empty", "Name another folder, or delete it")


def samples_asked(data: Path, task: str) -> dict[str, Any]:
    """Tell who judges by what, so that a run or scan is not gone on with by others. Raises BadInputError.

    Archives are known by what is in them, wherever they lie and whatever their folder is called; what a task
    of its own reads, by its path, too. Blocks for reading them once.
    """
    samples = {"samples": archives_digest(data)}
    return {"task": task, "data": str(_resolved(data)), **samples} if task else samples


def samples_told(data: Path) -> dict[str, Any]:
    """Tell people what the folder of samples is called; it may be renamed. Raises BadInputError."""
    return {"data": _resolved(data).name}


def _resolved(data: Path) -> Path:
    with reading(data):
        return data.resolve()
