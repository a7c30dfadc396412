"""Sentences said by the real programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from vcam_talker.core.stages import Synthesizer
from vcam_talker.core.types import NO_TURN, Sentence, Speech, VoiceSpec
from vcam_talker.registry import find

Engines = Mapping[str, Synthesizer]
VoiceKey = tuple[str, str, str]
"""Engine, voice, language."""


@contextmanager
def engines() -> Iterator[Engines]:
    """Start flite and espeak-ng, and stop them."""
    found: dict[str, Synthesizer] = {name: find("synthesizer", name)() for name in ("flite", "espeak-ng")}
    try:
        yield found
    finally:
        for engine in found.values():
            engine.close()


def said(started: Engines, voice: VoiceKey, lines: Sequence[str]) -> list[Speech]:
    """Return all parts of all lines in a voice."""
    engine, name, language = voice
    spec = VoiceSpec(engine, name, language)
    return [
        part
        for n, text in enumerate(lines)
        for part in started[engine].synthesize(
            Sentence(NO_TURN, n, text, language=language), spec, lambda: False
        )
    ]
