"""What the ears tell while somebody speaks. Times are monotonic nanoseconds at the capture device."""

from __future__ import annotations

from dataclasses import dataclass

from vcam_talker.core.types import Utterance


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """Somebody speaks, surely, and it is not the presenter's own voice; `at_ns` is the onset."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The voice has paused for good, with or without words."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class Heard:
    """Words were understood."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class NoWords:
    """The voice that has ended said nothing that could be understood, or was the presenter's own."""


EarsEvent = SpeechBegan | SpeechEnded | Heard | NoWords
