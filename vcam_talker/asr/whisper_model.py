"""A Whisper model loaded by faster-whisper, asked for one utterance at a time.

Imports faster-whisper, so import this only where a model is wanted.

Whisper's encoder is made for windows of 30 s, and an utterance is padded to that. Its layers take any shorter
window too, at a cost that falls faster than linearly; models trained on full windows alone (OpenAI's) make
more mistakes the shorter it is, those trained on windows of all lengths do not. Hence `window_s`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import ctranslate2
import faster_whisper
import numpy as np
import numpy.typing as npt

from vcam_talker.asr.whisper_rules import Candidate
from vcam_talker.config import EarsConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.core.language import canonical_language
from vcam_talker.core.types import Samples
from vcam_talker.inference.threads import spare_threads, usable_cores

log = logging.getLogger(__name__)

RATE: Final = 16_000
FULL_WINDOW_S: Final = 30
_FRAMES_PER_S: Final = 100
_BEAM: Final = 5
_MAX_THREADS: Final = 8
"""More gain nothing on a few seconds of speech."""
_LANGUAGES: Final = {"cmn": "zh", "nb": "no", "fil": "tl", "jv": "jw", "iw": "he"}
"""BCP 47 -> Whisper's own code, where they differ."""


class _WindowedModel(faster_whisper.WhisperModel):  # type: ignore[misc]  # publishes no types
    """Encodes as much of the padded window as was asked for."""

    window_frames = FULL_WINDOW_S * _FRAMES_PER_S

    def encode(self, features: npt.NDArray[np.float32]) -> object:
        """Return the encoder's output for float32[80 or 128, 3000], the part beyond the window left out."""
        return super().encode(features[..., : self.window_frames])


class WhisperModel:
    """One loaded model in one language. Not thread-safe; every call blocks."""

    def __init__(self, folder: Path, config: EarsConfig, language: str) -> None:
        """Load the model from a whole folder (see `find_model`). Seconds. Raises EngineError."""
        logging.getLogger("faster_whisper").setLevel(logging.WARNING)  # a line for each utterance otherwise
        self._what = f"model {config.model[-200:]!r}"
        self._window_frames = config.window_s * _FRAMES_PER_S
        self._model = self._load(folder, config.device_type)
        self.language = self._choose_language(language)

    def transcribe(self, sound: Samples) -> list[Candidate]:
        """Return what was understood of float32[N], mono, 16 kHz: one candidate for each window of 30 s.

        Raises EngineError when the device fails.
        """
        seconds = sound.size / RATE
        content = sound.size // (RATE // _FRAMES_PER_S) + 2
        frames = min(max(content, self._window_frames), FULL_WINDOW_S * _FRAMES_PER_S)
        self._model.window_frames = frames + frames % 2
        whole = seconds <= FULL_WINDOW_S
        try:
            segments, info = self._model.transcribe(
                sound,
                language=self.language,
                beam_size=_BEAM,
                temperature=[0.0],  # sampling at higher ones takes time without bound and invents text
                condition_on_previous_text=False,
                without_timestamps=whole,
                max_new_tokens=_token_limit(seconds) if whole else None,
                compression_ratio_threshold=None,  # whisper_rules judges
                log_prob_threshold=None,
                no_speech_threshold=None,
            )
            return [
                Candidate(
                    s.text, s.avg_logprob, s.no_speech_prob, s.compression_ratio, len(s.tokens), info.language
                )
                for s in segments
            ]
        except (RuntimeError, ValueError) as e:
            raise EngineError(self._what, f"failed on an utterance ({_line(e)})") from e

    def close(self) -> None:
        """Free the model's memory. Idempotent."""
        self._model.model.unload_model()

    def _load(self, folder: Path, device_type: str) -> _WindowedModel:
        there = ctranslate2.get_cuda_device_count() > 0
        if device_type == "cuda" and not there:
            raise EngineError(
                "ears.device_type 'cuda'", "there is no CUDA device here", "Set it to 'cpu' or 'auto'"
            )
        if device_type == "cpu" or not there:
            return self._load_on(folder, "cpu", "int8")
        try:
            return self._load_on(folder, "cuda", "float16")
        except EngineError as e:
            if device_type == "cuda":
                raise
            log.warning("%s; computing on the processor instead", e)
            return self._load_on(folder, "cpu", "int8")

    def _load_on(self, folder: Path, device: str, compute_type: str) -> _WindowedModel:
        try:
            model = _WindowedModel(
                str(folder),
                device=device,
                compute_type=compute_type,
                cpu_threads=_threads(),
                local_files_only=True,
            )
            model.window_frames = self._window_frames
            if model.hf_tokenizer.token_to_id("<|startoftranscript|>") is None:
                raise ValueError("tokenizer.json has none of Whisper's tokens")
            # The first run allocates, and finds what loading does not: other mel bands, CUDA libraries
            # missing.
            segments, _ = model.transcribe(
                np.zeros(RATE, np.float32), language="en", temperature=[0.0], max_new_tokens=4
            )
            list(segments)
        except Exception as e:  # tokenizers and ctranslate2 raise bare Exception for damaged files
            log.debug("loading %s failed", folder, exc_info=True)
            raise EngineError(
                self._what,
                f"can't be loaded on {device} ({_line(e)})",
                f"Files in {folder} are damaged or made for another version; fetch or convert them again",
            ) from e
        return model

    def _choose_language(self, tag: str) -> str | None:
        """Return Whisper's code of a BCP 47 tag; None (it finds out) for a language that it doesn't know."""
        main = canonical_language(tag).partition("-")[0].lower()
        code = _LANGUAGES.get(main, main)
        if not self._model.model.is_multilingual:
            if main != "en":
                raise EngineError(
                    self._what, f"hears English only, and '{tag}' is wanted", "Use a model without '.en'"
                )
            return "en"
        tokens = self._model.hf_tokenizer
        if code == "yue" and tokens.token_to_id("<|yue|>") is None:
            code = "zh"
        if tokens.token_to_id(f"<|{code}|>") is None:
            log.warning("Whisper does not know the language '%s'; it will guess each time", tag)
            return None
        return code


def _threads() -> int:
    """Return how many cores to compute on: one is left to picture and sound."""
    return min(spare_threads(usable_cores()), _MAX_THREADS)


def _token_limit(seconds: float) -> int:
    """Return more tokens than anybody says in that time; what needs more runs in circles."""
    return min(224, 16 + int(12 * seconds))


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text[:160] or type(error).__name__
