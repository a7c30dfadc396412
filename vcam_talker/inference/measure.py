"""Measures candidates against each other, in a process of its own.

There an engine that crashes or hangs harms nobody, and the libraries of those that are not taken are gone
with it. `python -m vcam_talker.inference.measure FOLDER SECONDS` does the job that `measure` has written
there, and ends after so long at the latest, and when its stdin ends.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from vcam_talker.core.errors import EngineError
from vcam_talker.inference.candidates import TOLERANCE, Candidate, Measured, deviation
from vcam_talker.inference.engines import find_engine
from vcam_talker.inference.measure_process import (
    HUMBLE,
    Run,
    end_after,
    end_with_parent,
    job_folder,
    run_apart,
)
from vcam_talker.inference.memory import lacked_memory
from vcam_talker.inference.model import Model, Request, find_model
from vcam_talker.inference.session import Array, CheckedSession, noise

log = logging.getLogger(__name__)

BUDGET_S: Final = 2.0
"""For all runs that count together."""
_MIN_ROUNDS: Final = 5
_MAX_ROUNDS: Final = 60
_TIMEOUT_S: Final = 60.0
"""For loading, too."""
_BUILD_TIMEOUT_S: Final = 600.0
"""TensorRT compiles for minutes, once."""
_JOB, _FEEDS, _RESULT = "job.json", "feeds.npz", "result.jsonl"
_NO_ROOM: Final = "Make room in the folder for temporary files, or name another one in TMPDIR"


def measure(
    model: Model,
    candidates: list[Candidate],
    threads: int,
    feeds: Mapping[str, Array] | None,
    cache: Path,
    *,
    run: Run = run_apart,
) -> list[Measured]:
    """Return how each candidate did on `feeds`, or on noise; blocks for seconds.

    A candidate that takes the process down is noted, and the others are measured again without it. Raises
    EngineError when nothing can be measured at all, whatever the candidate.
    """
    faults: list[Measured] = []
    crashed = False
    left = list(candidates)
    while left:
        try:
            with job_folder() as folder:
                _write_job(folder, model, left, threads, feeds, cache)
                status = _do(run, folder, left)
                last, measured = _read_result(folder, left)
        except OSError as e:
            raise EngineError("engines", f"can't be measured ({e.strerror or e})", _NO_ROOM) from e
        if status == 0 and measured:
            return [*measured, *faults]
        why = "takes too long" if status is None else f"takes its process down ({_told(status)})"
        crashed |= status is None or status < 0
        faults.append(Measured(left[last], fault=why, passing=True, tries=1))
        del left[last]
    if not crashed:
        raise EngineError("engines", f"can't be measured ({faults[0].fault if faults else 'there are none'})")
    return faults


def _do(run: Run, folder: Path, candidates: list[Candidate]) -> int | None:
    building = any(c.engine == "tensorrt" for c in candidates)
    try:
        return run(folder, _BUILD_TIMEOUT_S if building else _TIMEOUT_S)
    except OSError as e:
        raise EngineError("engines", f"can't be measured ({e.strerror or e})") from e


def _told(status: int) -> str:
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"exit status {status}"


def _write_job(
    folder: Path,
    model: Model,
    candidates: list[Candidate],
    threads: int,
    feeds: Mapping[str, Array] | None,
    cache: Path,
) -> None:
    forms = [
        *(str(file.path) for file in model.onnx.values()),
        *([str(model.torch.path)] if model.torch else []),
    ]
    job = {
        "path": str(model.path),
        "forms": forms,
        "candidates": [[c.engine, c.precision] for c in candidates],
        "threads": threads,
        "cache": str(cache),
    }
    (folder / _JOB).write_text(json.dumps(job), encoding="utf-8")
    if feeds is not None:
        np.savez(folder / _FEEDS, **feeds)  # type: ignore[arg-type]


def _read_result(folder: Path, candidates: list[Candidate]) -> tuple[int, list[Measured]]:
    """Return the place of the candidate that was worked on last, and how all did, if it came to that."""
    last = 0
    try:
        for line in (folder / _RESULT).read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            if isinstance(told, int):
                last = min(max(told, 0), len(candidates) - 1)
            else:
                return last, [Measured.from_dict(row) for row in told]
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        log.debug("the measuring process left no result", exc_info=True)
    return last, []


class _Contest:
    """Sessions of all candidates, run in turn, so that a busy machine slows all of them."""

    def __init__(self, folder: Path) -> None:
        job = json.loads((folder / _JOB).read_text(encoding="utf-8"))
        first, *others = (Path(form) for form in job["forms"])
        self._model = find_model(first, others)
        self._candidates = [Candidate(*pair) for pair in job["candidates"]]
        self._threads, self._cache = int(job["threads"]), Path(job["cache"])
        self._told = (folder / _RESULT).open("w", encoding="utf-8")
        self._feeds: dict[str, Array] | None = None
        self._shapes = None
        if (folder / _FEEDS).exists():
            with np.load(folder / _FEEDS, allow_pickle=False) as stored:
                self._feeds = dict(stored)
            self._shapes = {name: array.shape for name, array in self._feeds.items()}

    def run(self) -> None:
        """Measure, and tell."""
        sessions: dict[int, CheckedSession] = {}
        faults: dict[int, EngineError] = {}
        outputs: dict[int, dict[str, Array]] = {}
        for index in range(len(self._candidates)):
            self._tell(index)
            try:
                session = self._open(index)
                self._feeds = self._feeds or noise(session.inputs)
                session.run(self._feeds)
                outputs[index] = session.run(self._feeds)
                sessions[index] = session
            except EngineError as e:
                faults[index] = e
        times = self._race(sessions)
        reference = next(iter(outputs), None)  # the most exact, of the preferred engine
        measured = []
        for index, candidate in enumerate(self._candidates):
            if reference is None or index in faults:
                # Another program may have had the GPU's memory, say.
                passing = lacked_memory(faults[index])
                measured.append(Measured(candidate, fault=str(faults[index]), passing=passing, tries=1))
                continue
            off = deviation(outputs[index], outputs[reference])
            most = TOLERANCE[candidate.precision]
            fault = (
                "" if off <= most else f"its results are wrong: {off:.2g} off {self._candidates[reference]}"
            )
            measured.append(
                Measured(candidate, statistics.median(times[index]), off if np.isfinite(off) else 1e9, fault)
            )
        self._tell([m.as_dict() for m in measured])
        self._told.close()

    def _open(self, index: int) -> CheckedSession:
        engine, precision = self._candidates[index].engine, self._candidates[index].precision
        request = Request(self._model, precision, self._threads, self._shapes, self._cache)
        return CheckedSession(find_engine(engine).open(request), engine, precision, self._model.label)

    def _race(self, sessions: dict[int, CheckedSession]) -> dict[int, list[float]]:
        times: dict[int, list[float]] = {index: [] for index in sessions}
        end_s = time.monotonic() + BUDGET_S
        for round_number in range(_MAX_ROUNDS):
            if round_number >= _MIN_ROUNDS and time.monotonic() > end_s:
                break
            for index, session in sessions.items():
                self._tell(index)
                begun_ns = time.perf_counter_ns()
                session.run(self._feeds or {})
                times[index].append((time.perf_counter_ns() - begun_ns) / 1e6)
        return times

    def _tell(self, what: object) -> None:
        self._told.write(json.dumps(what) + "\n")
        self._told.flush()


if __name__ == "__main__":
    job = Path(sys.argv[1])
    end_after(float(sys.argv[2]))
    end_with_parent(job)
    if HUMBLE in sys.argv and sys.platform != "win32":
        os.nice(19)
    _Contest(job).run()
