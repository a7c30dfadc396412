"""Who is to draw the lips of a persona on air: which network, or shapes, and why."""

from __future__ import annotations

from dataclasses import dataclass

from vcam_talker.config import Config
from vcam_talker.core.errors import PersonaError, VcamTalkerError
from vcam_talker.core.types import MOUTH_PARAMS
from vcam_talker.face.neural.package import Package, choose_model, load_package
from vcam_talker.persona import Persona


@dataclass(frozen=True, slots=True)
class LipsChoice:
    """Who is to draw a persona's lips."""

    persona: Persona
    package: Package | None
    """The network; None: none is wanted, or it can't be used."""
    fault: str = ""
    """Why it can't be used, or what follows from there being none."""
    otherwise: str = "shapes"
    """Who draws them while the network can't: `shapes`, or `nobody`, so that the mouth rests."""
    wanted: bool = True
    """Whether a network is to draw them, as soon as it can be used."""


def choose_lips(persona: Persona, config: Config) -> LipsChoice:
    """Look at the model that is to draw the persona's lips. Reads small files. Never raises."""
    shapes, folder, package, fault = True, None, None, ""
    try:
        shapes = persona.face.kind != "clip" or _has_shapes(persona)
        folder = choose_model(persona, config.lips)
        package = load_package(folder) if folder is not None else None
    except VcamTalkerError as e:
        fault = str(e)
    wanted = folder is not None or bool(fault)
    if not wanted and not shapes:
        fault = str(
            PersonaError(
                f"persona '{persona.name}'",
                "has one picture of its mouth, and there is no network to draw others",
                "Name one in lips.model",
            )
        )
    return LipsChoice(persona, package, fault, "shapes" if shapes else "nobody", wanted)


def _has_shapes(persona: Persona) -> bool:
    """Tell whether a persona made of pictures knows mouths but the one at rest. Raises PersonaError."""
    from vcam_talker.face.clip.archive import Archive

    with Archive(persona.root / persona.face.file) as archive:
        return len(archive.floats("shapes", (None, len(MOUTH_PARAMS)), 1.0)) > 1
