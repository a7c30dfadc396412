"""Training examples without end: a clip, what happened to it, its mel, its tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from tokenizers import Tokenizer

from tools.whisper_phrases.augment import augmented, no_speech
from tools.whisper_phrases.model import FULL_FRAMES, MELS
from tools.whisper_phrases.phrases import DISTRACTORS, OTHER, PHRASES
from tools.whisper_phrases.voices import TRAIN, Voice, speak
from vcam_talker.core.types import Samples

_SHARES: Final = {"phrase": 0.62, "fragment": 0.04, "other": 0.22, "none": 0.12}
_MAX_FRAMES: Final = 700
_IGNORED: Final = -100
_NAMES: Final = ("startoftranscript", "endoftext", "notimestamps", "nospeech")
_VOICES_PER_DISTRACTOR: Final = 16


@dataclass(frozen=True, slots=True)
class Clips:
    """Everything spoken once, clean."""

    phrases: tuple[tuple[int, Samples], ...]
    """(Index into PHRASES, sound)."""
    others: tuple[Samples, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """mel float32[B, 80, T], tokens int64[B, L] that go in, labels int64[B, L] that shall come out."""

    mel: torch.Tensor
    tokens: torch.Tensor
    labels: torch.Tensor


def speak_all(seed: int, voices: Sequence[Voice] = TRAIN) -> Clips:
    """Return every phrase in every voice, every other sentence in some. Starts ~4,000 programs."""
    rng = np.random.default_rng(seed)
    jobs = [(i, voice, text) for i, text in enumerate(PHRASES) for voice in voices]
    for text in DISTRACTORS:
        chosen = rng.choice(len(voices), _VOICES_PER_DISTRACTOR, replace=False)
        jobs += [(-1, voices[int(v)], text) for v in chosen]
    with ThreadPoolExecutor(2) as pool:
        sounds = list(pool.map(lambda job: speak(job[1], job[2]), jobs))
    pairs = list(zip((job[0] for job in jobs), sounds, strict=True))
    return Clips(tuple(p for p in pairs if p[0] >= 0), tuple(s for i, s in pairs if i < 0))


class Examples(torch.utils.data.IterableDataset[Batch]):
    """Batches in endless supply; every `full_every`-th has the full window of 30 s and few clips."""

    def __init__(self, clips: Clips, tokenizer: Tokenizer, seed: int, batch: int, full_every: int) -> None:
        super().__init__()
        self._clips = clips
        self._seed = seed
        self._batch = batch
        self._full_every = full_every
        self._full_batch = max(1, batch // 12)
        self._features = FeatureExtractor(feature_size=MELS)
        ids = {name: tokenizer.token_to_id(f"<|{name}|>") for name in _NAMES}
        self._start, self._end = ids["startoftranscript"], ids["endoftext"]
        self._speech, self._none = ids["notimestamps"], ids["nospeech"]
        self._texts = [tokenizer.encode(f" {t}", add_special_tokens=False).ids for t in PHRASES]
        self._other = tokenizer.encode(OTHER, add_special_tokens=False).ids

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng(self._seed)
        while True:
            short = self._full_every - 1
            pool = [self._example(rng) for _ in range(short * self._batch)]
            pool.sort(key=lambda example: example[0].shape[1])  # alike in length: little is padding
            for start in rng.permutation(short) * self._batch:
                yield self._collate(pool[start : start + self._batch], rng, full=False)
            yield self._collate([self._example(rng) for _ in range(self._full_batch)], rng, full=True)

    def _example(self, rng: np.random.Generator) -> tuple[npt.NDArray[np.float32], list[int], bool]:
        """Return (mel, text, whether anybody speaks)."""
        kind = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
        clips = self._clips
        if kind == "none":
            return self._mel(no_speech(rng.uniform(0.4, 4.0), rng)), self._other, False
        if kind == "other":
            return self._heard(clips.others[rng.integers(len(clips.others))], rng), self._other, True
        index, sound = clips.phrases[rng.integers(len(clips.phrases))]
        if kind == "fragment" and len(PHRASES[index].split()) >= 4:
            sound = sound[: int(sound.size * rng.uniform(0.25, 0.5))]
            return self._heard(sound, rng), self._other, True
        return self._heard(sound, rng), self._texts[index], True

    def _heard(self, sound: Samples, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        babble = self._clips.others[rng.integers(len(self._clips.others))]
        return self._mel(augmented(sound, babble, rng))

    def _mel(self, sound: Samples) -> npt.NDArray[np.float32]:
        """Return float32[80, T] as faster-whisper cuts it: its extractor's, without the last frame."""
        return np.asarray(self._features(sound)[:, :-1][:, :_MAX_FRAMES], np.float32)

    def _collate(
        self,
        examples: list[tuple[npt.NDArray[np.float32], list[int], bool]],
        rng: np.random.Generator,
        *,
        full: bool,
    ) -> Batch:
        longest = max(mel.shape[1] for mel, _, _ in examples)
        frames = FULL_FRAMES if full else longest + int(rng.integers(0, 60))
        frames += frames % 2
        mels = np.zeros((len(examples), MELS, frames), np.float32)
        length = max(len(text) for _, text, _ in examples) + 2
        tokens = np.full((len(examples), length), self._end, np.int64)
        labels = np.full((len(examples), length), _IGNORED, np.int64)
        for row, (mel, text, speech) in enumerate(examples):
            mels[row, :, : mel.shape[1]] = mel
            tokens[row, : len(text) + 2] = [self._start, self._speech, *text]
            labels[row, : len(text) + 2] = [self._speech if speech else self._none, *text, self._end]
        return Batch(torch.from_numpy(mels), torch.from_numpy(tokens), torch.from_numpy(labels))
