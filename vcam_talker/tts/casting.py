"""Which engine and voice speaks a language: the persona's choice, else the next one on this machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from vcam_talker.core.errors import EngineError
from vcam_talker.core.language import canonical_language, language_script
from vcam_talker.core.stages import Synthesizer
from vcam_talker.core.types import VoiceInfo, VoiceSpec
from vcam_talker.persona import Persona

log = logging.getLogger(__name__)

_LADDER: Final = ("flite", "espeak-ng")
"""`tone` is no rung of it: beeps in place of a voice are worse than an error. It has to be asked for."""
_ENGLISH_ONLY: Final = frozenset(("flite",))
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
        """Return the voices that speak `language` here, best first; none when no engine does."""
        language = canonical_language(language)
        if language not in self._specs:
            self._specs[language] = self._cast(language)
        return self._specs[language]

    def refusal(self, language: str) -> EngineError:
        """Return why nothing here speaks `language`, and what to do about it."""
        absent = [name for name in _LADDER if name not in self._engines or not self._voices_of(name)]
        reasons = [
            f"{name} is not installed" if name in absent else f"{name} has no voice for it"
            for name in _LADDER
        ]
        # flite would be no help for another language than English.
        useful = [n for n in absent if n not in _ENGLISH_ONLY or language.partition("-")[0] == "en"]
        remedy = f"apt install {' '.join(useful)}" if useful else "Choose another language in persona.toml"
        return EngineError("voice", f"nothing here speaks '{language}' ({', '.join(reasons)})", remedy)

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
            refusal = self.refusal(language)
            self._warn(refusal.why, refusal.remedy)
        elif specs[0].engine != first:
            self._warn_replaced(first, specs[0], language)
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
                if own.offers(wanted.voice):
                    return wanted
                self._warn(f"{name} has no voice '{wanted.voice}'; '{base}' speaks instead", _variants(own))
                return replace(wanted, voice=base)
        fitting = _fitting(voices, language)
        if fitting is None:
            return None
        if wanted.engine == name and base not in {language, *(v.name for v in voices)}:
            self._warn(f"{name} has no voice '{wanted.voice}'", "vcam-talker doctor lists what there is")
        # Pitch was tuned for another voice; speed and loudness carry over.
        return replace(wanted, engine=name, voice=fitting.name, language=language, pitch_semitones=0.0)

    def _warn_replaced(self, first: str, speaker: VoiceSpec, language: str) -> None:
        instead = f"{speaker.engine} speaks '{language}' instead"
        if first in self._engines and self._voices_of(first):
            # Who chooses one engine for all knows that it can't speak every language.
            if self._choice == "auto":
                self._warn(
                    f"{first} does not speak '{language}'; {instead}",
                    f'Set engine = "{speaker.engine}", name = "{speaker.voice}" in persona.toml',
                )
        else:
            self._warn(f"{first} is not installed; {instead}", _REMEDIES.get(first, ""))

    def _warn(self, what: str, remedy: str) -> None:
        line = f"{what}. {remedy}" if remedy else what
        if line not in self._warnings:
            self._warnings[line] = None
            log.warning("%s", line)


def _variants(voice: VoiceInfo) -> str:
    return "espeak-ng --voices=variant lists what may follow the +" if voice.variants else "Leave out the +"


def _can_read(voice: VoiceInfo, language: str) -> bool:
    """Tell whether a voice knows the script, and is of an engine where an accent may be chosen."""
    if voice.engine in _ENGLISH_ONLY:
        return language.partition("-")[0] == "en"
    return voice.language == _ANY or language_script(voice.language) == language_script(language)


def _fitting(voices: Sequence[VoiceInfo], language: str) -> VoiceInfo | None:
    """Return the voice whose language is `language`, else one of the same main language, else an any."""
    main = language.partition("-")[0]
    exact = (v for v in voices if v.language == language)
    related = (v for v in voices if v.language.partition("-")[0] == main)
    universal = (v for v in voices if v.language == _ANY)
    return next(chain(exact, related, universal), None)
