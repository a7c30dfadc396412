"""Recorded people to judge by: what Debian ships, with the times of their sounds where the words are known.

Nothing of it is trained on. Packages (all in Debian main): `asterisk-core-sounds-en` and
`asterisk-core-sounds-{en,es,fr,it,ru}-g722` (telephone prompts by four actors, CC BY-SA and CC BY),
`pocketsphinx-testdata` (an audio book of LibriVox, public domain), `alsa-utils` ("front center").
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

from studio.pack import StudioError
from studio.truth.voices import AUDIO_RATE
from vcam_talker.core.types import NO_TURN, Phone, Samples, Sentence, Speech

_SOUNDS: Final = Path("usr/share/asterisk/sounds")
_TEXTS: Final = Path("usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
_BOOK: Final = Path("usr/share/pocketsphinx/test/data/librivox")
_SPEAKERS: Final = {
    "en": "en_US_f_Allison",
    "es": "es_MX_f_Allison",
    "fr": "fr_CA_f_June",
    "it": "it_IT_m_Carlo",
    "ru": "ru_RU_f_IvrvoiceRU",
}
PACKAGES: Final = 7
"""How many `lacking` looks for."""
_LEAST_S: Final = 1.2
_FRAME_S: Final = 0.01
_DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, slots=True)
class Recording:
    """Somebody's words."""

    name: str
    speaker: str
    language: str
    samples: Samples
    """float32[N] at AUDIO_RATE."""
    words: tuple[str, ...] = ()
    """As pronounced, lower case; empty when unknown."""

    def speech(self, phones: tuple[Phone, ...] = ()) -> Speech:
        """Return it as a voice would give it."""
        sentence = Sentence(NO_TURN, 0, " ".join(self.words), language=self.language)
        return Speech(sentence, AUDIO_RATE, self.samples, phones, (), "arpabet" if phones else "none")


def recordings(root: Path, each: int = 60) -> list[Recording]:
    """Return what lies below `root` (`/`, or where the packages were unpacked), `each` of a speaker at most.

    Raises StudioError when nothing does.
    """
    found = list(_book(root))
    texts = _prompts(root / _TEXTS)
    for language, speaker in _SPEAKERS.items():
        paths = sorted((root / _SOUNDS / speaker).rglob("*.g722"))
        mine: list[Recording] = []
        # Evenly over the alphabet, for neighbours say nearly the same.
        for path in paths[:: max(1, len(paths) // (4 * each))]:
            name = str(path.relative_to(root / _SOUNDS / speaker))[: -len(".g722")]
            words = _words(texts.get(name, "")) if language == "en" else ()
            if language == "en" and len(words) < 3:
                continue
            samples = read_sound(path)
            if samples.size >= _LEAST_S * AUDIO_RATE:
                mine.append(Recording(name, speaker, language, samples, words))
            if len(mine) == each:
                break
        found += mine
    if not found:
        raise StudioError(
            str(root), "holds no recordings", "Install asterisk-core-sounds-en-g722 and pocketsphinx-testdata"
        )
    return found


def lacking(root: Path) -> list[str]:
    """Return what is not below `root`: of each, the language and the Debian package that has it."""
    found = [
        f"{language} (asterisk-core-sounds-{language}-g722)"
        for language, speaker in _SPEAKERS.items()
        if not any((root / _SOUNDS / speaker).rglob("*.g722"))
    ]
    if not (root / _TEXTS).is_file():
        found.append("what the prompts in en say (asterisk-core-sounds-en)")
    if not (root / _BOOK / "transcription").is_file():
        found.append("an audio book in en (pocketsphinx-testdata)")
    return found


def read_sound(path: Path) -> Samples:
    """Return a file's sound, float32[N] at AUDIO_RATE. Raises StudioError."""
    parts = []
    try:
        with av.open(str(path), format="g722" if path.suffix == ".g722" else None) as file:
            resampler = av.AudioResampler("s16", "mono", AUDIO_RATE)
            for frame in file.decode(audio=0):
                parts += [f.to_ndarray()[0] for f in resampler.resample(frame)]
            parts += [f.to_ndarray()[0] for f in resampler.resample(None)]
    except (av.FFmpegError, OSError) as e:
        raise StudioError(str(path), f"can't be read ({e})") from e
    samples: Samples = np.concatenate(parts).astype(np.float32) / np.float32(32768)
    return samples


class Aligner:
    """Finds when a known text's sounds were spoken: pocketsphinx with its own American English model."""

    def __init__(self) -> None:
        """Load the model, ~1 s. Raises StudioError where there is no pocketsphinx."""
        try:
            from pocketsphinx import Decoder
        except ImportError:
            raise StudioError("pocketsphinx", "isn't installed", "make studio EXTRAS=prune,asr") from None

        self._decoder: Any = Decoder(lm=None, loglevel="FATAL")

    def knows(self, words: tuple[str, ...]) -> bool:
        """Return whether all words are in the dictionary."""
        return bool(words) and all(self._decoder.lookup_word(word) for word in words)

    def align(self, recording: Recording) -> tuple[Phone, ...]:
        """Return its sounds in order, in ARPABET; empty when the words can't be found in it."""
        raw = np.round(np.clip(recording.samples, -1, 1) * 32767).astype("<i2").tobytes()
        self._decoder.set_align_text(" ".join(recording.words))
        self._pass(raw)
        if self._decoder.hyp() is None:
            return ()
        try:
            self._decoder.set_alignment()
            self._pass(raw)
        except RuntimeError:
            return ()
        return tuple(self._phones())

    def _pass(self, raw: bytes) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(raw, full_utt=True)
        self._decoder.end_utt()

    def _phones(self) -> Iterator[Phone]:
        for word in self._decoder.get_alignment() or ():
            for phone in word:
                symbol = str(phone.name).lower()
                symbol = "pau" if symbol in ("sil", "+spn+", "+nsn+") else symbol
                yield Phone(symbol, phone.start * _FRAME_S, (phone.start + phone.duration) * _FRAME_S)


def _book(root: Path) -> Iterator[Recording]:
    path = root / _BOOK / "transcription"
    if not path.is_file():
        return
    for line in path.read_text("utf-8").splitlines():
        found = re.fullmatch(r"(.*)\((.+)\)\s*", line.strip())
        if found:
            sound = root / _BOOK / f"{found[2]}.wav"
            words = tuple(w for w in found[1].lower().split() if not w.startswith("<"))
            yield Recording(found[2], "LibriVox", "en", read_sound(sound), words)


def _prompts(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    found = {}
    for line in gzip.decompress(path.read_bytes()).decode("utf-8", "replace").splitlines():
        name, colon, text = line.partition(":")
        if colon and not line.startswith(";") and "[" not in text:
            found[name.strip()] = text.strip()
    return found


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a prompt; none for what isn't spelt as it is spoken (numbers above nine)."""
    text = text.lower().replace("’", "'")
    if re.search(r"\d\d|\b[a-z]{1}\.[a-z]", text):
        return ()
    text = re.sub(r"\d", lambda m: f" {_DIGITS[int(m[0])]} ", text)
    return tuple(w.strip("'") for w in re.findall(r"[a-z']+", text) if w.strip("'"))
