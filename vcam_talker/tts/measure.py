"""How soon and how fast the voices speak: `python -m vcam_talker.tts.measure [--runs N]`.

From a text handed to the voice facade to its first 48 kHz part, and the real-time factor (time to make
speech / its length), per engine, for a short, a usual and a long sentence. The programs are warm.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import Final

from vcam_talker.core.stages import Synthesizer
from vcam_talker.core.types import NO_TURN, SAMPLE_RATE, Sentence
from vcam_talker.dsp.loudness import gated_rms_db
from vcam_talker.persona import Persona, VoiceSection
from vcam_talker.tts.espeak_ng import EspeakNgSynthesizer
from vcam_talker.tts.flite import FliteSynthesizer
from vcam_talker.tts.sentences import SentenceSplitter
from vcam_talker.tts.tone import ToneSynthesizer
from vcam_talker.tts.voice import Voice

_ENGLISH: Final = (
    "Hello there!",
    "It's lovely to see you here, what shall we talk about today?",
    "The price is right below the picture, and if a size changes it, you will see that before you pay.",
)
_MANDARIN: Final = (
    "你好！",
    "你好呀，欢迎来到直播间，很高兴见到你。",
    "发货时间和运费在结算页面填好地址就能看到，一般三到五天就到，价格是25.5元，有问题随时来问我。",
)
_CASES: Final = (
    ("flite", "slt", "en", _ENGLISH),
    ("flite", "rms", "en", _ENGLISH),
    ("espeak-ng", "en-us", "en", _ENGLISH),
    ("espeak-ng", "cmn", "cmn", _MANDARIN),
    ("tone", "beep", "en", _ENGLISH),
)


def main() -> int:
    """Print one line per voice and sentence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    runs = max(3, parser.parse_args().runs)
    engines: dict[str, Synthesizer] = {
        "flite": FliteSynthesizer(),
        "espeak-ng": EspeakNgSynthesizer(),
        "tone": ToneSynthesizer(),
    }
    print("voice            letters   first part p50 / p95 ms   speech s   real-time factor   RMS dB")
    try:
        for engine, name, language, texts in _CASES:
            if not engines[engine].voices():
                print(f"{engine:10} is not installed")
                continue
            persona = Persona(title=name, fallback=("-",), language=language, voice=_section(engine, name))
            voice = Voice(engines, persona, engine)
            voice.warm_up()
            for text in texts:
                print(f"{engine + ' ' + name:16} {len(text):7}   {_measure(voice, text, language, runs)}")
    finally:
        for synthesizer in engines.values():
            synthesizer.close()
    return 0


def _section(engine: str, name: str) -> VoiceSection:
    return VoiceSection.model_validate({"engine": engine, "name": name})


def _measure(voice: Voice, text: str, language: str, runs: int) -> str:
    firsts_ms: list[float] = []
    factors: list[float] = []
    speech_s = level_db = 0.0
    for _ in range(runs):
        splitter = SentenceSplitter()
        started = time.perf_counter()
        samples = 0
        first_ms = 0.0
        for index, piece in enumerate(splitter.feed(text) + splitter.flush()):
            for part in voice.speak(Sentence(NO_TURN, index, piece, language=language), lambda: False):
                first_ms = first_ms or (time.perf_counter() - started) * 1000
                samples += part.samples.size
                level_db = gated_rms_db(part.samples, SAMPLE_RATE) or 0.0
        speech_s = samples / SAMPLE_RATE
        firsts_ms.append(first_ms)
        factors.append((time.perf_counter() - started) / speech_s)
    p95_ms = statistics.quantiles(firsts_ms, n=20)[-1]
    return (
        f"{statistics.median(firsts_ms):14.1f} / {p95_ms:5.1f} {speech_s:13.2f} "
        f"{statistics.median(factors):18.3f} {level_db:8.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
