"""Bring every voice to one loudness: gated RMS against a target, then a look-ahead peak limiter."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from vcam_talker.core.types import Samples

TARGET_DB: Final = -20.0
"""Gated RMS, dB full scale; about -23 to -20 LUFS for speech."""
CEILING_DB: Final = -1.0
"""Sample peak, dB full scale."""

_GATE_ABSOLUTE_DB: Final = -60.0
_GATE_RELATIVE_DB: Final = 12.0
_BLOCK_S: Final = 0.02
_MAX_GAIN_DB: Final = 24.0

_LIMITER_BLOCK_S: Final = 0.001
_LIMITER_REACH_BLOCKS: Final = 5


def gated_rms_db(samples: Samples, rate: int) -> float | None:
    """Return the RMS of the parts that are speech, dB full scale; None when nothing is.

    Two gates, as in ITU-R BS.1770 but without its weighting filter and on 20 ms blocks: an absolute one at
    -60 dB, then one 12 dB below the mean of what passed. Pauses therefore do not count.
    """
    block = max(1, round(_BLOCK_S * rate))
    count = samples.size // block
    if count == 0:
        return None
    power = np.mean(np.square(samples[: count * block].reshape(count, block), dtype=np.float64), axis=1)
    heard = power[power > 10 ** (_GATE_ABSOLUTE_DB / 10)]
    if heard.size == 0:
        return None
    heard = heard[heard >= heard.mean() * 10 ** (-_GATE_RELATIVE_DB / 10)]
    return 10 * math.log10(float(heard.mean()))


def levelling_gain_db(samples: Samples, rate: int, target_db: float = TARGET_DB) -> float | None:
    """Return the gain, at most 24 dB either way, that brings the speech to `target_db`; None for silence."""
    level_db = gated_rms_db(samples, rate)
    if level_db is None:
        return None
    return max(-_MAX_GAIN_DB, min(_MAX_GAIN_DB, target_db - level_db))


def apply_gain(samples: Samples, rate: int, gain_db: float, ceiling_db: float = CEILING_DB) -> Samples:
    """Return the samples louder by `gain_db` with peaks held under `ceiling_db`: float32[N]."""
    return limit_peaks((samples * np.float32(10 ** (gain_db / 20))).astype(np.float32), rate, ceiling_db)


def limit_peaks(samples: Samples, rate: int, ceiling_db: float = CEILING_DB) -> Samples:
    """Return the samples with every peak at or under `ceiling_db`, without clipping.

    The gain falls 5 ms before a peak and recovers as long after it. Each 1 ms block asks for a gain; the
    least one within reach wins and is interpolated between block centres, so no sample gets more than it may.
    """
    ceiling = 10 ** (ceiling_db / 20)
    if samples.size == 0 or float(np.max(np.abs(samples))) <= ceiling:
        return samples
    block = max(1, round(_LIMITER_BLOCK_S * rate))
    count = -(-samples.size // block)
    padded = np.zeros(count * block, np.float32)
    padded[: samples.size] = samples
    peaks = np.abs(padded.reshape(count, block)).max(axis=1)
    wanted = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-9))
    reach = _LIMITER_REACH_BLOCKS
    least = np.lib.stride_tricks.sliding_window_view(np.pad(wanted, 2 * reach, mode="edge"), 2 * reach + 1)
    window = np.hanning(2 * reach + 1)
    # The Hann window's ends are zero, so every minimum that counts was taken over this block and both of its
    # neighbours: neither the mean nor the interpolation can exceed what a peak needs.
    smooth = np.convolve(least.min(axis=1), window / window.sum(), mode="valid")
    centres = (np.arange(count) + 0.5) * block
    gain = np.interp(np.arange(samples.size) + 0.5, centres, smooth)
    # Only rounding is left to clip.
    limited: Samples = np.clip(samples * gain, -ceiling, ceiling).astype(np.float32)
    return limited
