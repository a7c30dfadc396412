"""`python -m vcam_talker.prune.resident MODEL ENGINE PRECISION`: print what a model adds to resident memory.

A process of its own, for what others have allocated and freed can't be told apart in one that ran before.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final, cast

from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.inference import EngineChoice, PrecisionChoice, open_session
from vcam_talker.inference.engines import find_engine
from vcam_talker.inference.session import EngineName, noise

_RUNS: Final = 5


def main(argv: list[str]) -> int:
    """Open, run some times, and print bytes. Returns the exit status."""
    model, engine, precision = argv
    find_engine(cast("EngineName", engine)).load()
    before = _resident_bytes()
    try:
        session = open_session(
            Path(model), cast("EngineChoice", engine), cast("PrecisionChoice", precision), threads=1
        )
        feeds = noise(session.inputs)
        for _ in range(_RUNS):
            session.run(feeds)
    except VcamTalkerError as e:
        sys.stderr.write(f"{e}\n")
        return 1
    sys.stdout.write(f"{_resident_bytes() - before}\n")
    return 0


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
