"""Talk by itself when the room is quiet, and never the same line twice within an hour, restarts included."""

from __future__ import annotations

import json
import logging
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

log = logging.getLogger(__name__)


class QuietTalk:
    """Chooses lines on the control loop; `save` belongs on another thread, for disks can be slow."""

    def __init__(
        self,
        after_s: float,
        repeat_s: float,
        memory: Path | None,
        wall_s: Callable[[], float],
        rng: random.Random,
    ) -> None:
        """`memory`: where the times of what was said are kept; `wall_s`: seconds since the epoch."""
        self.after_s = after_s
        self._repeat_s = repeat_s
        self._memory = memory
        self._wall_s = wall_s
        self._random = rng
        self._said = self._read()

    def choose(self, lines: Sequence[str]) -> str | None:
        """Return one of `lines` that was not said lately, and remember it; None when all were.

        Call `save` afterwards.
        """
        now_s = self._wall_s()
        # A clock that was set back must not silence a line for longer than the rule says.
        self._said = {line: at for line, at in self._said.items() if 0 <= now_s - at < self._repeat_s}
        fresh = [line for line in dict.fromkeys(lines) if line not in self._said]
        if not fresh:
            return None
        line = self._random.choice(fresh)
        self._said[line] = now_s
        return line

    def save(self) -> None:
        """Write what was said to the file, a few kilobytes. Blocks; never raises; one thread at a time."""
        if self._memory is None:
            return
        said = dict(self._said)
        fresh = self._memory.with_suffix(".new")
        try:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("w", encoding="utf-8") as file:
                json.dump(said, file, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._memory)
        except OSError as e:
            log.warning("%s can't be written (%s); lines may be repeated after a restart", self._memory, e)

    def _read(self) -> dict[str, float]:
        if self._memory is None:
            return {}
        try:
            found = json.loads(self._memory.read_text(encoding="utf-8"))
            return {str(line): float(at) for line, at in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as e:
            log.warning("%s can't be read (%s); lines may be repeated", self._memory, e)
            return {}
