"""The mel spectrogram that Wav2Lip hears: of a whole sound, or the window around one moment of a running one.

Equal to what the published hyperparameters give with librosa 0.7, which its authors pinned: pre-emphasis,
centred Hann frames, magnitudes (not power) in mel bands on Slaney's scale with triangles of equal area,
decibels, scaled so that -100 .. 0 dB below the reference of 20 dB become -4 .. 4. That librosa pads a sound's
ends by reflection (from version 0.9 on it pads zeros); it matters to the first and last two frames only.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import NS_PER_S, Samples

MEL_SAMPLE_RATE: Final = 16_000
MEL_RATE_HZ: Final = 80
BANDS: Final = 80
WINDOW_FRAMES: Final = 16
"""What the network hears at once: 200 ms."""
HOP: Final = MEL_SAMPLE_RATE // MEL_RATE_HZ
_FFT: Final = 800
_HALF: Final = _FFT // 2
_LOW_HZ: Final = 55.0
_HIGH_HZ: Final = 7600.0
_PRE_EMPHASIS: Final = 0.97
_MIN_DB: Final = -100.0
_REFERENCE_DB: Final = 20.0
_LIMIT: Final = 4.0
_BLOCK: Final = 256

SILENCE: Final = np.float32(-_LIMIT)
"""Every band of digital silence."""

Mel = npt.NDArray[np.float32]
"""float32[T, BANDS] in [-4, 4], MEL_RATE_HZ frames a second; frame i is centred on sample i * HOP."""


def mel_spectrogram(samples: Samples) -> Mel:
    """Return the mel frames of a whole sound, float32[1 + N // HOP, BANDS]; one of no samples has none.

    `samples`: float32[N] at MEL_SAMPLE_RATE; those that are not finite count as silence. Pure.
    """
    sound = _finite(samples)
    if sound.size == 0:
        return np.zeros((0, BANDS), np.float32)
    sharp = np.append(sound[:1], sound[1:] - _PRE_EMPHASIS * sound[:-1])
    return _frames(np.pad(sharp, _HALF, "reflect" if sharp.size > 1 else "edge"))


def window_start(time_ns: int) -> int:
    """Return the first mel frame of the window of a picture at `time_ns` from the sound's beginning.

    The published inference takes int(80 * t), so a picture hears from its own moment to 200 ms after it. In
    whole nanoseconds no rounding of a float can move that by a frame.
    """
    return time_ns * MEL_RATE_HZ // NS_PER_S


def window_samples(start: int) -> tuple[int, int]:
    """Return the samples `[first, end)` that the window from frame `start` is made of; maybe first < 0."""
    first = start * HOP - _HALF
    return first, first + (WINDOW_FRAMES - 1) * HOP + _FFT


def mel_window(samples: Samples, first_sample: int, start: int) -> Mel:
    """Return the frames `start` .. `start + 15` of a running sound, float32[16, BANDS].

    `samples` float32[N] at MEL_SAMPLE_RATE are a part of the sound that begins with its sample
    `first_sample`. What `window_samples` wants and they lack counts as silence: what has not been spoken yet,
    or what was before the beginning. Otherwise equal to `mel_spectrogram` of the whole. Pure.
    """
    first, end = window_samples(start)
    sound = np.zeros(end - first)
    begins, ends = max(first, first_sample), min(end, first_sample + samples.size)
    if begins < ends:
        sound[begins - first : ends - first] = _finite(samples[begins - first_sample : ends - first_sample])
    # The first one's predecessor isn't asked for: the taper begins with 0.
    return _frames(np.append(0.0, sound[1:] - _PRE_EMPHASIS * sound[:-1]))


def mel_input(windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return windows float32[N, 16, BANDS] as the network takes them: float32[N, 1, BANDS, 16]."""
    return np.ascontiguousarray(windows.transpose(0, 2, 1)[:, None])


def _finite(samples: Samples) -> npt.NDArray[np.float64]:
    return np.nan_to_num(np.asarray(samples, np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _frames(sharp: npt.NDArray[np.float64]) -> Mel:
    """Return the frames of a pre-emphasised sound that begins half a window before the first one's centre."""
    windows = np.lib.stride_tricks.sliding_window_view(sharp, _FFT)[::HOP]
    taper, triangles = _taper(), _triangles()
    result = np.empty((len(windows), BANDS), np.float32)
    for at in range(0, len(windows), _BLOCK):  # an hour of sound at once would be gigabytes of spectra
        spectra = np.abs(np.fft.rfft(windows[at : at + _BLOCK] * taper))
        level_db = 20.0 * np.log10(np.maximum(spectra @ triangles, 10.0 ** (_MIN_DB / 20.0))) - _REFERENCE_DB
        scaled = 2.0 * _LIMIT * (level_db - _MIN_DB) / -_MIN_DB - _LIMIT
        result[at : at + _BLOCK] = np.clip(scaled, -_LIMIT, _LIMIT)
    return result


@lru_cache(maxsize=1)
def _taper() -> npt.NDArray[np.float64]:
    """Return the periodic Hann window (a symmetric one of one more, without its last)."""
    taper: npt.NDArray[np.float64] = np.hanning(_FFT + 1)[:-1]
    taper.setflags(write=False)
    return taper


@lru_cache(maxsize=1)
def _triangles() -> npt.NDArray[np.float64]:
    """Return the weight of each frequency in each band, float64[401, BANDS]; a triangle's area is 1 Hz."""
    lowest, highest = _mels(np.array([_LOW_HZ, _HIGH_HZ]))
    edges = _hz(np.linspace(lowest, highest, BANDS + 2))
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    hz = np.fft.rfftfreq(_FFT, 1.0 / MEL_SAMPLE_RATE)[:, None]
    shape = np.minimum((hz - low) / (centre - low), (high - hz) / (high - centre))
    triangles: npt.NDArray[np.float64] = np.maximum(shape, 0.0) * (2.0 / (high - low))
    triangles.setflags(write=False)
    return triangles


# Slaney's scale ("Auditory Toolbox", 1998): linear to 1 kHz, 27 steps for every factor of 6.4 above.
_LINEAR_HZ: Final = 200.0 / 3.0
_KNEE_HZ: Final = 1000.0
_LOG_STEP: Final = np.log(6.4) / 27.0


def _mels(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = _KNEE_HZ / _LINEAR_HZ + np.log(np.maximum(hz, _KNEE_HZ) / _KNEE_HZ) / _LOG_STEP
    mels: npt.NDArray[np.float64] = np.where(hz < _KNEE_HZ, hz / _LINEAR_HZ, above)
    return mels


def _hz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    knee = _KNEE_HZ / _LINEAR_HZ
    above = _KNEE_HZ * np.exp(_LOG_STEP * (np.maximum(mels, knee) - knee))
    hz: npt.NDArray[np.float64] = np.where(mels < knee, mels * _LINEAR_HZ, above)
    return hz
