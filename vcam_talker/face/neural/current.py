"""Mouths by whichever model there is at the moment: one that is mended or exchanged needs no new scene."""

from __future__ import annotations

import logging
from collections.abc import Callable

from vcam_talker.core.errors import PersonaError
from vcam_talker.core.stages import SceneNeeds
from vcam_talker.core.types import MouthPose
from vcam_talker.face.clip.assets import FaceAssets
from vcam_talker.face.clip.patch import Moment, Patch, PatchSource
from vcam_talker.face.neural.drawer import Drawer
from vcam_talker.face.neural.package import Package
from vcam_talker.face.neural.patches import neural_mouths
from vcam_talker.persona import Persona

log = logging.getLogger(__name__)

Current = Callable[[], Package | None]
"""Tells the model of the moment; None: there is none. Does not block."""


class CurrentPatches:
    """PatchSource: the shapes, or a `NeuralPatches` over them while there is a model. As patient as that."""

    def __init__(
        self, shapes: PatchSource, make: Callable[[PatchSource, Package], PatchSource], current: Current
    ) -> None:
        """`make` returns who draws with a model; of one that it raises PersonaError for, shapes draw."""
        self._shapes = shapes
        self._make = make
        self._current = current
        self._package: Package | None = None
        self._source = shapes
        self._try_follow()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the shapes' patches."""
        return self._shapes.size

    @property
    def needs(self) -> SceneNeeds:
        """What whoever draws them asks for."""
        return self._source.needs

    def patch(self, moment: Moment) -> Patch | None:
        """Return the patch for a moment; None at rest. Takes some milliseconds more when the model is new."""
        self._try_follow()
        return self._source.patch(moment)

    def aperture_px(self, mouth: MouthPose) -> float:
        """Return the gap between the lips of the shapes, which networks follow."""
        return self._shapes.aperture_px(mouth)

    def _try_follow(self) -> None:
        try:
            self._follow()
        except PersonaError as e:
            log.warning("%s; shapes draw the mouth", e)

    def _follow(self) -> None:
        package = self._current()
        if package is self._package:
            return
        # Noted first: what can't be made is not tried again in every frame.
        self._package, self._source = package, self._shapes
        if package is not None:
            self._source = self._make(self._shapes, package)


def current_mouths(
    persona: Persona, size: tuple[int, int], drawer: Drawer, current: Current
) -> Callable[[PatchSource, FaceAssets], PatchSource]:
    """Return what makes a scene of `size` have its mouths drawn by the model of the moment.

    It is a `ClipScene`'s `mouths`, as `neural_mouths` returns for one model.
    """

    def make(shapes: PatchSource, assets: FaceAssets) -> PatchSource:
        def of(over: PatchSource, package: Package) -> PatchSource:
            return neural_mouths(persona, package, size, drawer)(over, assets)

        return CurrentPatches(shapes, of, current)

    return make
