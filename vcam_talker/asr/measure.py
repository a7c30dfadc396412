"""How long Whisper takes: `python -m vcam_talker.asr.measure [--model NAME | --shape base] [--seconds 2]`.

For each window: the time from `finish()` of an utterance to its text without speculation, and when the voice
had paused `--endpoint-ms` before. With `--shape` the model has the true size and random weights, so nothing
needs to be fetched: times are those of the real model for a text of the same length, the text is nonsense.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vcam_talker.asr.faster_whisper import RATE, FasterWhisperTranscriber
from vcam_talker.config import EarsConfig
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.types import Samples

if TYPE_CHECKING:
    from ctranslate2.specs.common_spec import LayerNormSpec, LinearSpec
    from ctranslate2.specs.model_spec import LayerSpec
    from ctranslate2.specs.transformer_spec import TransformerDecoderSpec

_SHAPES: Final = {"tiny": (384, 4, 6), "base": (512, 6, 8), "small": (768, 12, 12)}
"""Width, layers of encoder and of decoder, heads (Radford et al. 2022, table 1)."""
_TEXT_TOKENS: Final = 50_257
_SPECIALS: Final = (
    "endoftext",
    "startoftranscript",
    "en",
    "translate",
    "transcribe",
    "startoflm",
    "startofprev",
    "nospeech",
    "notimestamps",
)
_VOCABULARY: Final = 51_864
_MELS: Final = 80
_POSITIONS: Final = 1500
_TEXT_POSITIONS: Final = 448
_PROMPT_TOKENS: Final = 2
_ANSWER_TOKENS: Final = 10
"""A short question's."""


def main() -> int:
    """Print one line for each window."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="", help="a name that `models get` fetched, or a folder")
    parser.add_argument("--shape", default="base", choices=_SHAPES)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--windows", type=int, nargs="+", default=[30, 15, 8, 4])
    parser.add_argument("--endpoint-ms", type=int, default=350)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            model = arguments.model or str(random_model(arguments.shape, Path(scratch)))
            what = arguments.model or f"random weights of {arguments.shape}"
            print(f"{what}, {arguments.seconds:g} s of sound; ms from finish() to the text, median (best)")
            print(f"window s   without speculation   after a pause of {arguments.endpoint_ms} ms")
            for window_s in arguments.windows:
                config = EarsConfig(model=model, device_type="auto", window_s=window_s)
                ears = FasterWhisperTranscriber(config, "en")
                try:
                    whole = [_measure(ears, arguments.seconds, None) for _ in range(arguments.runs)]
                    ahead = [
                        _measure(ears, arguments.seconds, arguments.endpoint_ms / 1000)
                        for _ in range(arguments.runs)
                    ]
                finally:
                    ears.close()
                print(f"{window_s:8} {_shown(whole):>21} {_shown(ahead):>26}")
        except VcamTalkerError as e:
            print(f"error: {e}", file=sys.stderr)
            return int(e.exit_code)
    return 0


def _shown(times_ms: list[float]) -> str:
    return f"{statistics.median(times_ms):.0f} ({min(times_ms):.0f})"


def _measure(ears: FasterWhisperTranscriber, seconds: float, paused_s: float | None) -> float:
    """Return milliseconds from `finish()` to its return."""
    ears.begin()
    ears.feed(_sound(seconds))
    if paused_s is not None:
        ears.pause()
        time.sleep(paused_s)
    begun = time.perf_counter()
    ears.finish()
    return (time.perf_counter() - begun) * 1000


def _sound(seconds: float) -> Samples:
    rng = np.random.default_rng(1)
    return (0.1 * rng.standard_normal(int(seconds * RATE))).astype(np.float32)


def random_model(shape: str, folder: Path) -> Path:
    """Write a model of that shape with random int8 weights into `folder`, for faster-whisper; return it.

    The text it makes is nonsense of ten tokens. Needs the extra `asr`.
    """
    from ctranslate2.specs import WhisperSpec
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    width, layers, heads = _SHAPES[shape]
    fill = _Filler(width)
    spec = WhisperSpec(layers, heads, layers, heads)
    for conv, channels in ((spec.encoder.conv1, _MELS), (spec.encoder.conv2, width)):
        conv.weight = fill.matrix(width, channels, 3)
        conv.bias = np.zeros(width, np.float32)
    spec.encoder.position_encodings.encodings = fill.matrix(_POSITIONS, width)
    spec.decoder.position_encodings.encodings = fill.matrix(_TEXT_POSITIONS, width)
    spec.decoder.embeddings.weight = fill.matrix(_VOCABULARY, width)
    _end_after(_ANSWER_TOKENS, spec.decoder)
    spec.decoder.projection.weight = spec.decoder.embeddings.weight
    for part in (spec.encoder, spec.decoder):
        fill.norm(part.layer_norm)
        for layer in part.layer:
            fill.layer(layer)
    words = [f"w{i}" for i in range(_TEXT_TOKENS)]
    words += [f"<|{name}|>" for name in _SPECIALS]
    words += [f"<|{i * 0.02:.2f}|>" for i in range(_VOCABULARY - len(words))]
    spec.register_vocabulary(words)
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    spec.config.lang_ids, spec.config.alignment_heads = [], [[layers - 1, 0]]
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(words)}, unk_token="w0"))  # noqa: S106
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _end_after(tokens: int, decoder: TransformerDecoderSpec) -> None:
    """Make the end of the text certain from that many tokens on: by a direction that both share."""
    width = decoder.embeddings.weight.shape[1]
    direction = np.sign(np.random.default_rng(2).standard_normal(width)).astype(np.float32)
    direction /= np.sqrt(np.float32(width))
    decoder.embeddings.weight[_TEXT_TOKENS] = 20 * direction
    decoder.position_encodings.encodings[_PROMPT_TOKENS + tokens - 1 :] += 100 * direction


class _Filler:
    """Fills the parts of a model with noise of the size that training leaves."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._rng = np.random.default_rng(1)

    def matrix(self, *shape: int) -> np.ndarray[Any, Any]:
        return (self._rng.standard_normal(shape) * np.prod(shape[1:]) ** -0.5).astype(np.float32)

    def norm(self, spec: LayerNormSpec) -> None:
        spec.gamma, spec.beta = np.ones(self._width, np.float32), np.zeros(self._width, np.float32)

    def linear(self, spec: LinearSpec, rows: int, columns: int) -> None:
        spec.weight, spec.bias = self.matrix(rows, columns), np.zeros(rows, np.float32)

    def layer(self, spec: LayerSpec) -> None:
        width = self._width
        self.norm(spec.self_attention.layer_norm)
        self.linear(spec.self_attention.linear[0], 3 * width, width)
        self.linear(spec.self_attention.linear[1], width, width)
        if hasattr(spec, "attention"):
            self.norm(spec.attention.layer_norm)
            for linear, rows in zip(spec.attention.linear, (width, 2 * width, width), strict=True):
                self.linear(linear, rows, width)
        self.norm(spec.ffn.layer_norm)
        self.linear(spec.ffn.linear_0, 4 * width, width)
        self.linear(spec.ffn.linear_1, width, 4 * width)


if __name__ == "__main__":
    sys.exit(main())
