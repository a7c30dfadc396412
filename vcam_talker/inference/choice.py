"""What was measured to be best on this machine, remembered in the cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
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

_FORMAT: Final = 1
_KEPT: Final = 64
"""Choices; a package that is upgraded makes new ones of all models."""
_MAX_BYTES: Final = 100_000


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


def machine_facts(processor: Processor) -> dict[str, Any]:
    """Return what makes one machine as fast as another."""
    return {
        "processor": processor.name,
        "flags": hashlib.sha256(" ".join(sorted(processor.flags)).encode()).hexdigest()[:16],
        "cores": processor.cores,
        "gpu": gpu_name(),
        "packages": versions(),
    }


def recall(folder: Path, question: Question) -> list[Measured]:
    """Return what was measured; nothing when it wasn't, or the file is damaged. Never raises."""
    answer = _read(folder / question.file)
    return answer[1] if answer and answer[0] == question else []


def recall_all(folder: Path, processor: Processor) -> list[tuple[str, list[Measured]]]:
    """Return the models that were measured on this machine as it is, by name, newest first. Never raises."""
    now = machine_facts(processor)
    return [
        (question.name, measured)
        for question, measured in filter(None, map(_read, _files(folder)))
        if now.items() <= question.facts.items()
    ]


def remember(folder: Path, question: Question, measured: list[Measured]) -> None:
    """Write down what was measured, whole or not at all; a folder that refuses is logged. Never raises."""
    told = {
        "format": _FORMAT,
        "name": question.name,
        "facts": question.facts,
        "measured": [m.as_dict() for m in measured],
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


def _read(file: Path) -> tuple[Question, list[Measured]] | None:
    try:
        if file.stat().st_size > _MAX_BYTES:
            return None
        told = json.loads(file.read_text(encoding="utf-8"))
        if told["format"] != _FORMAT or not isinstance(told["facts"], dict):
            return None
        return Question(str(told["name"]), told["facts"]), [
            Measured.from_dict(row) for row in told["measured"]
        ]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
