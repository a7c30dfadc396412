"""Who speaks: flite's and espeak-ng's voices, shared out so that no split hears another one's.

A voice is a voice in every language: espeak-ng's variants give the same throat to all of them, so it is the
variant that belongs to a split. flite's `kal` and `kal16` are one man.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from studio.truth.draw import Split, one_of
from vcam_talker.core.errors import EngineError
from vcam_talker.core.stages import Synthesizer
from vcam_talker.core.types import NO_TURN, Phone, Sentence, Speech, VoiceSpec
from vcam_talker.dsp.loudness import apply_gain, levelling_gain_db
from vcam_talker.dsp.resample import resample
from vcam_talker.tts.espeak_ng import EspeakNgSynthesizer
from vcam_talker.tts.flite import FliteSynthesizer

AUDIO_RATE: Final = 16_000
"""Hz. What lip-sync networks listen at."""

_FLITE: Final[dict[Split, tuple[str, ...]]] = {
    "train": ("slt", "rms"),
    "val": ("kal16", "kal"),
    "test": ("awb",),
}
_MANY: Final = (
    "f1", "f2", "f4", "m1", "m2", "m3", "m5", "m6", "m8", "klatt", "klatt2", "klatt3", "klatt4", "Alex",
    "Alicia", "Andrea", "Annie", "Denis", "Diogo", "Gene", "Hugo", "Jacky", "Lee", "Marco", "Michael",
    "adam", "anika", "belinda", "boris", "croak", "david", "ed", "grandma", "john", "linda", "max",
    "norbert", "pablo", "quincy", "robert", "sandro", "shelby", "travis", "whisper",
)  # fmt: skip
_ESPEAK: Final[dict[Split, tuple[str, ...]]] = {
    "train": _MANY,
    "val": ("m4", "Andy", "antonio", "benjamin", "steph"),
    "test": ("f3", "m7", "edward", "kaukovalta", "paul", "victor", "zac"),
}
"""Many variants are another one with a line changed. Who is held out has at most half of its lines, and of
its formants, of any one that trains. `Henrique` is `Hugo` but for an equaliser, `Mike` a part of `m3`: such
ones belong to no split."""
_UNSEEN: Final[dict[Split, tuple[str, ...]]] = {"train": (), "val": ("cs",), "test": ("sv", "tr")}
"""Languages that only one of the held-out splits speaks."""
TRAINED: Final = ("cmn", "de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt", "ru")
_UNSEEN_SHARE: Final = 0.4
_ENGLISH_SHARE: Final = 0.2
_FLITE_SHARE: Final = 0.45
"""Of English."""

_ESPEAK_BASE: Final = {
    "en": ("en-us", "en", "en-gb-scotland"),
    "fr": ("fr", "fr-be", "fr-ch"),
    "pt": ("pt", "pt-br"),
    "es": ("es", "es-419"),
}
_RATES: Final = (0.82, 1.28)
_SEMITONES: Final = 3.0
_LEVEL_DB: Final = (-28.0, -18.0)
_TRIES: Final = 2


@dataclass(frozen=True, slots=True)
class Voice:
    """A throat, and how it speaks in one clip."""

    engine: str
    name: str
    """flite's voice, or espeak-ng's variant."""
    language: str
    """BCP 47."""
    accent: str
    """espeak-ng's name of the language (`pt-br`); flite: the language."""
    rate: float
    semitones: float
    level_db: float
    """Gated RMS, dB full scale."""

    @property
    def key(self) -> str:
        """`espeak-ng/f3`: what a split owns."""
        return f"{self.engine}/{self.name}"

    def spec(self) -> VoiceSpec:
        """Return it as the synthesizers want it."""
        voice = self.name if self.engine == "flite" else f"{self.accent}+{self.name}"
        return VoiceSpec(self.engine, voice, self.language, self.rate, self.semitones)


def voice_keys(split: Split) -> tuple[str, ...]:
    """Return the voices that a split owns."""
    return tuple(f"flite/{name}" for name in _FLITE[split]) + tuple(
        f"espeak-ng/{name}" for name in _ESPEAK[split]
    )


def spoken_languages(split: Split) -> tuple[str, ...]:
    """Return the languages of a split; the held-out ones speak some that no other does."""
    return TRAINED + _UNSEEN[split]


def draw_voice(split: Split, rng: np.random.Generator) -> Voice:
    """Return a voice for one clip."""
    kind = float(rng.random())
    unseen = _UNSEEN[split]
    if unseen and kind < _UNSEEN_SHARE:
        language = one_of(rng, unseen)
    elif rng.random() < _ENGLISH_SHARE:
        language = "en"
    else:
        language = one_of(rng, TRAINED)
    flite = language == "en" and rng.random() < _FLITE_SHARE
    return Voice(
        engine="flite" if flite else "espeak-ng",
        name=one_of(rng, _FLITE[split] if flite else _ESPEAK[split]),
        language=language,
        accent=language if flite else one_of(rng, _ESPEAK_BASE.get(language, (language,))),
        rate=round(float(np.exp(rng.uniform(*np.log(_RATES)))), 3),
        semitones=round(float(rng.uniform(-_SEMITONES, _SEMITONES)), 2),
        level_db=round(float(rng.uniform(*_LEVEL_DB)), 1),
    )


class Speaker:
    """Speaks with both engines. One per process; not thread-safe; `close` stops its programs."""

    def __init__(self, engines: Sequence[Synthesizer] | None = None) -> None:
        """Take the daemon's synthesizers, or others of the same names. Starts nothing yet."""
        self._engines = {e.name: e for e in (engines or (FliteSynthesizer(), EspeakNgSynthesizer()))}

    def say(self, voice: Voice, texts: Sequence[str]) -> Iterator[Speech]:
        """Yield each text as one Speech at AUDIO_RATE, levelled. Blocks; raises EngineError.

        espeak-ng's flutter and breath go on from what it said before, so every call begins with a fresh
        program: the same voice and texts give the same samples, whatever was spoken earlier.
        """
        engine = self._engines[voice.engine]
        engine.close()
        spec = voice.spec()
        for index, text in enumerate(texts):
            yield self._said(engine, voice, spec, Sentence(NO_TURN, index, text, language=voice.language))

    def close(self) -> None:
        """Stop the programs. Idempotent."""
        for engine in self._engines.values():
            engine.close()

    @staticmethod
    def _said(engine: Synthesizer, voice: Voice, spec: VoiceSpec, sentence: Sentence) -> Speech:
        for left in reversed(range(_TRIES)):
            try:
                parts = list(engine.synthesize(sentence, spec, lambda: False))
                break
            except EngineError:
                # A busy machine can make a program late once; twice is a fault.
                if not left:
                    raise
        whole = joined(parts)
        gain_db = levelling_gain_db(whole.samples, AUDIO_RATE, voice.level_db)
        return replace(whole, samples=apply_gain(whole.samples, AUDIO_RATE, gain_db or 0.0))


def joined(parts: Sequence[Speech]) -> Speech:
    """Return the parts of one sentence as one Speech at AUDIO_RATE."""
    samples: list[np.ndarray[tuple[int], np.dtype[np.float32]]] = []
    phones: list[Phone] = []
    at_s = 0.0
    for part in parts:
        samples.append(part.samples)
        phones += [Phone(p.symbol, p.start_s + at_s, p.end_s + at_s) for p in part.phones]
        at_s += part.samples.size / part.rate
    whole = resample(np.concatenate(samples), parts[0].rate, AUDIO_RATE)
    return replace(parts[0], rate=AUDIO_RATE, samples=whole, phones=tuple(phones), words=(), last=True)
