"""Voice activity: how probable it is that a window of sound holds speech."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from vcam_talker.core.errors import EngineError
from vcam_talker.core.extras import how_to_install
from vcam_talker.core.types import Samples

RATE: Final = 16_000
WINDOW: Final = 512
"""Samples a window, 32 ms: what Silero was trained on."""
WINDOW_NS: Final = WINDOW * 1_000_000_000 // RATE
_CONTEXT: Final = 64
_STATE: Final = (1, 1, 128)
_SILENT_RMS: Final = 10 ** (-62 / 20)
"""Below this no voice is intelligible; the network need not look."""


class VoiceActivity(Protocol):
    """Keeps state from window to window; used from one thread."""

    def probability(self, window: Samples) -> float:
        """Return 0 .. 1 for float32[512] at 16 kHz. Well under a millisecond."""
        ...


class SileroVad:
    """Silero's network (MIT, https://github.com/snakers4/silero-vad), in the version faster-whisper carries.

    Costs about 0.15 ms a window; windows of silence cost nothing.
    """

    def __init__(self) -> None:
        """Load the network, ~50 ms. Raises EngineError when onnxruntime or the network is not installed."""
        try:
            import onnxruntime
        except ImportError as e:
            raise EngineError("Silero VAD", str(e), how_to_install("asr")) from None
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            str(_network()), providers=["CPUExecutionProvider"], sess_options=options
        )
        self._input: Samples = np.zeros((1, _CONTEXT + WINDOW), np.float32)
        self._h: npt.NDArray[np.float32] = np.zeros(_STATE, np.float32)
        self._c: npt.NDArray[np.float32] = np.zeros(_STATE, np.float32)
        self._used = False

    def probability(self, window: Samples) -> float:
        """Return how probable speech is in the window."""
        if _rms(window) < _SILENT_RMS:
            if self._used:
                self._forget()
            return 0.0
        self._used = True
        self._input[0, :_CONTEXT] = self._input[0, -_CONTEXT:]
        self._input[0, _CONTEXT:] = window
        feed = {"input": self._input, "h": self._h, "c": self._c}
        probabilities, self._h, self._c = self._session.run(None, feed)
        return float(probabilities.flat[0])

    def _forget(self) -> None:
        for state in (self._input, self._h, self._c):
            state.fill(0)
        self._used = False


class EnergyVad:
    """The null engine: loud against what has been quiet lately. Takes any sudden noise for a voice."""

    _RISE: Final = 1.003
    _ABOVE: Final = 4.0

    def __init__(self) -> None:
        self._floor = 1e-3

    def probability(self, window: Samples) -> float:
        """Return how probable speech is in the window."""
        level = _rms(window)
        # The floor falls at once and rises by a tenth in a second.
        self._floor = max(1e-4, min(level, self._floor * self._RISE))
        if level < _SILENT_RMS:
            return 0.0
        return float(np.clip(level / (2 * self._ABOVE * self._floor), 0.0, 1.0))


def _rms(window: Samples) -> float:
    return float(np.sqrt(np.dot(window, window) / len(window)))


def _network() -> Path:
    # Importing faster_whisper would load its whole engine.
    spec = importlib.util.find_spec("faster_whisper")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        found = sorted(Path(place).glob("assets/silero_vad*.onnx"))
        if found:
            return found[-1]
    raise EngineError("Silero VAD", "its network is not installed", how_to_install("asr"))
