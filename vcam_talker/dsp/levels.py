"""How loud a sound is from moment to moment."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import Samples

FLOOR_DB: Final = -100.0
"""What digital silence measures."""


def frame_starts(count: int, rate: int, frame_rate_hz: int) -> npt.NDArray[np.intp]:
    """Return the sample at which each of `count` frames begins: int[count], from counters, without drift."""
    return np.arange(count, dtype=np.intp) * rate // frame_rate_hz


def frame_levels_db(samples: Samples, rate: int, frame_rate_hz: int, count: int) -> npt.NDArray[np.float64]:
    """Return the RMS level of `count` frames of 1/`frame_rate_hz` s each: float64[count] in dB full scale.

    Frames past the end of `samples` (float32[N] in [-1, 1]), and samples that are not finite, count as
    silence, which is FLOOR_DB.
    """
    starts = frame_starts(count + 1, rate, frame_rate_hz)
    padded = np.zeros(int(starts[-1]) + 1, np.float64)
    used = min(samples.size, padded.size)
    padded[:used] = np.nan_to_num(samples[:used], nan=0.0, posinf=0.0, neginf=0.0)
    power = np.add.reduceat(padded * padded, starts[:-1]) if count else np.zeros(0)
    length = np.maximum(1, np.diff(starts))
    # reduceat runs on to the end of the array for the last frame; the one sample too many is silent padding.
    levels: npt.NDArray[np.float64] = 10.0 * np.log10(np.maximum(power / length, 10.0 ** (FLOOR_DB / 10)))
    return levels
