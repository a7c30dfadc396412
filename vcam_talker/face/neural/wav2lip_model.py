"""Draws a mouth from the sound around a moment, with a network of Wav2Lip's class (arXiv 2008.10010).

The network sees a face twice, once with its lower half blacked out, and draws that lower half. What it
computed of a frame's face is kept; the sound and the drawing are new for every picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.config import LipsConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.core.types import SAMPLE_RATE, Pixels
from vcam_talker.dsp.mel import MEL_SAMPLE_RATE, mel_input, mel_window
from vcam_talker.dsp.resample import resample
from vcam_talker.face.clip.resample import averaged, bicubic, bilinear
from vcam_talker.face.neural.batches import filled, in_batches
from vcam_talker.face.neural.crops import to_rgb, to_yuv
from vcam_talker.face.neural.features import FeatureCache, Features, unbatched
from vcam_talker.face.neural.model import SOUND_S, condition_length
from vcam_talker.face.neural.package import Package
from vcam_talker.face.neural.sessions import Opener, checked_ports, open_part

Floats = npt.NDArray[np.float32]

_CACHE_BYTES: Final = 192_000_000
"""Some 160 frames of the full-size network."""
_SEAM: Final = 0.06
"""Of the picture's height: over which the drawn half comes in."""


class Wav2LipModel:
    """A `LipsModel` of kind `wav2lip`."""

    def __init__(
        self,
        package: Package,
        config: LipsConfig,
        face: Pixels,
        batch: int = 1,
        opener: Opener = open_part,
    ) -> None:
        """Open `sound`, `face` and `mouth`. See `model.open_model`."""
        self._size = package.spec.size
        self._batch = batch
        # What engines are measured with: noise is as loud as speech in every band.
        noise = np.random.default_rng(1).normal(0.0, 0.1, condition_length(package)).astype(np.float32)
        mels = mel_input(np.repeat(_mel(noise)[None], batch, 0))
        faces = self._fed(to_rgb(face))
        self._sound = opener(package, config, "sound", {"mel": mels})
        checked_ports(package, self._sound, "sound", {"mel"}, set())
        self._face = opener(package, config, "face", {"face": faces})
        checked_ports(package, self._face, "face", {"face"}, set())
        example = dict(self._sound.run({"mel": mels}))
        features = self._face.run({"face": faces})
        example |= {name: np.repeat(values, batch, 0) for name, values in features.items()}
        self._mouth = opener(package, config, "mouth", example)
        checked_ports(package, self._mouth, "mouth", set(example), {"lower"})
        self._check(package, self._mouth.run(example)["lower"].shape)
        self.label = f"{package.spec.label} on {self._mouth.engine}, {self._mouth.precision}"
        self._kept = FeatureCache(_CACHE_BYTES)

    def begin(self, references: Sequence[Pixels]) -> None:  # noqa: ARG002 - the face itself is its reference
        """Take another face. See `LipsModel.begin`."""
        self._kept.clear()

    def draw(
        self, crops: Sequence[Pixels], keys: Sequence[int], conditions: Sequence[Floats]
    ) -> list[Pixels]:
        """Return the crops with their mouths. See `LipsModel.draw`."""
        return in_batches(self._draw, self._batch, crops, keys, conditions)

    @property
    def faces_computed(self) -> int:
        """How often the network has looked at a face. See `LipsModel.faces_computed`."""
        return self._kept.computed

    def close(self) -> None:
        """Free memory. Idempotent."""
        self._kept.clear()
        for session in (self._sound, self._face, self._mouth):
            session.close()

    def _draw(
        self, crops: Sequence[Pixels], keys: Sequence[int], conditions: Sequence[Floats]
    ) -> list[Pixels]:
        pictures = [to_rgb(crop) for crop in crops]
        features = [self._features(rgb, key) for rgb, key in zip(pictures, keys, strict=True)]
        # What fills up a batch is thrown away.
        rows = filled(len(crops), self._batch)
        mels = [_mel(sound) for sound in conditions]
        feeds = self._sound.run({"mel": mel_input(np.stack([mels[row] for row in rows]))})
        feeds |= {name: np.stack([features[row][name] for row in rows]) for name in features[0]}
        answer = self._mouth.run(feeds)["lower"]
        return [to_yuv(_laid(rgb, lower)) for rgb, lower in zip(pictures, answer, strict=False)]

    def _features(self, rgb: Pixels, key: int) -> Features:
        return self._kept.of(key, lambda: unbatched(self._face.run({"face": self._fed(rgb)}), 0))

    def _fed(self, rgb: Pixels) -> Floats:
        """Return a picture as the network takes it, float32[1, 6, h, w]."""
        rows, columns = self._size
        resized = averaged if columns < rgb.shape[1] else bilinear
        small = resized(rgb, (columns, rows))[:, :, ::-1].astype(np.float32) / np.float32(255)
        hidden = small.copy()
        hidden[rows // 2 :] = 0.0
        return np.ascontiguousarray(np.concatenate([hidden, small], 2).transpose(2, 0, 1)[None])

    def _check(self, package: Package, shape: tuple[int, ...]) -> None:
        rows, columns = self._size
        if tuple(shape[1:]) != (3, rows // 2, columns):
            raise EngineError(
                str(package.folder),
                f"draws {shape}, not the lower half of {rows}x{columns}",
                "Export it anew",
            )


def _mel(sound: Floats) -> Floats:
    """Return the window that begins at the moment, float32[16, 80]."""
    heard = resample(sound, SAMPLE_RATE, MEL_SAMPLE_RATE)
    return mel_window(heard, -round(SOUND_S[0] * MEL_SAMPLE_RATE), 0)


def _laid(rgb: Pixels, lower: Floats) -> Pixels:
    """Return the picture with its lower half replaced by float32[3, h, w], BGR in [0, 1]."""
    rows, columns = rgb.shape[:2]
    half = rows // 2
    drawn = np.ascontiguousarray(lower[::-1].transpose(1, 2, 0), np.float32) * np.float32(255)
    sized = bicubic if columns > drawn.shape[1] else averaged
    drawn = np.clip(sized(drawn, (columns, half)), 0.0, 255.0)
    at = (np.arange(half, dtype=np.float32) + np.float32(0.5)) / max(_SEAM * rows, 1.0)
    share = np.clip(at, 0.0, 1.0)
    share = (share * share * (3.0 - 2.0 * share))[:, None, None]
    below = rgb[rows - half :].astype(np.float32)
    below += (drawn - below) * share
    found = rgb.copy()
    found[rows - half :] = (below + np.float32(0.5)).astype(np.uint8)
    return found
