"""When an utterance begins, pauses and ends: hysteresis and counts over windows of 32 ms. Pure."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final

from vcam_talker.asr.vad import WINDOW_NS

_HYSTERESIS: Final = 0.15
_PAUSE_MS: Final = 180
"""A pause this long is worth a transcription on speculation."""
_GAP_WINDOWS: Final = 1
"""Windows without voice that do not yet break an onset: plosives."""


class Step(StrEnum):
    """What a window brought about."""

    ONSET = "onset"
    """A voice, perhaps: what follows is worth keeping."""
    BEGAN = "began"
    """A voice, surely."""
    PAUSED = "paused"
    RESUMED = "resumed"
    DROPPED = "dropped"
    """The onset was none."""
    ENDED = "ended"


class Endpointer:
    """Fed with one probability per window; tells at most one step for each."""

    def __init__(self, threshold: float, sure_ms: int, endpoint_ms: int, max_utterance_s: float) -> None:
        self._up = threshold
        self._down = max(0.02, threshold - _HYSTERESIS)
        self._sure = _windows(sure_ms)
        self._endpoint = _windows(endpoint_ms)
        self._pause = min(_windows(_PAUSE_MS), self._endpoint)
        self._most = _windows(int(max_utterance_s * 1000))
        self._reset()

    def _reset(self) -> None:
        self._open = self._began = self._paused = False
        self._voiced = self._silent = self._length = 0

    @property
    def hearing(self) -> bool:
        """Whether an utterance is under way."""
        return self._began

    @property
    def silent_windows(self) -> int:
        """Windows since the voice was heard last."""
        return self._silent

    @property
    def windows(self) -> int:
        """Windows since the onset."""
        return self._length

    def step(self, probability: float) -> Step | None:
        """Take the next window."""
        voice = probability >= (self._down if self._open else self._up)
        if not self._open:
            if not voice:
                return None
            self._reset()
            self._open = True
            self._voiced = self._length = 1
            return self._surely() or Step.ONSET
        self._length += 1
        self._silent = 0 if voice else self._silent + 1
        if not self._began:
            self._voiced += voice
            if self._silent > _GAP_WINDOWS:
                self._reset()
                return Step.DROPPED
            return self._surely()
        if self._silent >= self._endpoint or self._length >= self._most:
            self._open = self._began = False
            return Step.ENDED
        if voice and self._paused:
            self._paused = False
            return Step.RESUMED
        if not self._paused and self._silent >= self._pause:
            self._paused = True
            return Step.PAUSED
        return None

    def _surely(self) -> Step | None:
        if self._voiced < self._sure:
            return None
        self._began = True
        return Step.BEGAN


def _windows(ms: int) -> int:
    return max(1, math.ceil(ms * 1_000_000 / WINDOW_NS))
