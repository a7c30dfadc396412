"""English by CMU Flite, the `flite` program of Debian (BSD-like licence), one run per sentence.

`flite -psdur -t TEXT -o /dev/stdout` prints the phones' end times and the WAV file into one pipe: nothing is
written to disk, no shell is involved, and `-t` takes its argument as text whatever it looks like. Where the
voice has a program of its own (`flite_cmu_us_slt`, in the same package, with the same options and output),
that one is run: it links one voice instead of six and starts 5 ms sooner.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from vcam_talker.core.errors import BadInputError, EngineError
from vcam_talker.core.stages import Cancelled
from vcam_talker.core.types import Phone, Samples, Sentence, Speech, VoiceInfo, VoiceSpec, Word
from vcam_talker.dsp.resample import resample
from vcam_talker.dsp.wav import parse_wav
from vcam_talker.tts.align import align_words
from vcam_talker.tts.edges import CLAUSE_PAUSE_S, pause_after, trim
from vcam_talker.tts.english import to_ascii
from vcam_talker.tts.plain import SILENCE_S, to_plain
from vcam_talker.tts.program import Program, stamp
from vcam_talker.tts.sentences import split_overlong

TIMEOUT_S: Final = 10.0

_VOICES: Final = {
    "slt": "female, American",
    "rms": "male, American",
    "awb": "male, Scottish",
    "kal16": "male, American, diphones",
    "kal": "male, American, diphones at 8 kHz",
}
_MEAN_F0_HZ: Final = {"slt": 172, "awb": 132, "kal": 95, "kal16": 95}
"""The `int_f0_target_mean` at which a voice's output is bit for bit its default (found by trying them all).

rms ignores that feature; it is made faster or slower and resampled back instead.
"""


class FliteSynthesizer:
    """Flite's voices, by name. English only, and refuses every other language. Thread-safe."""

    name = "flite"

    def __init__(self, program: str = "flite", timeout_s: float = TIMEOUT_S) -> None:
        self._program_name = program
        self._program = Program(program, timeout_s=timeout_s)
        self._voices: tuple[VoiceInfo, ...] | None = None

    def voices(self) -> Sequence[VoiceInfo]:
        """Return the English voices; empty when the program is missing. Runs it once, ~10 ms."""
        if sys.platform == "win32" or self._program.find() is None:
            return ()  # /dev/stdout is needed
        if self._voices is None:
            try:
                listed = self._program.run(["-lv"], lambda: False) or b""
            except EngineError:
                return ()
            names = listed.decode("ascii", "replace").partition(":")[2].split()
            self._voices = tuple(VoiceInfo(self.name, n, "en", _VOICES[n]) for n in _VOICES if n in names)
        return self._voices

    def version(self) -> str:
        """Return where the programs lie, with their sizes and times; a package's libraries come with them."""
        names = (self._program_name, *(f"{self._program_name}_cmu_us_{voice}" for voice in _VOICES))
        return " ".join(stamp(path) for name in names if (path := self._program.find(name)))

    def synthesize(self, sentence: Sentence, spec: VoiceSpec, cancelled: Cancelled) -> Iterator[Speech]:
        """Yield one part per run: one for a sentence, several for one longer than ~14 s.

        Rate 16 kHz (kal: 8), ARPABET phones, words placed by alignment. Raises EngineError, also for
        a `spec.language` other than English: its letters would be read by English rules.
        """
        if spec.language.partition("-")[0] != "en":
            raise EngineError(
                self.name, f"reads English only, not '{spec.language}'", 'Choose engine = "espeak-ng"'
            )
        # An unknown voice would silently become flite's default one.
        voice = spec.voice if spec.voice in _VOICES else "slt"
        pieces = [p for p in split_overlong(to_plain(sentence.text)) if any(c.isalnum() for c in to_ascii(p))]
        for index, piece in enumerate(pieces):
            speech = self._speak(piece, voice, spec, cancelled)
            if speech is None or cancelled():
                return
            samples, rate, phones, words = speech
            last = index == len(pieces) - 1
            pause_s = pause_after(piece) if last else CLAUSE_PAUSE_S
            samples, phones, words = trim(samples, rate, phones, words, pause_s=pause_s)
            yield Speech(sentence, rate, samples, phones, words, "arpabet", last)
        if not pieces:
            silence = np.zeros(round(SILENCE_S * 16_000), np.float32)
            yield Speech(sentence, 16_000, silence, (Phone("pau", 0.0, SILENCE_S),), (), "arpabet")

    def close(self) -> None:
        """Stop the runs under way. Idempotent."""
        self._program.stop()

    def _speak(
        self, text: str, voice: str, spec: VoiceSpec, cancelled: Cancelled
    ) -> tuple[Samples, int, tuple[Phone, ...], tuple[Word, ...]] | None:
        factor = 2.0 ** (spec.pitch_semitones / 12)
        stretch = 1.0 / spec.rate
        pitch: list[str] = []
        resampled = 1.0
        if factor != 1.0 and voice in _MEAN_F0_HZ:
            pitch = ["--setf", f"int_f0_target_mean={_MEAN_F0_HZ[voice] * factor:.2f}"]
        elif factor != 1.0:
            stretch, resampled = stretch * factor, factor
        own = self._program.find(f"{self._program_name}_cmu_us_{voice}")
        options = pitch if own else ["-voice", voice, *pitch]
        if stretch != 1.0:
            options += ["--setf", f"duration_stretch={stretch:.4f}"]
        arguments = [*options, "-psdur", "-t", to_ascii(text), "-o", "/dev/stdout"]
        output = self._program.run(arguments, cancelled, path=own)
        if output is None or cancelled():
            return None
        samples, rate, phones = parse_output(output)
        if resampled != 1.0:
            samples = resample(samples, rate * resampled, rate)
            phones = tuple(Phone(p.symbol, p.start_s / resampled, p.end_s / resampled) for p in phones)
        return samples, rate, phones, align_words(text, phones)


def parse_output(output: bytes) -> tuple[Samples, int, tuple[Phone, ...]]:
    """Return samples, rate and phones of one run; text and WAV stand in one pipe, in either order.

    Raises EngineError when one of them is missing.
    """
    at = output.find(b"RIFF")
    if at < 0 or len(output) < at + 12:
        raise EngineError("flite", "printed no sound", "Install flite 2.1 or later")
    (size,) = struct.unpack_from("<I", output, at + 4)
    # Flite's size field leaves out what it wrote before; the data chunk's own length is right.
    data = output.find(b"data", at)
    if data >= 0 and len(output) >= data + 8:
        size = max(size, data - at + struct.unpack_from("<I", output, data + 4)[0])
    end = at + 8 + size
    try:
        samples, rate = parse_wav(output[at:end])
    except BadInputError as e:
        raise EngineError("flite", f"printed sound that {e.why}", "Install flite 2.1 or later") from None
    return samples, rate, parse_phones(output[:at] + output[end:])


def parse_phones(line: bytes) -> tuple[Phone, ...]:
    """Return the phones of a `-psdur` line (`pau:0.164 hh:0.255`, their ends). Raises EngineError."""
    phones: list[Phone] = []
    at_s = 0.0
    for item in line.decode("ascii", "replace").split():
        symbol, _, end = item.partition(":")
        try:
            end_s = float(end)
        except ValueError:
            raise EngineError("flite", f"printed a phone without a time ({item[:20]!r})") from None
        if end_s > at_s:
            phones.append(Phone(symbol, at_s, end_s))
            at_s = end_s
    return tuple(phones)
