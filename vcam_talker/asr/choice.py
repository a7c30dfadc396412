"""Which recogniser to hear with, and what is missing for a better one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vcam_talker.config import EarsConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.core.stages import Transcriber

Make = Callable[[str], Transcriber]


@dataclass(frozen=True, slots=True)
class Choice:
    """A transcriber, ready, and what is degraded, in words."""

    transcriber: Transcriber
    detail: str = ""


def choose_transcriber(config: EarsConfig, make: Make) -> Choice:
    """Return the configured recogniser; with `auto`, faster-whisper, else pocketsphinx. Blocks for seconds.

    `make` builds one by its name and raises EngineError. Raises EngineError when there is none.
    """
    if config.engine != "auto":
        return Choice(make(config.engine))
    try:
        return Choice(make("faster-whisper"))
    except EngineError as missing:
        try:
            transcriber = make("pocketsphinx")
        except EngineError as e:
            raise EngineError("ears", f"{missing}; {e}") from None
        return Choice(transcriber, f"hearing with pocketsphinx, which misunderstands much: {missing}")
