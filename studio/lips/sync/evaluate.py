"""What the expert is worth: on people, voices and languages it never met, at shifts put in on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from studio.lips.sync.clips import MARGIN, Clip
from studio.lips.sync.data import audible, levelled, listened_to, looked_at
from studio.lips.sync.net import PICTURES, Expert
from studio.lips.sync.timing import Timing, joined, timing
from studio.truth.clips import FPS
from studio.truth.draw import generator
from studio.truth.voices import AUDIO_RATE, TRAINED

Floats = npt.NDArray[np.float32]

FRAME_MS: Final = 1000 / FPS
LATE_MS: Final = (-200, -120, -60, -40, -20, 20, 40, 60, 120, 200)
"""Put in on purpose."""
_APART: Final = (5, 15)
"""Frames between a picture and a sound that do not belong together, 0.2 to 0.6 s."""


@dataclass(frozen=True, slots=True)
class Windows:
    """What the expert makes of every window of a clip."""

    seen: Floats
    """float32[T, D], unit vectors."""
    heard: Floats
    """The same of the sound."""
    audible: npt.NDArray[np.bool_]
    """bool[T]."""

    def timing(self) -> Timing:
        """Return when picture and sound agree best."""
        return timing(self.seen, self.heard, self.audible)


def windows_of(net: Expert, pictures: Floats, sound: Floats) -> Windows:
    """Return what the expert makes of pictures (`looked_at`) at FPS and the sound from the first one on."""
    count = len(pictures) - PICTURES + 1
    with torch.inference_mode():
        seen = net.see(torch.from_numpy(pictures)[None])[0].numpy()
    return Windows(seen, heard_in(net, sound, count), audible(sound, count))


def heard_in(net: Expert, sound: Floats, windows: int) -> Floats:
    """Return what the expert makes of a sound, float32[windows, D]."""
    bands = listened_to(levelled(sound), windows)
    with torch.inference_mode():
        return np.asarray(net.hear(torch.from_numpy(bands)[None])[0].numpy())


def evaluate(net: Expert, clips: Sequence[Clip], threshold: float | None = None) -> dict[str, Any]:
    """Return the figures on some clips; `threshold`: a cosine, `best_threshold` of others. Blocks."""
    windows = [windows_of(net, looked_at(clip.pictures, MARGIN), clip.sound) for clip in clips]
    found = [w.timing() for w in windows]
    offsets = np.array([t.offset_frames for t in found])
    rng = generator("lips", "sync", "evaluate")
    together, apart = (np.concatenate(part) for part in zip(*(pairs(w, rng) for w in windows), strict=True))
    figures: dict[str, Any] = {
        "clips": len(clips),
        "windows": len(together),
        "told_apart": round(float((together > apart).mean()), 3),
        "auc": round(_auc(together, apart), 3),
        "within_a_frame": round(float((np.abs(offsets) <= 1).mean()), 3),
        "offset_ms": _spread(offsets * FRAME_MS),
        "distance": round(float(np.mean([t.distance for t in found])), 3),
        "confidence": round(float(np.mean([t.confidence for t in found])), 3),
        "curve": [round(float(x), 3) for x in joined([t.curve for t in found]).curve[::5]],
    }
    if threshold is not None:
        right = (together > threshold).mean() + (apart <= threshold).mean()
        figures["accuracy"] = round(float(right) / 2, 3)
    figures["shifted"] = shifted(net, clips, windows)
    return figures


def by_origin(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """Return clips in the languages that were trained, and those in others."""
    return {
        "people and voices never met": [c for c in clips if c.language in TRAINED],
        "nor their languages": [c for c in clips if c.language not in TRAINED],
    }


def best_threshold(net: Expert, clips: Sequence[Clip]) -> float:
    """Return the cosine that tells best what belongs together, on some clips."""
    rng = generator("lips", "sync", "threshold")
    windows = [windows_of(net, looked_at(clip.pictures, MARGIN), clip.sound) for clip in clips]
    together, apart = (np.concatenate(part) for part in zip(*(pairs(w, rng) for w in windows), strict=True))
    places = np.linspace(-1, 1, 401)
    right = [(together > place).mean() + (apart <= place).mean() for place in places]
    return float(places[int(np.argmax(right))])


def pairs(windows: Windows, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return cosines of windows with their own sound, and with another of their clip, 0.2 to 0.6 s away."""
    count = len(windows.seen)
    away = rng.integers(_APART[0], _APART[1] + 1, count) * rng.choice([-1, 1], count)
    other = np.arange(count) + away
    other = np.where((other < 0) | (other >= count), np.arange(count) - away, other)
    kept = windows.audible & (other >= 0) & (other < count)
    kept[kept] &= windows.audible[other[kept]]
    own = np.sum(windows.seen * windows.heard, 1)
    wrong = np.sum(windows.seen * windows.heard[np.clip(other, 0, count - 1)], 1)
    return own[kept], wrong[kept]


def shifted(net: Expert, clips: Sequence[Clip], windows: Sequence[Windows]) -> dict[str, Any]:
    """Return how well pictures that are made late on purpose are found to be, by ms (negative: early)."""
    errors: dict[int, list[float]] = {late_ms: [] for late_ms in LATE_MS}
    for clip, plain in zip(clips, windows, strict=True):
        count = len(plain.seen)
        for late_ms, row in errors.items():
            sound = earlier(clip.sound, late_ms)
            found = timing(plain.seen, heard_in(net, sound, count), audible(sound, count))
            row.append(found.offset_frames * FRAME_MS - late_ms)
    return {str(late_ms): _spread(np.array(row)) for late_ms, row in errors.items()}


def earlier(sound: Floats, by_ms: int) -> Floats:
    """Return a sound that comes so much earlier, as long as before: its pictures are late then."""
    count = abs(by_ms) * AUDIO_RATE // 1000
    silence = np.zeros(count, np.float32)
    if by_ms >= 0:
        return np.concatenate((sound[count:], silence))
    return np.concatenate((silence, sound[: sound.size - count]))


def _spread(values_ms: npt.NDArray[np.floating[Any]]) -> dict[str, float]:
    """Return median, median deviation from 0, and the share that deviates by a frame at most."""
    return {
        "median": round(float(np.median(values_ms)), 1),
        "error": round(float(np.median(np.abs(values_ms))), 1),
        "within_a_frame": round(float((np.abs(values_ms) <= FRAME_MS).mean()), 3),
    }


def _auc(together: Floats, apart: Floats) -> float:
    """Return the chance that a pair that belongs together scores higher than one that doesn't."""
    order = np.argsort(np.concatenate((together, apart)), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    count = len(together)
    return float((ranks[:count].sum() - count * (count + 1) / 2) / (count * len(apart)))
