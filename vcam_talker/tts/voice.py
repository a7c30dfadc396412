"""The persona's voice: the right engine for each language, one loudness, 48 kHz, ready for the timeline."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from vcam_talker.core.errors import EngineError
from vcam_talker.core.language import canonical_language, language_script, script_of, split_languages
from vcam_talker.core.stages import Cancelled, Synthesizer
from vcam_talker.core.types import NO_TURN, SAMPLE_RATE, Emotion, Sentence, Speech, VoiceSpec
from vcam_talker.dsp.loudness import apply_gain, levelling_gain_db
from vcam_talker.persona import Persona
from vcam_talker.tts.casting import Casting
from vcam_talker.tts.joiner import Joiner

log = logging.getLogger(__name__)

_SHORT_INSERT_WORDS: Final = 4
"""Fewer Latin words than this inside another script are left to that language's voice."""
_GAIN_MEMORY: Final = 0.5
"""Share of the last sentence's gain in the next one's: short sentences measure a few dB off."""

_COLOURS: Final = {
    Emotion.HAPPY: (1.04, 0.8, 0.5),
    Emotion.SAD: (0.92, -0.8, -1.0),
    Emotion.ANGRY: (1.05, -0.4, 1.0),
    Emotion.SURPRISED: (1.03, 1.2, 0.5),
    Emotion.THOUGHTFUL: (0.94, -0.4, -0.5),
    Emotion.PLAYFUL: (1.02, 0.6, 0.0),
}
"""Rate factor, semitones, dB at strength 1: enough to be felt, too little to be another person."""


@dataclass(frozen=True, slots=True)
class Cast:
    """A run of a sentence and who is to speak it."""

    text: str
    language: str
    spec: VoiceSpec
    """As the engine gets it, coloured by the emotion."""
    version: str
    """Of the engine's programs."""


class Voice:
    """One persona's voice over engines that somebody else owns and closes. Used from one thread at a time."""

    def __init__(
        self, engines: Mapping[str, Synthesizer], persona: Persona, engine_choice: str = "auto"
    ) -> None:
        """Cast the persona's languages. May start programs to ask for their voices, ~0.2 s once."""
        self._engines = engines
        self._persona = persona
        self._casting = Casting(engines, persona, engine_choice)
        self._languages = tuple(dict.fromkeys((persona.language, *persona.voices)))
        for language in self._languages:
            self._casting.specs(language)
        self._gains_db: dict[tuple[str, str], float] = {}
        self.substituted = False
        """Whether the sentence spoken last was not, or not wholly, spoken by those who were cast for it."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is missing, why, and the remedy, one line each; grows when a new language comes up."""
        return self._casting.warnings

    def warm_up(self) -> None:
        """Say a word in each of the persona's languages to nobody, so that the first answer is fast.

        Blocks for up to a second: programs start, dictionaries load. Never raises; an engine that can't
        speak shows when it has to.
        """
        for language in self._languages:
            text = "好。" if language_script(language) == "Hani" else "Hello."
            for spec in self._casting.specs(language)[:1]:
                sentence = Sentence(NO_TURN, 0, text, language=language)
                try:
                    for _ in self._engines[spec.engine].synthesize(sentence, spec, lambda: False):
                        pass
                except EngineError as e:
                    log.warning("warming up %s: %s", spec.engine, e)

    def cast(self, sentence: Sentence) -> tuple[Cast, ...]:
        """Return who is to speak the sentence, run by run; empty when nobody here can.

        Everything but our own code that shapes its sound. May be called beside `speak`; the first call in a
        language may start programs, later ones take well under a millisecond.
        """
        found: list[Cast] = []
        for run in self._runs(sentence):
            specs = self._casting.specs(run.language)
            if not specs:
                return ()
            spec = self._coloured(specs[0], run.emotion)
            found.append(Cast(run.text, run.language, spec, self._engines[spec.engine].version()))
        return tuple(found)

    def speak(self, sentence: Sentence, cancelled: Cancelled) -> Iterator[Speech]:
        """Yield the sentence as parts of 48 kHz mono float32 in [-1, 1], at one loudness, first part early.

        Every part is a multiple of 10 ms long. A part's `sentence` holds the text and language of its run:
        a sentence in two languages comes as several runs. Blocks; stops within 50 ms of `cancelled()`.
        Raises EngineError when no engine can speak it.
        """
        runs = self._runs(sentence)
        self.substituted = False
        for index, run in enumerate(runs):
            for part in self._speak_run(run, cancelled):
                yield replace(part, last=part.last and index == len(runs) - 1)
            if cancelled():
                return

    def _runs(self, sentence: Sentence) -> list[Sentence]:
        language = canonical_language(sentence.language) or self._persona.language
        runs = _merge_inserts(split_languages(sentence.text, language), language)
        home = self._persona.language
        return [
            replace(
                sentence,
                text=text,
                language=home if tag == "en" and language_script(home) == "Latn" else tag,
            )
            for tag, text in runs
        ] or [replace(sentence, language=language)]

    def _speak_run(self, run: Sentence, cancelled: Cancelled) -> Iterator[Speech]:
        """Speak with the best engine; one that fails before its first sound is replaced by the next."""
        specs = self._casting.specs(run.language)
        failure = None if specs else self._casting.refusal(run.language)
        for spec in specs:
            started = False
            try:
                for part in self._parts(run, self._coloured(spec, run.emotion), cancelled):
                    started = True
                    yield part
            except EngineError as e:
                if started or cancelled():
                    raise
                log.warning("%s", e)
                failure = e
                self.substituted = True
            else:
                return
        if failure is not None:
            raise failure

    def _parts(self, run: Sentence, spec: VoiceSpec, cancelled: Cancelled) -> Iterator[Speech]:
        joiner: Joiner | None = None
        gain_db: float | None = None
        for part in self._engines[spec.engine].synthesize(run, spec, cancelled):
            if cancelled():
                return
            joiner = joiner or Joiner(part.rate)
            if gain_db is None:
                gain_db = self._gain(part, spec)
            joined = joiner.feed(part)
            if joined is not None:
                samples = apply_gain(joined.samples, SAMPLE_RATE, (gain_db or 0.0) + spec.gain_db)
                yield replace(joined, samples=samples)

    def _gain(self, part: Speech, spec: VoiceSpec) -> float | None:
        measured_db = levelling_gain_db(part.samples, part.rate)
        if measured_db is None:
            return None
        key = (spec.engine, spec.voice)
        before_db = self._gains_db.get(key, measured_db)
        self._gains_db[key] = before_db * _GAIN_MEMORY + measured_db * (1 - _GAIN_MEMORY)
        return self._gains_db[key]

    def _coloured(self, spec: VoiceSpec, emotion: Emotion) -> VoiceSpec:
        if emotion not in _COLOURS:
            return spec
        rate, semitones, gain_db = _COLOURS[emotion]
        strength = self._persona.emotions.strength
        return replace(
            spec,
            rate=max(0.5, min(2.0, spec.rate * rate**strength)),
            pitch_semitones=max(-12.0, min(12.0, spec.pitch_semitones + semitones * strength)),
            gain_db=spec.gain_db + gain_db * strength,
        )


def _merge_inserts(runs: list[tuple[str, str]], language: str) -> list[tuple[str, str]]:
    """Give short Latin runs in a sentence of another script to their neighbours: one speaker, one breath."""
    if language_script(language) == "Latn":
        return runs
    merged: list[tuple[str, str]] = []
    for tag, text in runs:
        words = sum(any(script_of(c) == "Latn" for c in word) for word in text.split())
        insert = language_script(tag) == "Latn" and words < _SHORT_INSERT_WORDS
        if merged and (insert or merged[-1][0] == tag):
            merged[-1] = (merged[-1][0], merged[-1][1] + text)
        else:
            merged.append((language if insert else tag, text))
    return merged
