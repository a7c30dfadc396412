"""Draws a mouth from its pose: skin is fetched from the face at rest, teeth from a picture of the open mouth.

The network is `nets.lips`, and paints what neither shows; all it says is brought to the crop's own size, so
that skin and teeth keep the sharpness of the clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.config import LipsConfig
from vcam_talker.core.types import MOUTH_PARAMS, Pixels
from vcam_talker.face.clip.resample import averaged, bilinear, blended, fetched, lit
from vcam_talker.face.neural.batches import filled, in_batches
from vcam_talker.face.neural.crops import to_rgb, to_yuv
from vcam_talker.face.neural.features import Features, unbatched
from vcam_talker.face.neural.lookalikes import Lookalikes
from vcam_talker.face.neural.package import Package
from vcam_talker.face.neural.sessions import Opener, checked_channels, checked_ports, open_part

Floats = npt.NDArray[np.float32]

_CACHE_BYTES: Final = 48_000_000
"""Some 135 faces: more than most clips have looks."""
_MAPS: Final = "maps"
_CHANNELS: Final = {"flow": 4, "shade": 3, "alpha": 8, "paint": 12}
"""Of the maps that lie behind each other in the network's one output (`nets.lips`)."""
_BORDERS: Final = tuple(accumulate(_CHANNELS.values()))[:-1]
_HALF_OPEN: Final = 0.5
"""What engines are measured with."""


class PoseModel:
    """A `LipsModel` of kind `pose`."""

    def __init__(
        self,
        package: Package,
        config: LipsConfig,
        face: Pixels,
        batch: int = 1,
        opener: Opener = open_part,
    ) -> None:
        """Open `face` and `mouth`. See `model.open_model`."""
        self._size = package.spec.size
        self._batch = batch
        picture = self._fed(to_rgb(face))
        self._face = opener(package, config, "face", {"rest": picture, "other": picture})
        checked_ports(package, self._face, "face", {"rest", "other"}, set())
        features = self._face.run({"rest": picture, "other": picture})
        example = {name: np.repeat(values, batch, 0) for name, values in features.items()}
        example["pose"] = np.full((batch, len(MOUTH_PARAMS)), _HALF_OPEN, np.float32)
        self._mouth = opener(package, config, "mouth", example)
        checked_ports(package, self._mouth, "mouth", {"pose"}, {_MAPS})
        maps = self._mouth.run(example)[_MAPS]
        checked_channels(package, "mouth", _MAPS, maps, sum(_CHANNELS.values()))
        self._uses = [port.name for port in self._mouth.inputs if port.name != "pose"]
        self.label = f"{package.spec.label} on {self._mouth.engine}, {self._mouth.precision}"
        self._kept = Lookalikes(_CACHE_BYTES)
        self._other: tuple[Pixels, Floats] | None = None
        """The face with its mouth open: as it is, and as the network takes it."""
        self._grids: dict[tuple[int, int], Floats] = {}

    def begin(self, references: Sequence[Pixels]) -> None:
        """Take another face. See `LipsModel.begin`."""
        self._kept.clear()
        self._other = None
        if references:
            rgb = to_rgb(references[0])
            self._other = rgb, self._fed(rgb)

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
        for session in (self._face, self._mouth):
            session.close()

    def _draw(
        self, crops: Sequence[Pixels], keys: Sequence[int], conditions: Sequence[Floats]
    ) -> list[Pixels]:
        pictures = [to_rgb(crop) for crop in crops]
        features = [self._features(rgb, key) for rgb, key in zip(pictures, keys, strict=True)]
        # What fills up a batch is thrown away.
        rows = filled(len(crops), self._batch)
        feeds = {name: np.stack([features[row][name] for row in rows]) for name in self._uses}
        feeds["pose"] = np.stack([conditions[row] for row in rows]).astype(np.float32)
        answer = np.asarray(self._mouth.run(feeds)[_MAPS], np.float32)
        return [to_yuv(self._composed(rgb, answer[n])) for n, rgb in enumerate(pictures)]

    def _features(self, rgb: Pixels, key: int) -> Features:
        def compute(face: Floats) -> Features:
            rest = face[None]
            other = rest if self._other is None else self._other[1]
            return unbatched(self._face.run({"rest": rest, "other": other}), 0)

        return self._kept.of(key, lambda: self._fed(rgb)[0], compute)

    def _fed(self, rgb: Pixels) -> Floats:
        """Return a picture as the network takes it, float32[1, h, w, 3] in [0, 1]."""
        rows, columns = self._size
        resized = averaged if columns < rgb.shape[1] else bilinear
        return resized(rgb, (columns, rows)).astype(np.float32)[None] / np.float32(255)

    def _composed(self, rgb: Pixels, maps: Floats) -> Pixels:
        """Return rest warped and shaded, the other picture and the paint over it (`nets.lips.composed`).

        All in the picture's own size. `maps`: float32[h, w, 27].
        """
        flow, shade, alpha, paint = np.split(maps, _BORDERS, axis=2)
        rows, columns = rgb.shape[:2]
        size = (columns, rows)
        other = rgb if self._other is None else self._other[0]
        light = bilinear(np.ascontiguousarray(shade), size)
        light += np.float32(1)
        skin = lit(self._warped(rgb, flow[..., :2], size), light)
        shares = unfolded(alpha)
        made = blended(skin, self._warped(other, flow[..., 2:], size), _share(shares[..., 0], size))
        colours = np.clip(unfolded(paint) * np.float32(255) + np.float32(0.5), 0.0, 255.0).astype(np.uint8)
        return blended(made, bilinear(colours, size), _share(shares[..., 1], size))

    def _warped(self, rgb: Pixels, flow: Floats, size: tuple[int, int]) -> Pixels:
        places = bilinear(flow * np.array(size, np.float32), size)
        places += self._grid(size)
        return fetched(rgb, places)

    def _grid(self, size: tuple[int, int]) -> Floats:
        found = self._grids.get(size)
        if found is None:
            x, y = np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32)
            found = self._grids[size] = np.stack(np.meshgrid(x, y), -1)
        return found


def unfolded(folded: Floats) -> Floats:
    """Return float32[2h, 2w, c] of float32[h, w, 4c] (`nets.lips.unfolded`)."""
    rows, columns = folded.shape[:2]
    apart = folded.reshape(rows, columns, -1, 2, 2).transpose(0, 3, 1, 4, 2)
    return apart.reshape(2 * rows, 2 * columns, -1)


def _share(alpha: Floats, size: tuple[int, int]) -> Floats:
    return bilinear(np.clip(alpha, 0.0, 1.0), size)
