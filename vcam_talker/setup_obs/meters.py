"""What OBS's own volume meters show."""

from __future__ import annotations

import math
import threading
from typing import Any, Final

SILENCE_DB: Final = -100.0


class Meters:
    """Keeps the loudest peak of every input since `reset`, in dBFS. Fed on the connection's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loudest_db: dict[str, float] = {}

    def take(self, name: str, data: dict[str, Any]) -> None:
        """Take an event of OBS."""
        if name != "InputVolumeMeters":
            return
        with self._lock:
            for meter in data.get("inputs", ()):
                levels = meter.get("inputLevelsMul") or ()
                # [magnitude, peak, input peak] per channel; some versions give the peak its sample's sign.
                peak = max((abs(channel[1]) for channel in levels), default=None)
                if peak is None:
                    continue  # its meter does not run yet
                level_db = max(SILENCE_DB, 20 * math.log10(peak)) if peak > 0 else SILENCE_DB
                source = str(meter.get("inputName"))
                self._loudest_db[source] = max(self._loudest_db.get(source, SILENCE_DB), level_db)

    def reset(self) -> None:
        """Forget what was seen."""
        with self._lock:
            self._loudest_db.clear()

    def loudest_db(self) -> dict[str, float]:
        """Return the loudest peak of every input whose meter runs."""
        with self._lock:
            return dict(self._loudest_db)
