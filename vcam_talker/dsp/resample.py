"""Change the sample rate: libsoxr's band-limited interpolation, whole or streamed without clicks."""

from __future__ import annotations

import numpy as np
import soxr

from vcam_talker.core.types import Samples


def resample(samples: Samples, from_rate: float, to_rate: float) -> Samples:
    """Return float32[round(N * to_rate / from_rate)]; rates in Hz, not necessarily whole. Pure."""
    if from_rate == to_rate or samples.size == 0:
        return np.asarray(samples, np.float32)
    result: Samples = soxr.resample(np.asarray(samples, np.float32), from_rate, to_rate, quality="HQ")
    return result


class Resampler:
    """Resamples parts that follow each other as if they were one. Not thread-safe; does not block.

    The filter looks a few milliseconds ahead, so a part's last samples come with the next part;
    `delay_s` says how much is owed. With `last=True` everything is paid out.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._from_rate = from_rate
        self._to_rate = to_rate
        self._taken = 0
        self._given = 0
        self._stream = (
            None
            if from_rate == to_rate
            else soxr.ResampleStream(from_rate, to_rate, num_channels=1, dtype="float32", quality="HQ")
        )

    @property
    def delay_s(self) -> float:
        """Seconds of what was fed that have not come out yet."""
        return self._taken / self._from_rate - self._given / self._to_rate

    def feed(self, samples: Samples, *, last: bool = False) -> Samples:
        """Return what can be given out by now: float32[M]. After `last` the object is used up."""
        self._taken += samples.size
        if self._stream is None:
            out = np.asarray(samples, np.float32)
        else:
            out = self._stream.resample_chunk(np.ascontiguousarray(samples, np.float32), last=last)
        self._given += out.size
        return out
