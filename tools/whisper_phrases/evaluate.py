"""How well the model hears: `python -m tools.whisper_phrases.evaluate --model tests/data/whisper-phrases`.

Through the daemon's own transcriber: int8, padding, beam search and the rules of belief are all in it. Of
phrases, the share understood word for word; of other speech and of noise, the share met with silence.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from tools.whisper_phrases.augment import HELD_OUT_NOISES, in_room, levelled, mixed, noise, placed
from tools.whisper_phrases.phrases import DISTRACTORS, HELD_OUT_DISTRACTORS, PHRASES
from tools.whisper_phrases.voices import HELD_OUT, NEW_RATES, RATE, Voice, speak
from vcam_talker.asr.faster_whisper import FasterWhisperTranscriber
from vcam_talker.config import EarsConfig
from vcam_talker.core.types import Samples

_WINDOWS_S: Final = (30, 8, 2)
_FLITE_RMS: Final = HELD_OUT[1]

Case = tuple[str, str, Samples]
"""Name of its set, what should be understood, float32[N] at 16 kHz."""


def main() -> None:
    """Print one line for each set and window."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--windows", type=int, nargs="+", default=list(_WINDOWS_S), help="seconds")
    arguments = parser.parse_args()
    cases = list(all_cases())
    print(f"{'set':48} clips  " + "  ".join(f"{w:3} s window" for w in arguments.windows))
    right = {w: understood(arguments.model, cases, w) for w in arguments.windows}
    for name in dict.fromkeys(case[0] for case in cases):
        rows = [i for i, case in enumerate(cases) if case[0] == name]
        shares = "  ".join(f"{np.mean([right[w][i] for i in rows]):12.1%}" for w in arguments.windows)
        print(f"{name:48} {len(rows):5}  {shares}")


def understood(model: Path, cases: list[Case], window_s: int) -> list[bool]:
    """Return for each case whether the transcriber's text is what it should be."""
    ears = FasterWhisperTranscriber(EarsConfig(model=f"{model.resolve()}", window_s=window_s), "en")
    right = []
    try:
        for _, wanted, sound in cases:
            ears.begin()
            ears.feed(sound)
            right.append(ears.finish().text == wanted)
    finally:
        ears.close()
    return right


def all_cases() -> Iterator[Case]:
    """Yield every case, the same every time."""
    rng = np.random.default_rng(7)
    voices = {voice: [speak(voice, text) for text in PHRASES] for voice in (*NEW_RATES, *HELD_OUT)}
    for voice, sounds in voices.items():
        known = "known voices, new rates" if voice in NEW_RATES else _group(voice)
        for text, sound in zip(PHRASES, sounds, strict=True):
            yield known, text, heard(sound, rng)
    for voice in HELD_OUT:
        for text, sound in zip(PHRASES, voices[voice], strict=True):
            kind = HELD_OUT_NOISES[int(rng.integers(len(HELD_OUT_NOISES)))]
            placed_sound = placed(in_room(sound, 0.3, 0.3, rng), 0.3, 0.4)
            noisy = mixed(placed_sound, noise(kind, placed_sound.size, rng), 12.0)
            yield "unknown voices, unknown noise at 12 dB, in a room", text, levelled(noisy, -6)
    for voice in (_FLITE_RMS, HELD_OUT[3], NEW_RATES[0]):
        for text in HELD_OUT_DISTRACTORS:
            yield "other speech, never trained on: nothing", "", heard(speak(voice, text), rng)
        for text in DISTRACTORS[:24]:
            yield "other speech, trained on in other voices: nothing", "", heard(speak(voice, text), rng)
    for kind in (*HELD_OUT_NOISES, "white", "hum", "clicks"):
        for level_db in (-60, -40, -20):
            sound = noise(kind, 2 * RATE, rng) * np.float32(10 ** (level_db / 20))
            yield "noise without speech: nothing", "", np.asarray(sound, np.float32)
    yield "noise without speech: nothing", "", np.zeros(2 * RATE, np.float32)


def heard(sound: Samples, rng: np.random.Generator) -> Samples:
    """Return speech as a quiet room's microphone gives it: silence around it, a little noise."""
    around = placed(sound, 0.25, 0.4)
    return levelled(around + np.float32(0.001) * rng.standard_normal(around.size).astype(np.float32), -9)


def _group(voice: Voice) -> str:
    return f"unknown voice {voice}" if voice.program == "flite" else "unknown voices of espeak-ng"


if __name__ == "__main__":
    main()
