"""What one network takes of memory.

`python -m vcam_talker.bench.lipsync_memory MODEL SMALL ENGINE PRECISION THREADS` is a process of its own,
which prints resident megabytes: when the engine has run the model SMALL, whose own weights are nothing beside
the library's code; after some runs of MODEL; and the highest.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from vcam_talker.bench.processes import rss_mb
from vcam_talker.core.errors import EngineError, VcamTalkerError
from vcam_talker.inference import EngineName, Precision, Session, open_session
from vcam_talker.inference.candidates import Candidate
from vcam_talker.inference.session import noise

_RUNS: Final = 10
_TIMEOUT_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process, MB."""

    library: float
    """With nothing but Python, NumPy and the engine's library, which has run a network of no size."""
    running: float
    peak: float

    @property
    def added(self) -> float:
        """What the network takes while it runs."""
        return self.running - self.library

    @property
    def added_peak(self) -> float:
        """What it has taken at its highest, on loading; so much has to be there."""
        return self.peak - self.library


def measure(model: Path, small: Path, candidate: Candidate, threads: int) -> Memory:
    """Open and run a model in a fresh process; blocks for seconds. Raises EngineError.

    `small`: a network of a few weights, in fp32.
    """
    argv = [sys.executable, "-m", __name__, str(model), str(small)]
    argv += [candidate.engine, candidate.precision, str(threads)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise EngineError(f"model {model}", f"did not run within {_TIMEOUT_S:.0f} s") from None
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise EngineError(f"model {model}", f"its memory can't be measured ({why})")
    return Memory(*json.loads(done.stdout))


def main(model: str, small: str, engine: str, precision: str, threads: str) -> None:
    """Measure, and print. Raises VcamTalkerError."""
    name = cast("EngineName", engine)
    first = _run(open_session(Path(small), name, "fp32", int(threads)))
    library = rss_mb()
    session = _run(open_session(Path(model), name, cast("Precision", precision), int(threads)))
    print(json.dumps([library, rss_mb(), _peak_mb()]))
    for each in (first, session):
        each.close()


def _run(session: Session) -> Session:
    session.warm_up()
    feeds = noise(session.inputs)
    for _ in range(_RUNS):
        session.run(feeds)
    return session


def _peak_mb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except VcamTalkerError as e:
        sys.exit(str(e))
