"""What was measured to be best on this machine, remembered in the cache folder.

It holds until any fact of it changes. Where an engine could not be measured, all are measured again at a
start a day later, then after two days, four, ...: one that hangs costs a start a minute ever more rarely.
Each has a count of its own, and the least decides: one that always fails does not put off one that failed
once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from vcam_talker.core.paths import cache_dir
from vcam_talker.inference.candidates import Candidate, Measured
from vcam_talker.inference.engines import versions
from vcam_talker.inference.gpu import gpu_name
from vcam_talker.inference.model import Model
from vcam_talker.inference.processor import Processor
from vcam_talker.inference.session import Shape

log = logging.getLogger(__name__)

_FORMAT: Final = 3
_KEPT: Final = 64
"""Choices; a package that is upgraded makes new ones of all models."""
_MAX_BYTES: Final = 100_000
_AGAIN_S: Final = 24 * 3600
"""After the first measurement in which an engine fails; twice as long after each further one."""
_MOST_DOUBLINGS: Final = 4
"""At least every 16 days: what mends an engine, a library that it lacked, say, need not be a fact we know."""


def inference_cache() -> Path:
    """Return the folder for what was measured and compiled."""
    return cache_dir() / "inference"


@dataclass(frozen=True, slots=True)
class Question:
    """What a choice depends on; another answer holds as soon as any of it changes."""

    name: str = field(compare=False)
    """Of the model, for people."""
    facts: dict[str, Any]

    @classmethod
    def about(
        cls,
        model: Model,
        contenders: list[Candidate],
        threads: int,
        shapes: Mapping[str, Shape] | None,
        processor: Processor,
    ) -> Question:
        """Return the question which of `contenders` to take."""
        return cls(
            f"{model.path.parent.name}/{model.path.name}",
            {
                "model": model.sha256,
                "contenders": [str(c) for c in contenders],
                "threads": threads,
                "shapes": {name: list(shape) for name, shape in sorted((shapes or {}).items())},
                **machine_facts(processor),
            },
        )

    @property
    def file(self) -> str:
        """Return the name of the file that holds the answer."""
        text = json.dumps(self.facts, sort_keys=True)
        return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was measured once."""

    question: Question
    measured: list[Measured]
    written_s: float
    """Of the clock on the wall, as all times of files."""

    @property
    def again_s(self) -> float | None:
        """Return when it is to be measured again, on the clock on the wall; None: never."""
        tries = min((m.tries for m in self.measured if m.tries), default=0)
        if not tries:
            return None
        doublings = min(tries - 1, _MOST_DOUBLINGS)
        return self.written_s + _AGAIN_S * (1 << doublings)

    def is_due(self, now_s: float) -> bool:
        """Tell whether it is to be measured again; also when the clock was put back beyond all reason."""
        again_s = self.again_s
        return again_s is not None and abs(now_s - self.written_s) >= again_s - self.written_s


def machine_facts(processor: Processor) -> dict[str, Any]:
    """Return what makes one machine as fast as another."""
    return {
        "processor": processor.name,
        "flags": hashlib.sha256(" ".join(sorted(processor.flags)).encode()).hexdigest()[:16],
        "cores": processor.cores,
        "gpu": gpu_name(),
        "packages": versions(),
    }


def recall(folder: Path, question: Question, *, due_too: bool = False) -> list[Measured]:
    """Return what was measured; nothing when it wasn't, or the file is damaged. Never raises.

    Nothing either when it is to be measured again, unless `due_too`.
    """
    answer = _read(folder / question.file)
    if answer is None or answer.question != question:
        return []
    return answer.measured if due_too or not answer.is_due(time.time()) else []


def recall_all(folder: Path, processor: Processor) -> list[Answer]:
    """Return what was measured on this machine as it is, newest first, due or not. Never raises."""
    now = machine_facts(processor)
    answers = filter(None, map(_read, _files(folder)))
    return [answer for answer in answers if now.items() <= answer.question.facts.items()]


def remember(folder: Path, question: Question, measured: list[Measured]) -> None:
    """Write down what was measured, whole or not at all; a folder that refuses is logged. Never raises.

    Candidates that could not be measured are counted: `Measured.tries` is one more than was written before.
    """
    before = _read(folder / question.file)
    known = before.measured if before is not None and before.question == question else []
    tries = {m.candidate: m.tries for m in known}
    counted = [replace(m, tries=tries.get(m.candidate, 0) + 1 if m.tries else 0) for m in measured]
    told = {
        "format": _FORMAT,
        "name": question.name,
        "facts": question.facts,
        "measured": [m.as_dict() for m in counted],
    }
    new = folder / f"{question.file}.{os.getpid()}.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with new.open("w", encoding="utf-8") as file:
            file.write(json.dumps(told, indent=1))
            file.flush()
            os.fsync(file.fileno())
        new.replace(folder / question.file)
        for old in _files(folder)[_KEPT:]:
            old.unlink(missing_ok=True)
    except OSError as e:
        log.warning("which engine is fastest can't be remembered: %s", e)
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


def postpone(folder: Path, question: Question) -> None:
    """Let the answer hold for as long as when it was written. Never raises."""
    with contextlib.suppress(OSError):
        os.utime(folder / question.file)


def forget(folder: Path, question: Question) -> None:
    """Let it be measured again."""
    with contextlib.suppress(OSError):
        (folder / question.file).unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    """Return the newest first."""
    dated = []
    for file in folder.glob("*.json"):
        with contextlib.suppress(OSError):
            dated.append((file.stat().st_mtime, file))
    return [file for _, file in sorted(dated, reverse=True)]


def _read(file: Path) -> Answer | None:
    try:
        found = file.stat()
        if found.st_size > _MAX_BYTES:
            return None
        told = json.loads(file.read_text(encoding="utf-8"))
        if told["format"] != _FORMAT or not isinstance(told["facts"], dict):
            return None
        question = Question(str(told["name"]), told["facts"])
        measured = [Measured.from_dict(row) for row in told["measured"]]
        return Answer(question, measured, found.st_mtime)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
