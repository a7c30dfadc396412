"""The key of a sentence: everything that its sound and its face come from."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Final

import vcam_talker
from vcam_talker.cache.phrases import phrase_key
from vcam_talker.core.types import Sentence
from vcam_talker.tts.voice import Voice

FACE_DRIVER: Final = "neural"
"""Name in the registry of the one that the engine uses."""
_CODE: Final = ("dsp", "face", "tts")
"""Our packages that shape sound and mouth; their parts which draw (`face/rig`) do neither."""
_CODE_FILES: Final = (
    "cache/phrase.py",
    "core/language.py",
    "core/text.py",
    "engine/maker.py",
    "face/neural/driver.py",
    "face/neural/products.py",
    "face/neural/sound.py",
    "face/neural/spectrum.py",
    "models/sound/sound.json",
)
_LIBRARIES: Final = ("pypinyin", "soxr")


class Recipe:
    """Names sentences by what makes them, as one persona's voice speaks them. Thread-safe.

    A key changes with the text, its language and emotion, the cast voices (engine, name, rate, pitch, gain,
    the strength of the emotion), the programs behind them, the face driver, and our own code. So what another
    voice, or the same one before an update, has said is never found again.
    """

    def __init__(self, voice: Voice, driver: str) -> None:
        """Blocks for some milliseconds the first time. `driver`: name of the face driver in the registry."""
        self._voice = voice
        self._driver = driver
        code_digest()

    def key(self, sentence: Sentence) -> str:
        """Return the sentence's key; empty when nobody here can speak it. Well under a millisecond."""
        cast = self._voice.cast(sentence)
        if not cast:
            return ""
        return phrase_key(
            {
                "text": sentence.text,
                "language": sentence.language,
                "emotion": sentence.emotion,
                "cast": [asdict(run) for run in cast],
                "driver": self._driver,
                "code": code_digest(),
            }
        )

    def voice_name(self, sentence: Sentence) -> str:
        """Return who speaks the sentence, for people: `flite:slt`."""
        names = (f"{run.spec.engine}:{run.spec.voice}" for run in self._voice.cast(sentence))
        return ", ".join(dict.fromkeys(names))


@functools.cache
def code_digest() -> str:
    """Return a digest of our code and libraries that make sound and mouth; a few milliseconds, once."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(vcam_talker.__version__.encode())
    for name in _LIBRARIES:
        digest.update(f"{name} {version(name)}".encode())
    root = Path(vcam_talker.__file__).parent
    files = [path for package in _CODE for path in (root / package).glob("*.py")]
    for file in sorted([*files, *(root / name for name in _CODE_FILES)]):
        digest.update(file.read_bytes())
    return digest.hexdigest()
