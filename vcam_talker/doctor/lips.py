"""Checks of who draws the configured persona's lips: a network, or shapes and why. Loads none."""

from __future__ import annotations

from pathlib import Path

from vcam_talker.config import Config
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.extras import how_to_install
from vcam_talker.doctor.finding import Finding, Machine
from vcam_talker.face.neural.package import NO_MODEL, Package, choose_model, load_package
from vcam_talker.inference.candidates import candidates
from vcam_talker.inference.model import find_model
from vcam_talker.inference.processor import this_processor
from vcam_talker.persona import Persona, load_persona

_AREA = "lips"


def check_lips(config: Config, machine: Machine) -> list[Finding]:
    """Look for the model that is to draw them, at its files, and at what could run it."""
    persona = load_persona(config.persona)
    if persona.face.kind != "clip":
        return []
    try:
        folder = choose_model(persona, config.lips)
        if folder is None:
            return [
                Finding(_AREA, "ok", f"shapes draw those of {persona.name}: {_why_none(persona, config)}")
            ]
        package = load_package(folder)
        forms = {part: package.look(part) for part in package.spec.parts}
    except VcamTalkerError as e:
        return [Finding(_AREA, "warn", f"shapes draw those of {persona.name}: {e.what}: {e.why}", e.remedy)]
    path, variants, _ = forms["mouth"]
    left_out = [
        Finding(_AREA, "warn", f"{fault.what}: {fault.why}", fault.remedy)
        for _, _, faults in forms.values()
        for fault in faults
    ]
    return [_engines(config, machine, persona, package, (path, variants)), *left_out]


def _why_none(persona: Persona, config: Config) -> str:
    if config.lips.enabled == "off":
        return 'lips.enabled is "off"'
    if persona.face.lips == NO_MODEL:
        return "the persona wants no network"
    return "no network is there"


def _engines(
    config: Config, machine: Machine, persona: Persona, package: Package, mouth: tuple[Path, tuple[Path, ...]]
) -> Finding:
    processor = this_processor(machine.root)
    model = find_model(mouth[0], mouth[1])
    found, lacking = candidates(model, config.lips.engine, config.lips.precision, processor)
    whose = f"those of {persona.name}"
    if found:
        names = ", ".join(dict.fromkeys(each.engine for each in found))
        which = f"the fastest of {names}" if len(found) > 1 else names
        return Finding(_AREA, "ok", f"'{package.spec.label}' draws {whose}, on {which}")
    why = f"{lacking[0].what}: {lacking[0].why}" if lacking else "nothing runs it here"
    remedy = (lacking[0].remedy if lacking else "") or how_to_install("lips")
    return Finding(_AREA, "warn", f"shapes draw {whose}, not '{package.spec.label}': {why}", remedy)
