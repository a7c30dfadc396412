"""Who draws a mouth into a crop: the lips process, or a model in this very process."""

from __future__ import annotations

import hashlib
from typing import Protocol

from vcam_talker.config import LipsConfig
from vcam_talker.core.types import Pixels
from vcam_talker.face.neural.model import Floats, open_model, warm_up
from vcam_talker.face.neural.package import Package
from vcam_talker.face.neural.sitting import sit
from vcam_talker.persona import Persona


class Drawer(Protocol):
    """Draws mouths of one face at a time. Used from one thread."""

    @property
    def patience_s(self) -> float:
        """How long `draw` may take at most; 0: as long as it takes."""
        ...

    def ready(self, face: int) -> bool:
        """Tell whether `draw` would try for this face. Does not block."""
        ...

    def draw(self, face: int, key: int, crop: Pixels, condition: Floats) -> Pixels | None:
        """Return the crop with the mouth drawn in; None when that can't be had in time."""
        ...


def face_id(persona: Persona, package: Package, size: tuple[int, int]) -> int:
    """Return what names a presenter in a picture of `size`, drawn by a model; 64 bits."""
    text = f"{persona.root}\n{package.digest}\n{size[0]}x{size[1]}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


class LocalDrawer:
    """A `Drawer` in this process: every mouth is drawn, however long it takes."""

    patience_s = 0.0

    def __init__(self, persona: Persona, package: Package, size: tuple[int, int], config: LipsConfig) -> None:
        """Open the model and show it the face. Blocks for seconds. Raises EngineError, PersonaError."""
        sitting = sit(persona, package, size)
        self.face = face_id(persona, package, size)
        self._model = open_model(package, config, sitting.rest)
        self._model.begin(sitting.references)
        warm_up(self._model, package, sitting.crops.size)
        self.label = self._model.label

    def ready(self, face: int) -> bool:
        """Tell whether it is the face that was shown."""
        return face == self.face

    def draw(self, face: int, key: int, crop: Pixels, condition: Floats) -> Pixels | None:
        """Return the crop with the mouth drawn in. Raises EngineError."""
        if face != self.face:
            return None
        return self._model.draw([crop], [key], [condition])[0]

    @property
    def faces_computed(self) -> int:
        """See `LipsModel.faces_computed`."""
        return self._model.faces_computed

    def close(self) -> None:
        """Free memory. Idempotent."""
        self._model.close()
