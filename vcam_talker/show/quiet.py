"""Talk by itself when the room is quiet, and never the same line twice within an hour, restarts included."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.types import NS_PER_S

log = logging.getLogger(__name__)


class QuietTalk:
    """Chooses lines on the control loop; `save` belongs on another thread, for disks can be slow."""

    def __init__(
        self,
        after_s: float,
        repeat_s: float,
        memory: Path | None,
        wall_s: Callable[[], float],
        clock: MonotonicClock,
        rng: random.Random,
    ) -> None:
        """`memory`: where the times of what was said are kept; `wall_s`: seconds since the epoch.

        `clock` keeps what this process has said, however its wall clock is set.
        """
        self.after_s = after_s
        self._repeat_s = repeat_s
        self._memory = memory
        self._wall_s = wall_s
        self._clock = clock
        self._random = rng
        self._refused = False
        self._said_here_ns: dict[str, int] = {}
        self._said = self._read()

    def choose(self, lines: Sequence[str]) -> str | None:
        """Return one of `lines` that was not said lately, and remember it; None when all were.

        Call `save` afterwards.
        """
        now_s, now_ns = self._wall_s(), self._clock.now_ns()
        said = {line: self._at_s(line, now_s, now_ns) for line in self._said}
        said = {line: at_s for line, at_s in said.items() if now_s - at_s < self._repeat_s}
        self._said = said
        self._said_here_ns = {line: at for line, at in self._said_here_ns.items() if line in said}
        fresh = [line for line in dict.fromkeys(lines) if line not in said]
        if not fresh:
            return None
        line = self._random.choice(fresh)
        self._said[line] = now_s
        self._said_here_ns[line] = now_ns
        return line

    def _at_s(self, line: str, now_s: float, now_ns: int) -> float:
        """Return when a line was said, by the wall clock as it is set now."""
        # In the future: the clock was set back. At the latest it was now.
        at_s = min(self._said[line], now_s)
        here_ns = self._said_here_ns.get(line)
        # Longer ago than it can be: the clock was set forward, or the machine slept.
        return at_s if here_ns is None else max(at_s, now_s - (now_ns - here_ns) / NS_PER_S)

    def save(self) -> None:
        """Write what was said to the file, a few kilobytes. Blocks; never raises; one thread at a time."""
        if self._memory is None:
            return
        said = dict(self._said)
        # Two daemons of one user must not write into the same file at once.
        fresh = self._memory.with_suffix(f".{os.getpid()}.new")
        try:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("w", encoding="utf-8") as file:
                json.dump(said, file, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._memory)
        except OSError as e:
            with contextlib.suppress(OSError):
                fresh.unlink()
            if not self._refused:
                log.warning(
                    "%s can't be written (%s); lines may be repeated after a restart", self._memory, e
                )
            self._refused = True
        else:
            self._refused = False

    def _read(self) -> dict[str, float]:
        if self._memory is None:
            return {}
        try:
            found = json.loads(self._memory.read_text(encoding="utf-8"))
            said = {str(line): float(at) for line, at in found.items()}
            return {line: at for line, at in said.items() if math.isfinite(at)}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as e:
            log.warning("%s can't be read (%s); lines may be repeated", self._memory, e)
            return {}
