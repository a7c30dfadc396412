"""The sound network at run time: NumPy and a file of weights, nothing else.

It is small enough (half a million weights) that matrix products of a few hundred frames at a time cost less
than fetching a runtime for it would. `vcam_talker.nets.sound` says what it is; `studio.lips.sound` makes it.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.errors import EngineError
from vcam_talker.core.types import MOUTH_PARAMS, MOUTH_RATE_HZ, Samples
from vcam_talker.dsp.levels import frame_levels_db
from vcam_talker.face.neural import spectrum
from vcam_talker.face.neural.products import product

FORMAT: Final = 1
FACTS: Final = "sound.json"
WEIGHTS: Final = "sound.npz"

LEVEL_DB: Final = -18.0
"""At which the network hears stressed vowels, full scale: in the middle of what it was trained with."""
LEVEL_SLACK_DB: Final = 5.0
FAINT_DB: Final = -55.0
"""What is softer is no speech to measure a level by."""
_GAIN_DB: Final = 30.0
_TRUSTED_POSES: Final = 8

_POSES: Final = len(MOUTH_PARAMS)
_WIDTH: Final = MOUTH_PARAMS.index("width")
_BLOCK: Final = 512
"""Poses worked on at once; bounds memory for a speech of any length."""

Array = npt.NDArray[np.float32]
Taps = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the network makes of some frames of sound."""

    poses: Array
    """float32[T, 7]; `width` in -1 .. 1, the others in 0 .. 1."""
    shut: Array
    """float32[T]: how likely the lips are pressed together, 0 .. 1."""
    rest: Array
    """float32[T]: how likely nobody speaks, 0 .. 1."""


class SoundNet:
    """Frames of sound to mouth poses. Stateless; may be shared by threads; costs about 1 % of real time."""

    def __init__(self, taps: Taps, weights: dict[str, Array]) -> None:
        """`taps` as in `nets.sound.SoundPlan`, `weights` float32, as its `folded` names them."""
        self._taps = taps
        self._weights = weights
        self.past = -sum(min(t) for t in taps)
        """Frames that an answer needs before its own."""
        self.ahead = sum(max(t) for t in taps)
        """Frames that an answer needs behind its own."""

    @classmethod
    def load(cls, folder: Path) -> SoundNet:
        """Read FACTS and WEIGHTS of a folder. Raises EngineError that names what is wrong."""
        try:
            facts = json.loads((folder / FACTS).read_text("utf-8"))
            if facts["format"] != FORMAT or facts["bands"] != spectrum.BANDS:
                raise ValueError(f"{FACTS} is made for another version")
            raw = (folder / WEIGHTS).read_bytes()
            if hashlib.sha256(raw).hexdigest() != facts["sha256"]:
                raise ValueError(f"{WEIGHTS} is damaged")
            taps = tuple(tuple(int(t) for t in row) for row in facts["taps"])
            with np.load(io.BytesIO(raw), allow_pickle=False) as file:
                weights = {name: file[name].astype(np.float32) for name in file.files}
            _check(taps, weights)
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as e:
            raise EngineError(
                "the sound network",
                f"{folder}: {e}",
                "Install vcam-talker again, or choose the driver 'phonemes'",
            ) from e
        return cls(taps, weights)

    def __call__(self, heard: spectrum.Bands) -> Answer:
        """Return poses for all frames but the first `past` and the last `ahead` of `heard`.

        float32[past + T + ahead, BANDS] -> T poses. A pose depends on its own stretch alone.
        """
        count = len(heard) - self.past - self.ahead
        rows = [
            self._some(heard[at : min(at + _BLOCK, count) + self.past + self.ahead])
            for at in range(0, count, _BLOCK)
        ]
        out = np.concatenate(rows) if rows else np.zeros((0, _POSES + 2), np.float32)
        sure = _sigmoid(out)
        poses = sure[:, :_POSES]
        poses[:, _WIDTH] = np.tanh(out[:, _WIDTH])
        return Answer(poses, sure[:, _POSES], sure[:, _POSES + 1])

    def _some(self, x: Array) -> Array:
        first, *others = self._taps
        x = np.maximum(self._look("first", x, first), 0)
        for index, taps in enumerate(others):
            mixed = self._look(f"mix.{index}", np.maximum(self._look(f"look.{index}", x, taps), 0), (0,))
            kept = x[-min(taps) : len(x) - max(taps)]
            x = np.maximum(kept + mixed, 0)
        x = np.maximum(self._look("neck", x, (0,)), 0)
        return self._look("last", x, (0,))

    def _look(self, name: str, x: Array, taps: tuple[int, ...]) -> Array:
        """Return the convolution of `x` float32[T, C] over `taps`, float32[T - span, D]."""
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        low, count = min(taps), len(x) - (max(taps) - min(taps))
        out = product(x[taps[0] - low : taps[0] - low + count], weight[0])
        for tap, matrix in zip(taps[1:], weight[1:], strict=True):
            out += product(x[tap - low : tap - low + count], matrix)
        out += bias
        return out


class Listener:
    """Hears a speech part by part. Remembers what the network needs of the parts before; not thread-safe.

    Soft and loud recordings are brought to one level. It is kept from part to part until it is off by more
    than LEVEL_SLACK_DB, so that the parts of a speech sound alike.
    """

    def __init__(self, net: SoundNet) -> None:
        self._net = net
        self._rate = 0
        self.reset()

    @property
    def ahead(self) -> int:
        """So many poses at the end of a part that isn't the last are made without knowing what comes."""
        return self._net.ahead + 1

    def reset(self) -> None:
        """Forget the parts before."""
        self._before: Samples = np.zeros(0, np.float32)
        self.level_db = -math.inf
        """Of the speaker's stressed vowels, full scale; -inf while nobody has spoken."""

    def hear(self, samples: Samples, rate: int, count: int, *, last: bool) -> Answer:
        """Return `count` poses, one per 1/MOUTH_RATE_HZ s from the first of `samples` (float32[N]) on."""
        if rate != self._rate:
            self.reset()
            self._rate = rate
        net = self._net
        whole = np.concatenate((self._before, np.asarray(samples, np.float32)))
        moments = np.arange(-net.past, count + (net.ahead if last else -1), dtype=np.intp)
        centres = moments * rate // MOUTH_RATE_HZ + self._before.size
        heard = spectrum.bands(
            whole * np.float32(10 ** (self._gain_db(samples, rate, count) / 20)), rate, centres
        )
        if not last:
            # The last window reaches into what comes next; hold what was heard before it.
            held = np.repeat(heard[-1:], net.ahead + 1, axis=0)
            heard = np.concatenate((heard, held))
        kept = (net.past + 2) * rate // MOUTH_RATE_HZ + spectrum.window_size(rate)
        self._before = np.zeros(0, np.float32) if last else whole[-kept:].copy()
        return net(heard)

    def _gain_db(self, samples: Samples, rate: int, count: int) -> float:
        """Return what brings this part's stressed vowels to LEVEL_DB."""
        levels = frame_levels_db(samples, rate, MOUTH_RATE_HZ, count)
        loud = levels[levels > max(FAINT_DB, float(levels.max()) - 25.0)]
        if loud.size >= _TRUSTED_POSES:
            level_db = float(np.percentile(loud, 80))
            if abs(level_db - self.level_db) > LEVEL_SLACK_DB:
                self.level_db = level_db
        if math.isinf(self.level_db):
            return 0.0
        return min(_GAIN_DB, max(-_GAIN_DB, LEVEL_DB - self.level_db))


@lru_cache(maxsize=1)
def shipped() -> SoundNet:
    """Return the network that comes with the package, read once, in some 10 ms. Raises EngineError."""
    with resources.as_file(resources.files("vcam_talker") / "models" / "sound") as folder:
        return SoundNet.load(folder)


def _check(taps: Taps, weights: dict[str, Array]) -> None:
    """Raise ValueError unless each layer takes what the one before gives."""
    layers = [("first", len(taps[0]))]
    for index, row in enumerate(taps[1:]):
        layers += [(f"look.{index}", len(row)), (f"mix.{index}", 1)]
    width = spectrum.BANDS
    for name, count in (*layers, ("neck", 1), ("last", 1)):
        shape, out = weights[f"{name}.weight"].shape, weights[f"{name}.bias"].size
        if shape != (count, width, out):
            raise ValueError(f"{name} has the shape {shape}")
        width = out
    if width != _POSES + 2:
        raise ValueError(f"it gives {width} figures")


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))), np.float32)
