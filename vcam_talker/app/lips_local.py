"""Who draws the lips in offline programs: a network in the program's own process, or shapes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from vcam_talker.config import Config
from vcam_talker.core.errors import PersonaError, VcamTalkerError
from vcam_talker.core.types import Pixels, Samples
from vcam_talker.face.neural.package import Package, choose_model, load_package
from vcam_talker.persona import Persona

if TYPE_CHECKING:
    from vcam_talker.face.clip.scene import MouthMaker

log = logging.getLogger(__name__)


class LocalLips:
    """A network in this very process, for offline programs: every mouth is drawn, however long it takes."""

    def __init__(self, persona: Persona, config: Config) -> None:
        """Open the model that is to draw the persona's lips, if there is one. Blocks for seconds.

        Raises PersonaError; ConfigError, EngineError: who named a network gets it or an error. Where the
        shipped one can't be used, shapes draw the mouths, and the log says so.
        """
        self.mouths: MouthMaker | None = None
        """Who draws the mouths; None: the shapes."""
        self._drawer: _LocalDrawer | None = None
        size = (config.air.width, config.air.height)
        try:
            folder = choose_model(persona, config.lips)
            if folder is None:
                return
            from vcam_talker.face.neural.patches import neural_mouths

            package = load_package(folder)
            self._drawer = _LocalDrawer(persona, package, size, config)
            self.mouths = neural_mouths(persona, package, size, self._drawer)
        except PersonaError:
            raise  # shapes could not draw such a persona either
        except VcamTalkerError as e:
            if config.lips.model or persona.face.lips:
                raise
            log.warning("%s; shapes draw the lips", e)

    def check(self) -> None:
        """Raise what went wrong while mouths were drawn, EngineError: shapes drew them from then on."""
        if self._drawer is not None and self._drawer.fault is not None:
            raise self._drawer.fault

    def close(self) -> None:
        """Free memory. Idempotent."""
        if self._drawer is not None:
            self._drawer.close()


class _LocalDrawer:
    """A `face.neural.drawer.LocalDrawer` whose first error is kept: a painter would show a still picture."""

    patience_s = 0.0

    def __init__(self, persona: Persona, package: Package, size: tuple[int, int], config: Config) -> None:
        from vcam_talker.face.neural.drawer import LocalDrawer

        self._drawer = LocalDrawer(persona, package, size, config.lips)
        self.fault: VcamTalkerError | None = None

    def ready(self, face: int) -> bool:
        return self.fault is None and self._drawer.ready(face)

    def draw(self, face: int, key: int, crop: Pixels, condition: Samples) -> Pixels | None:
        try:
            return self._drawer.draw(face, key, crop, condition)
        except VcamTalkerError as e:
            self.fault = e
            return None

    def close(self) -> None:
        self._drawer.close()
