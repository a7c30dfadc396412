"""Checks of hearing: what it would listen to, and what it would understand with."""

from __future__ import annotations

import shutil
import sys

from vcam_talker.air.sinks.pulse import can_start_server, connect, losses
from vcam_talker.asr.models import find_model
from vcam_talker.config import Config
from vcam_talker.core.errors import DeviceError, EngineError, PersonaError
from vcam_talker.core.extras import how_to_install
from vcam_talker.doctor.finding import Finding, Machine
from vcam_talker.doctor.software import installed_version
from vcam_talker.persona import load_persona
from vcam_talker.senses.source import EarSource

_HOW_TO_CHOOSE = "See ears.engine, ears.model and ears.language"


def check_ears(config: Config, _machine: Machine) -> list[Finding]:
    """Say which recogniser would be chosen and why, and what it lacks. Loads no model."""
    ears = config.ears
    if ears.mode == "off":
        return [Finding("ears", "ok", "it does not listen: ears.mode is off")]
    found = []
    if not (installed_version("onnxruntime") and installed_version("faster-whisper")):
        message = "no Silero VAD: voices are told from noise by loudness alone"
        found.append(Finding("ears", "warn", message, how_to_install("asr")))
    language = ears.language or _persona_language(config)
    faults: list[EngineError] = []
    for engine in ("faster-whisper", "pocketsphinx") if ears.engine == "auto" else (ears.engine,):
        try:
            shown = _whisper(config, language) if engine == "faster-whisper" else _sphinx(language)
        except EngineError as e:
            faults.append(e)
            continue
        if faults:
            missing = faults[0]
            message = f"{shown}, which misunderstands much: {missing.what} {missing.why}"
            return [*found, Finding("ears", "warn", message, missing.remedy or _HOW_TO_CHOOSE)]
        return [*found, Finding("ears", "ok", shown)]
    lost = "it understands nothing"
    found += [Finding("ears", "fail", f"{lost}: {fault.what} {fault.why}", fault.remedy) for fault in faults]
    return found


def _persona_language(config: Config) -> str:
    try:
        return load_persona(config.persona).language
    except PersonaError:  # has a finding of its own
        return "en"


def _whisper(config: Config, language: str) -> str:
    """Return how faster-whisper would hear. Raises EngineError."""
    version = _need("faster-whisper")
    _need("ctranslate2")
    folder = find_model(config.ears.model)
    if folder.name.endswith(".en") and language.partition("-")[0].lower() != "en":
        what = f"model '{folder.name}'"
        raise EngineError(what, f"hears English only, not '{language}'", "Use a model without '.en'")
    return f"hears '{language}' with faster-whisper {version}, model {folder.name}"


def _sphinx(language: str) -> str:
    """Return how pocketsphinx would hear. Raises EngineError."""
    version = _need("pocketsphinx")
    if language.partition("-")[0].lower() != "en":
        remedy = "Run: vcam-talker models get base"
        raise EngineError("pocketsphinx", f"hears English only, not '{language}'", remedy)
    return f"hears English with pocketsphinx {version}"


def _need(distribution: str) -> str:
    """Return its version. Raises EngineError."""
    if found := installed_version(distribution):
        return found
    raise EngineError(distribution, "is not installed", how_to_install("asr"))


def check_listening(config: Config, _machine: Machine) -> list[Finding]:
    """See whether what `ears.mode` names can be recorded. Makes no virtual speaker."""
    if config.ears.mode == "off":
        return []
    if sys.platform != "linux":
        return [Finding("ears", "warn", "listening needs PulseAudio or PipeWire", "Run it on Linux")]
    if shutil.which("parec") is None:
        message = "nothing can be recorded: parec is missing"
        return [Finding("ears", "fail", message, "apt-get install pulseaudio-utils")]
    try:
        return [_call(config) if config.ears.mode == "call" else _microphone(config)]
    except (DeviceError, ImportError, OSError) as e:
        if isinstance(e, DeviceError) and e.what == "ears":
            return [Finding("ears", "fail", f"it hears nothing: {e.why}", e.remedy)]
        return [_without_server(config, e)]


def _call(config: Config) -> Finding:
    name = config.ears.speaker_name
    pulse = connect()
    try:
        with losses():
            there = any(sink.name == name for sink in pulse.sink_list())
    finally:
        pulse.close()
    state = "is there" if there else "is made when it goes on air"
    return Finding("ears", "ok", f"speaker '{name}' {state}; a call that plays into it is heard")


def _microphone(config: Config) -> Finding:
    source = EarSource(config.ears, config.microphone)
    try:
        return Finding("ears", "ok", f"it listens to '{source.open()}'")
    finally:
        source.close()


def _without_server(config: Config, error: Exception) -> Finding:
    if config.ears.mode == "call" and config.microphone.start_sound_server and can_start_server():
        message = f"speaker '{config.ears.speaker_name}' is made once the sound server has been started"
        return Finding("ears", "ok", message)
    remedy = error.remedy if isinstance(error, DeviceError) else "apt-get install libpulse0"
    return Finding("ears", "fail", f"it hears nothing: {error}", remedy or "Start the sound server")
