"""Tell the presenter's own voice, come back through loudspeakers, from somebody who speaks.

Two guards. The *sound* guard compares what the ears record with what the virtual microphone carries: band
envelopes of both, laid side by side by the time they were recorded and shifted by the delay at which they fit
best (Sondhi's echo model reduced to one gain a band). What the scaled reference explains is echo; energy well
beyond it is somebody. The *text* guard drops an utterance whose words are mostly what the presenter has just
said.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.asr.vad import RATE, WINDOW
from vcam_talker.core.types import NS_PER_S, Samples

_BLOCK: Final = 128
"""Samples of one envelope value, 8 ms; four a window."""
_PER_WINDOW: Final = WINDOW // _BLOCK
_EDGES_HZ: Final = (150, 300, 500, 800, 1200, 1800, 2600, 3600, 5000, 7000)
_HISTORY: Final = 160
"""Blocks compared, 1.3 s."""
_LONGEST_DELAY: Final = 75
"""Blocks, 0.6 s: sound card, room, Bluetooth loudspeaker."""
_AHEAD: Final = 500
"""Blocks, 4 s, by which the reference may be read earlier than the ears on a busy machine."""
_GONE: Final = 125
"""Blocks without a reference after which the presenter's microphone is taken for gone, 1 s."""
_BLOCK_NS: Final = _BLOCK * NS_PER_S // RATE
_FITS: Final = 0.55
"""Correlation of the envelopes from which the reference is in there at all."""
_EXCESS_DB: Final = 6.0
_NOISE_SPREAD_DB: Final = 7.0
"""How far single blocks of steady noise rise above its quietest tenth."""
_FLOOR: Final = 1e-9
_LOOK_FAR: Final = 8
"""Every so many times the delay is searched in its whole range,"""
_LOOK_AGAIN: Final = 2
"""every so many where nothing fits nearby."""
_SAID_S: Final = 15.0
_SAME_WORDS: Final = 0.7

Bands = npt.NDArray[np.float32]
"""float32[9]: power of one block in each band, dB."""
Envelope = npt.NDArray[np.float32]
"""float32[T, 9]: blocks in a row."""


class BandEnvelope:
    """Power of 8 ms blocks in nine bands, over a window of 16 ms. Used from one thread."""

    def __init__(self) -> None:
        self._before = np.zeros(_BLOCK, np.float32)
        frequencies = np.fft.rfftfreq(2 * _BLOCK, 1 / RATE)
        pairs = itertools.pairwise(_EDGES_HZ)
        self._bands = np.array([(frequencies >= a) & (frequencies < b) for a, b in pairs], np.float32)
        self._taper = np.hanning(2 * _BLOCK).astype(np.float32)

    def blocks(self, window: Samples) -> list[Bands]:
        """Return the four blocks of float32[512]."""
        found: list[Bands] = []
        for start in range(0, WINDOW, _BLOCK):
            block = window[start : start + _BLOCK]
            spectrum = np.fft.rfft(np.concatenate((self._before, block)) * self._taper)
            power = self._bands @ np.square(np.abs(spectrum)).astype(np.float32)
            found.append((10 * np.log10(power + _FLOOR)).astype(np.float32))
            self._before = block
        return found


class EchoGuard:
    """Compares the last second of ears and reference; `reference` may come from another thread."""

    def __init__(self) -> None:
        self._heard: deque[Bands] = deque(maxlen=_HISTORY)
        self._played: tuple[Bands, ...] = ()
        self._heard_ns = self._played_ns = 0
        self._lock = threading.Lock()
        self._heard_envelope, self._played_envelope = BandEnvelope(), BandEnvelope()
        self._delay: int | None = None
        self._looks = 0
        self._gain = np.full(len(_EDGES_HZ) - 1, -np.inf, np.float32)

    def reference(self, window: Samples, at_ns: int) -> None:
        """Take what the presenter's microphone carried, float32[512] at 16 kHz, up to `at_ns`."""
        blocks = self._played_envelope.blocks(window)
        with self._lock:
            self._played = (*self._played, *blocks)[-(_HISTORY + _LONGEST_DELAY + _AHEAD) :]
            self._played_ns = at_ns

    def hear(self, window: Samples, at_ns: int) -> None:
        """Take what the ears recorded up to `at_ns`, on the same clock as the reference."""
        self._heard.extend(self._heard_envelope.blocks(window))
        self._heard_ns = at_ns

    def is_echo(self, windows: int) -> bool:
        """Tell whether the last `windows` windows hold nothing but the presenter's own voice.

        As long as the reference for them has not been read they may, so the answer is yes. Without a
        reference every voice is somebody's.
        """
        heard = np.array(self._heard)
        with self._lock:
            played = np.array(self._played)
            ahead = round((self._played_ns - self._heard_ns) / _BLOCK_NS)
        recent = min(len(heard), windows * _PER_WINDOW)
        if not len(played) or ahead < -_GONE:
            return False
        if len(heard) < _HISTORY // 4 or len(played) - ahead <= len(heard):
            return True
        # The path stays as it is from word to word: mostly it is enough to look nearby.
        self._looks += 1
        near = self._delay if self._looks % _LOOK_FAR else None
        fit, delay = _best_delay(heard, played, ahead, near)
        if fit < _FITS and near is not None and not self._looks % _LOOK_AGAIN:
            # It may have changed: sound servers skip and stretch when they are behind.
            fit, delay = _best_delay(heard, played, ahead, None)
        if fit >= _FITS:
            self._delay = delay
        elif self._delay is None:
            return ahead < 0  # headphones: nothing of it has ever come back
        end = len(played) - ahead - (self._delay or 0)
        if not len(heard) <= end <= len(played):
            return True
        aligned = played[end - len(heard) : end]
        noise = _quantile(heard, 0.1) + _NOISE_SPREAD_DB
        if fit >= _FITS:
            self._gain = _path_gain(heard, aligned, noise, self._gain)
        # Reverberation: what was loud in the last 100 ms still rings.
        ringing = np.max([np.roll(aligned, shift, axis=0) - 0.7 * shift for shift in range(13)], axis=0)
        explained = np.maximum(ringing + self._gain, noise)
        excess = _smooth(np.mean(np.sort(heard - explained, axis=1)[:, 3:], axis=1))[-recent:]
        return int(np.sum(excess > _EXCESS_DB)) < max(3, recent // 3)


def _path_gain(heard: Envelope, aligned: Envelope, noise: Bands, before: Bands) -> Bands:
    """Return the gain of the path from the presenter to the ears in each band, dB.

    Told where the presenter is loud and the ears hear more than noise: the lower half of the differences
    there is the echo's, the rest may be somebody's. Moves slowly, as rooms do.
    """
    loud = (aligned > _quantile(aligned, 0.6)) & (heard > noise)
    found = before.copy()
    for band in np.flatnonzero(loud.sum(axis=0) >= _HISTORY // 16):
        differences = (heard[:, band] - aligned[:, band])[loud[:, band]]
        now = float(_quantile(differences, 0.45))
        old = float(before[band])
        found[band] = old + 0.25 * (now - old) if np.isfinite(old) else now
    return found


def _quantile(values: npt.NDArray[np.float32], share: float) -> npt.NDArray[np.float32]:
    """Return the value below which `share` of the first axis lies; a tenth of what np.quantile costs."""
    place = int(share * (len(values) - 1))
    return np.asarray(np.partition(values, place, axis=0)[place])


def _smooth(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.convolve(values, np.full(3, 1 / 3, np.float32), "same")


def _best_delay(heard: Envelope, played: Envelope, ahead: int, near: int | None) -> tuple[float, int]:
    """Return the best correlation of the envelopes, and its delay in blocks; looks around `near`, if any.

    `ahead`: how many blocks later than the last of `heard` the last of `played` was recorded.
    """
    # Bands in which the ears hear little but noise say nothing about the delay.
    lively = _quantile(heard, 0.95) - _quantile(heard, 0.1) > 12.0
    if np.sum(lively) < 2:
        return 0.0, 0
    heard, played = heard[:, lively], played[:, lively]
    a = _standard(heard)
    best, at = -1.0, 0
    first, last = (0, _LONGEST_DELAY) if near is None else (max(0, near - 3), near + 4)
    for delay in range(max(first, -ahead), min(last, len(played) - len(heard) - ahead)):
        end = len(played) - ahead - delay
        fit = float(np.mean(a * _standard(played[end - len(heard) : end])))
        if fit > best:
            best, at = fit, delay
    return best, at


def _standard(envelope: Envelope) -> Envelope:
    """Return an envelope without its quiet parts, which noise fills, at mean 0 and deviation 1."""
    clipped = np.maximum(envelope, envelope.max(axis=0) - 28.0)
    centred = clipped - clipped.mean(axis=0)
    return np.asarray(centred / (centred.std(axis=0) + 1e-3), np.float32)


class SaidGuard:
    """Remembers what the presenter said in the last seconds."""

    def __init__(self) -> None:
        self._said: deque[tuple[int, frozenset[str]]] = deque(maxlen=32)

    def said(self, text: str, now_ns: int) -> None:
        """Note a text that is being said, or was."""
        if words := _words(text):
            self._said.append((now_ns, words))

    def is_own(self, text: str, now_ns: int) -> bool:
        """Tell whether most words of an utterance of three words or more are the presenter's last ones."""
        words = _words(text)
        if len(words) < 3:
            return False
        known = frozenset[str]().union(*(w for at, w in self._said if now_ns - at < _SAID_S * NS_PER_S))
        return len(words & known) >= _SAME_WORDS * len(words)


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W_]+", text[:2000].casefold()))
