"""Which engine and voice speaks a language: the persona's choice, else the next one on this machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from vcam_talker.core.language import language_script
from vcam_talker.core.stages import Synthesizer
from vcam_talker.core.types import VoiceInfo, VoiceSpec
from vcam_talker.persona import Persona

log = logging.getLogger(__name__)

_LADDER: Final = ("flite", "espeak-ng", "tone")
_REMEDIES: Final = {"flite": "apt install flite", "espeak-ng": "apt install espeak-ng"}
_ANY: Final = "mul"


class Casting:
    """Decides once per language and remembers; says what is missing once. Not thread-safe."""

    def __init__(self, engines: Mapping[str, Synthesizer], persona: Persona, engine_choice: str) -> None:
        self._engines = engines
        self._persona = persona
        self._choice = engine_choice
        self._voices: dict[str, Sequence[VoiceInfo]] = {}
        self._specs: dict[str, tuple[VoiceSpec, ...]] = {}
        self._warnings: dict[str, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is degraded, why, and what to do, one line each."""
        return tuple(self._warnings)

    def specs(self, language: str) -> tuple[VoiceSpec, ...]:
        """Return the voices that speak `language` here, best first; one at least while `tone` is there."""
        if language not in self._specs:
            self._specs[language] = self._cast(language)
        return self._specs[language]

    def _cast(self, language: str) -> tuple[VoiceSpec, ...]:
        wanted = self._persona.voice_for(language)
        first = wanted.engine if self._choice == "auto" else self._choice
        specs: list[VoiceSpec] = []
        for name in dict.fromkeys((first, *_LADDER)):
            if name not in self._engines:
                continue
            voices = self._voices_of(name)
            spec = self._voice(name, voices, wanted, language)
            if spec is not None:
                specs.append(spec)
        if not specs:
            self._warn(f"no voice speaks '{language}'", "apt install flite espeak-ng")
        elif specs[0].engine != first:
            self._warn_replaced(first, specs[0].engine, language)
        return tuple(specs)

    def _voices_of(self, name: str) -> Sequence[VoiceInfo]:
        if name not in self._voices:
            self._voices[name] = self._engines[name].voices()
        return self._voices[name]

    def _voice(
        self, name: str, voices: Sequence[VoiceInfo], wanted: VoiceSpec, language: str
    ) -> VoiceSpec | None:
        """Return the voice of engine `name` for `language`, the persona's own where it is there."""
        base = wanted.voice.partition("+")[0]
        if wanted.engine == name:
            own = next((v for v in voices if v.name == base), None)
            if own is not None and _can_read(own, language):
                return wanted
            if voices and own is None and base != language:
                self._warn(f"{name} has no voice '{wanted.voice}'", "vcam-talker doctor lists what there is")
        fitting = _fitting(voices, language)
        if fitting is None:
            return None
        # Pitch was tuned for another voice; speed and loudness carry over.
        return replace(wanted, engine=name, voice=fitting.name, language=language, pitch_semitones=0.0)

    def _warn_replaced(self, first: str, speaker: str, language: str) -> None:
        instead = f"{speaker} speaks '{language}' instead"
        if first in self._engines and self._voices_of(first):
            # Who chooses one engine for all knows that it can't speak every language.
            if self._choice == "auto":
                self._warn(
                    f"{first} does not speak '{language}'; {instead}", "Choose another in persona.toml"
                )
        else:
            self._warn(f"{first} is not installed; {instead}", _REMEDIES.get(first, ""))

    def _warn(self, what: str, remedy: str) -> None:
        line = f"{what}. {remedy}" if remedy else what
        if line not in self._warnings:
            self._warnings[line] = None
            log.warning("%s", line)


def _can_read(voice: VoiceInfo, language: str) -> bool:
    """Tell whether a voice knows the script; an accent is the persona's choice."""
    return voice.language == _ANY or language_script(voice.language) == language_script(language)


def _fitting(voices: Sequence[VoiceInfo], language: str) -> VoiceInfo | None:
    """Return the voice whose language is `language`, else one of the same main language, else an any."""
    main = language.partition("-")[0]
    exact = (v for v in voices if v.language == language)
    related = (v for v in voices if v.language.partition("-")[0] == main)
    universal = (v for v in voices if v.language == _ANY)
    return next(chain(exact, related, universal), None)
