"""Training examples without end: a clip, what happened to it, its mel, its tokens."""

from __future__ import annotations

import itertools
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

_SHARES: Final = {"phrase": 0.58, "fragment": 0.04, "other": 0.28, "none": 0.1}
_MAX_FRAMES: Final = 700
OTHER_SPEECH: Final = len(PHRASES)
NO_SPEECH: Final = len(PHRASES) + 1
KINDS: Final = len(PHRASES) + 2
_IGNORED: Final = -100
_NAMES: Final = ("startoftranscript", "endoftext", "notimestamps", "nospeech")
_VOICES_PER_DISTRACTOR: Final = 24


@dataclass(frozen=True, slots=True)
class Clips:
    """Everything spoken once, clean."""

    phrases: tuple[tuple[int, Samples], ...]
    """(Index into PHRASES, sound)."""
    others: tuple[Samples, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """B examples; arrays that vary in length are padded."""

    mel: torch.Tensor
    """float32[B, 80, T]."""
    frames: torch.Tensor
    """int64[B]: how many of the T are the clip's."""
    kinds: torch.Tensor
    """int64[B]: the phrase's index, OTHER_SPEECH or NO_SPEECH."""
    tokens: torch.Tensor
    """int64[B, L] that go into the decoder."""
    labels: torch.Tensor
    """int64[B, L] that shall come out of it."""


@dataclass(frozen=True, slots=True)
class _Example:
    mel: npt.NDArray[np.float32]
    text: list[int]
    kind: int


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

    def __init__(
        self, clips: Clips, tokenizer: Tokenizer, seed: int, batch: int, full_every: int, hard_after: int
    ) -> None:
        """Augmentation grows from nothing to its full strength within `hard_after` batches."""
        super().__init__()
        self._clips = clips
        self._seed = seed
        self._batch = batch
        self._full_every = full_every
        self._hard_after = hard_after
        self._strength = 0.0
        self._full_batch = max(1, batch // 12)
        self._features = FeatureExtractor(feature_size=MELS)
        ids = {name: tokenizer.token_to_id(f"<|{name}|>") for name in _NAMES}
        self._start, self._end = ids["startoftranscript"], ids["endoftext"]
        self._speech, self._none = ids["notimestamps"], ids["nospeech"]
        self._texts = [tokenizer.encode(f" {t}", add_special_tokens=False).ids for t in PHRASES]
        self._other = tokenizer.encode(OTHER, add_special_tokens=False).ids

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng(self._seed)
        short = self._full_every - 1
        for step in itertools.count(0, self._full_every):
            self._strength = min(1.0, step / self._hard_after)
            pool = [self._example(rng) for _ in range(short * self._batch)]
            pool.sort(key=lambda example: example.mel.shape[1])  # alike in length: little is padding
            for start in rng.permutation(short) * self._batch:
                yield self._collate(pool[start : start + self._batch], rng, full=False)
            yield self._collate([self._example(rng) for _ in range(self._full_batch)], rng, full=True)

    def _example(self, rng: np.random.Generator) -> _Example:
        kind = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
        clips = self._clips
        if kind == "none":
            return _Example(self._mel(no_speech(rng.uniform(0.4, 4.0), rng)), self._other, NO_SPEECH)
        if kind == "other":
            sound = clips.others[rng.integers(len(clips.others))]
            return _Example(self._heard(sound, rng), self._other, OTHER_SPEECH)
        index, sound = clips.phrases[rng.integers(len(clips.phrases))]
        if kind == "fragment" and len(PHRASES[index].split()) >= 4:
            sound = sound[: int(sound.size * rng.uniform(0.25, 0.5))]
            return _Example(self._heard(sound, rng), self._other, OTHER_SPEECH)
        return _Example(self._heard(sound, rng), self._texts[index], index)

    def _heard(self, sound: Samples, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        babble = self._clips.others[rng.integers(len(self._clips.others))]
        return self._mel(augmented(sound, babble, self._strength, rng))

    def _mel(self, sound: Samples) -> npt.NDArray[np.float32]:
        """Return float32[80, T] as faster-whisper cuts it: its extractor's, without the last frame."""
        return np.asarray(self._features(sound)[:, :-1][:, :_MAX_FRAMES], np.float32)

    def _collate(self, examples: list[_Example], rng: np.random.Generator, *, full: bool) -> Batch:
        frames = np.array([e.mel.shape[1] for e in examples], np.int64)
        window = FULL_FRAMES if full else int(frames.max() + rng.integers(0, 60))
        window += window % 2
        mels = np.zeros((len(examples), MELS, window), np.float32)
        length = max(len(e.text) for e in examples) + 2
        tokens = np.full((len(examples), length), self._end, np.int64)
        labels = np.full((len(examples), length), _IGNORED, np.int64)
        for row, e in enumerate(examples):
            mels[row, :, : frames[row]] = e.mel
            tokens[row, : len(e.text) + 2] = [self._start, self._speech, *e.text]
            first = self._none if e.kind == NO_SPEECH else self._speech
            labels[row, : len(e.text) + 2] = [first, *e.text, self._end]
        kinds = np.array([e.kind for e in examples], np.int64)
        return Batch(*map(torch.from_numpy, (mels, frames, kinds, tokens, labels)))
