"""Mouths drawn by a network, over those between pre-rendered shapes, which stand in whenever it can't."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from vcam_talker.core.stages import SceneNeeds
from vcam_talker.core.types import MouthPose, Pixels
from vcam_talker.face.clip.assets import FaceAssets
from vcam_talker.face.clip.mouth_space import openness
from vcam_talker.face.clip.patch import Moment, Patch, PatchSource
from vcam_talker.face.clip.shapes import strength_of
from vcam_talker.face.neural.crops import Crops
from vcam_talker.face.neural.drawer import Drawer, face_id
from vcam_talker.face.neural.model import SOUND_S, Floats
from vcam_talker.face.neural.package import Package
from vcam_talker.persona import Persona

_FADE_NS: Final = 100_000_000
"""From the shapes to the network and back."""


class NeuralPatches:
    """PatchSource. One thread; waits for the drawer's patience at most.

    What is shown is the shapes' mouth plus a share of what the network's differs from it by. When the network
    falls silent, the difference it left last fades out over the shapes of the moment, so that colours do not
    jump though the mouth goes on.
    """

    def __init__(
        self, shapes: PatchSource, crops: Crops, face: int, package: Package, drawer: Drawer
    ) -> None:
        """`face`: what `drawer` knows the presenter by; `shapes` stand in for it."""
        self._shapes = shapes
        self._crops = crops
        self._face = face
        self._hears = package.spec.condition == "mel"
        self._drawer = drawer
        self._share = 0.0
        """Of the network: 0 .. 1."""
        self._at_ns: int | None = None
        """When it was asked last. One that is made in mid-word comes from nothing, as any other."""
        self._last: tuple[Moment, Pixels] | None = None
        """The latest that the network drew."""
        self._difference: Floats | None = None
        """What that one differed from the shapes by, once the network has fallen silent."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the shapes' patches."""
        return self._shapes.size

    @property
    def needs(self) -> SceneNeeds:
        """Time to wait for the network, and the sound if it listens; nothing while there is none."""
        if not self._drawer.ready(self._face):
            return self._shapes.needs
        return SceneNeeds(SOUND_S if self._hears else (0.0, 0.0), self._drawer.patience_s)

    def patch(self, moment: Moment) -> Patch | None:
        """Return the patch for a moment; None at rest."""
        since_ns = 0 if self._at_ns is None else moment.pts - self._at_ns
        self._at_ns = moment.pts
        step = min(max(since_ns / _FADE_NS, 0.0), 1.0)
        strength = strength_of(moment.mouth)
        if strength == 0.0:
            # The clip's own mouth shows: whoever draws the next one comes from nothing.
            self._share = 1.0 if self._drawer.ready(self._face) else 0.0
            self._last = self._difference = None
            return None
        drawn = self._draw(moment)
        if drawn is None:
            return self._without(moment, step, strength)
        self._last, self._difference = (moment, drawn), None
        self._share = min(self._share + step, 1.0)
        if self._share == 1.0:
            return self._crops.patch(drawn, strength)
        plain = self._plain(moment)
        return self._mixed(plain, _difference(drawn, plain), strength)

    def aperture_px(self, mouth: MouthPose) -> float:
        """Return the gap between the lips of the shapes, which the network follows."""
        return self._shapes.aperture_px(mouth)

    def _draw(self, moment: Moment) -> Pixels | None:
        condition = moment.sound if self._hears else moment.mouth
        if condition is None or not self._drawer.ready(self._face):
            return None
        return self._drawer.draw(self._face, moment.frame, self._crops.of(moment), condition)

    def _without(self, moment: Moment, step: float, strength: float) -> Patch | None:
        """Return the shapes' mouth, with what is left of the network's colours."""
        self._share = max(self._share - step, 0.0)
        # Nothing is left of an open mouth where lips touch.
        if self._share == 0.0 or self._last is None or openness(moment.mouth) == 0.0:
            return self._shapes.patch(moment)
        if self._difference is None:
            before, drawn = self._last
            self._difference = _difference(drawn, self._plain(before))
        return self._mixed(self._plain(moment), self._difference, strength)

    def _plain(self, moment: Moment) -> Pixels:
        """Return the shapes' mouth as a crop; the clip's own where there are no shapes."""
        patch = self._shapes.patch(moment)
        return self._crops.of(moment) if patch is None else self._crops.seen(patch)

    def _mixed(self, plain: Pixels, difference: Floats, strength: float) -> Patch:
        mixed = difference * np.float32(self._share)
        mixed += plain
        mixed += np.float32(0.5)
        return self._crops.patch(np.clip(mixed, 0.0, 255.0).astype(np.uint8), strength)


def _difference(drawn: Pixels, plain: Pixels) -> Floats:
    return np.subtract(drawn, plain, dtype=np.float32)


def neural_mouths(
    persona: Persona, package: Package, size: tuple[int, int], drawer: Drawer
) -> Callable[[PatchSource, FaceAssets], PatchSource]:
    """Return what makes a scene of `size` have its mouths drawn by `drawer` (`ClipScene`'s `mouths`)."""

    def make(shapes: PatchSource, assets: FaceAssets) -> PatchSource:
        crops = Crops(assets, package.spec.region.region(), package.spec.size)
        return NeuralPatches(shapes, crops, face_id(persona, package, size), package, drawer)

    return make
