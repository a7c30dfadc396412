"""Checks of Python, its packages, the voices, the video encoder and the persona."""

from __future__ import annotations

import struct
import subprocess
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from vcam_talker import registry
from vcam_talker.config import Config
from vcam_talker.core.errors import ConfigError
from vcam_talker.core.extras import how_to_install
from vcam_talker.doctor.finding import Finding, Machine, State
from vcam_talker.persona import load_persona

PACKAGES = {
    "av": "av",
    "certifi": "certifi",
    "click": "click",
    "cv2": "opencv-python-headless",
    "fastapi": "fastapi",
    "httpx": "httpx",
    "numpy": "numpy",
    "obswebsocket": "obs-websocket-py",
    "pulsectl": "pulsectl",
    "pyaudio": "PyAudio",
    "pydantic": "pydantic",
    "pypinyin": "pypinyin",
    "pyvirtualcam": "pyvirtualcam",
    "rapidfuzz": "RapidFuzz",
    "skia": "skia-python",
    "soxr": "soxr",
    "uvicorn": "uvicorn",
    "websocket": "websocket-client",
    "websockets": "websockets",
}
"""Module -> distribution."""

EXTRAS = {
    "asr": ("ctranslate2", "faster-whisper", "huggingface-hub", "onnxruntime", "pocketsphinx"),
    "llm": ("jinja2", "safetensors", "tokenizers", "torch", "transformers"),
}
"""Extra -> its distributions, which are looked up and never imported: torch alone takes seconds."""
_PURPOSES = {"asr": "hearing", "llm": "a language model on this machine"}

_REMEDIES = {
    "pyaudio": "apt-get install gcc libc6-dev python3-dev portaudio19-dev, then 'make install'",
    "pulsectl": "apt-get install libpulse0, then 'make install'",
    "skia": "apt-get install libgl1 libegl1 libexpat1, then 'make install'",
}


def check_python(_config: Config, _machine: Machine) -> list[Finding]:
    """Look at version and word size of the interpreter."""
    shown = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11):  # noqa: UP036 - a wheel can be forced onto an older one
        return [Finding("python", "fail", f"Python {shown} is too old", "Use Python 3.11 or newer")]
    if struct.calcsize("P") < 8:
        return [Finding("python", "warn", f"Python {shown} is a 32-bit build", "Use a 64-bit Python")]
    return [Finding("python", "ok", f"Python {shown}")]


def check_packages(_config: Config, _machine: Machine) -> list[Finding]:
    """Import every package, native libraries included."""
    wanted = {m: d for m, d in PACKAGES.items() if m != "pulsectl" or sys.platform == "linux"}
    findings = []
    for module, distribution in wanted.items():
        try:
            import_module(module)
        # OSError: a C library that a package loads by itself is missing.
        except (ImportError, OSError) as e:
            remedy = _REMEDIES.get(module, "Run 'make install'")
            state: State = "warn" if module in {"pyaudio", "pulsectl"} else "fail"
            findings.append(Finding("packages", state, f"{distribution} can't be imported: {e}", remedy))
    return findings or [Finding("packages", "ok", f"all {len(wanted)} Python packages import")]


def check_extras(config: Config, _machine: Machine) -> list[Finding]:
    """Look which of the large, optional packages are installed, and whether the configuration needs them."""
    needed = {"asr": config.ears.mode != "off", "llm": "transformers" in config.brain.engines}
    return [_check_extra(extra, needed=needed[extra]) for extra in EXTRAS]


def _check_extra(extra: str, *, needed: bool) -> Finding:
    versions = {name: installed_version(name) for name in EXTRAS[extra]}
    lacking = [name for name, found in versions.items() if not found]
    if not lacking:
        shown = ", ".join(f"{name} {found}" for name, found in versions.items())
        return Finding("extras", "ok", f"[{extra}] {shown}")
    if needed:
        message = f"[{extra}] lacks {', '.join(lacking)}"
        return Finding("extras", "warn", message, how_to_install(extra))
    message = (
        f"[{extra}] is not wholly installed; {_PURPOSES[extra]} needs it, and nothing that is switched on"
    )
    return Finding("extras", "ok", message)


def installed_version(distribution: str) -> str:
    """Return the version of an installed distribution, without importing it; empty when there is none."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def check_voices(_config: Config, machine: Machine) -> list[Finding]:
    """Look at the two programs that speak."""
    found = [_flite(machine), _espeak(machine)]
    if all(finding.state != "ok" for finding in found):
        message = "no voice at all: the presenter would beep"
        found.append(Finding("voice", "fail", message, "apt-get install flite espeak-ng"))
    return found


def _flite(machine: Machine) -> Finding:
    lost = "English is spoken by espeak-ng"
    try:
        output = machine.run(["flite", "-lv"])
    except (OSError, subprocess.SubprocessError) as e:
        return Finding("voice", "warn", f"flite {_reason(e)}: {lost}", "apt-get install flite")
    names = output.partition(":")[2].split()
    lacking = [name for name in ("slt", "rms", "awb") if name not in names]
    if lacking:
        message = f"flite lacks the voices {', '.join(lacking)}"
        return Finding("voice", "warn", message, "Use the flite of your distribution")
    return Finding("voice", "ok", f"flite speaks English: {', '.join(names)}")


def _espeak(machine: Machine) -> Finding:
    lost = "no Mandarin, and no language but English"
    try:
        rows = machine.run(["espeak-ng", "--voices"]).splitlines()[1:]
    except (OSError, subprocess.SubprocessError) as e:
        return Finding("voice", "warn", f"espeak-ng {_reason(e)}: {lost}", "apt-get install espeak-ng")
    languages = {row.split()[1] for row in rows if len(row.split()) > 1}
    if "cmn" not in languages:
        return Finding("voice", "warn", "espeak-ng has no Mandarin (cmn)", "apt-get install espeak-ng-data")
    return Finding("voice", "ok", f"espeak-ng speaks {len(languages)} languages, Mandarin among them")


def _reason(error: OSError | subprocess.SubprocessError) -> str:
    match error:
        case FileNotFoundError():
            return "is not installed"
        case subprocess.TimeoutExpired():
            return "hangs"
        case subprocess.CalledProcessError():
            return f"fails (exit code {error.returncode})"
        case _:
            return f"can't be started ({error})"


def check_encoder(_config: Config, _machine: Machine) -> list[Finding]:
    """Look at the encoder that `render` and `--camera file:` use."""
    try:
        import av

        av.Codec("libx264", "w")
    except ImportError:
        return [Finding("encoder", "fail", "PyAV can't be imported", "Run 'make install'")]
    except ValueError:  # PyAV's UnknownCodecError is one
        remedy = "Install PyAV from its wheel: pip install --force-reinstall --only-binary :all: av"
        return [Finding("encoder", "warn", "PyAV has no libx264: no mp4 files", remedy)]
    return [Finding("encoder", "ok", f"PyAV {installed_version('av') or '(unknown version)'} with x264")]


def check_persona(config: Config, _machine: Machine) -> list[Finding]:
    """Load the configured persona and make its picture, which reads all files of its face."""
    try:
        persona = load_persona(config.persona)
        registry.find("scene", persona.face.kind)(persona, config.air.width, config.air.height)
    except ConfigError as e:
        return [Finding("persona", "fail", f"{e.what}: {e.why}", e.remedy)]
    message = f"{persona.name} ({persona.title}, {persona.language}) loads"
    return [Finding("persona", "ok", message)]
