"""What a bench is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DRAWN: Final = "mira"
"""Who is on air unless a bench is told otherwise."""
_EVERYTHING: Final = """
[ears]
mode = "call"
speaker_name = "vcam_talker_bench_speaker"
engine = "pocketsphinx"
[chat.webhook]
enabled = true
"""


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure."""

    seconds: float | None = None
    """How long, where it matters; None: the bench's own default."""
    camera: str = "null"
    """Camera of the daemon under test."""
    persona: str | None = None
    """Who is on air; None: `DRAWN`, and of `bench face` every persona made of pictures."""
    everything: bool = False
    """The daemon also listens to a call and reads a chat, in both of which nothing is said."""

    gpu: bool = False
    """Measure on the GPU; of `bench lipsync`."""

    @property
    def presenter(self) -> str:
        """Who is on air, a persona's name or path."""
        return self.persona or DRAWN

    @property
    def config(self) -> str:
        """Tables for the daemon under test, TOML."""
        return _EVERYTHING if self.everything else ""
