"""What is asked of a new persona beside its picture: all of it is looked at before minutes of drawing."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from vcam_talker import registry
from vcam_talker.core.errors import BadInputError, VcamTalkerError
from vcam_talker.core.language import canonical_language, language_script
from vcam_talker.core.stages import Synthesizer
from vcam_talker.core.types import VoiceInfo
from vcam_talker.face.neural.package import NO_MODEL, find_model, load_package
from vcam_talker.persona import Persona, Tag

_TAG: Final = TypeAdapter(Tag)
_OPTIONS: Final = {"language": "--language", "voice": "--voice", "face": "--lips"}
"""Which option a table or key of persona.toml comes from."""
_ANY: Final = "mul"
_ACCENTED: Final = frozenset(("espeak-ng",))
"""Engines whose voices read other languages of their script, with an accent."""
_FEW: Final = 8


def check_language(language: str) -> str:
    """Return the tag of a language as everything else here knows it. Raises BadInputError."""
    tag = _tag(language)
    if tag is not None:
        return tag
    main, dash, rest = language.strip().replace("_", "-").partition("-")
    near = _tag(main.lower() + dash + rest)
    remedy = f"Did you mean {near}?" if near else "Give its tag, such as en, de or cmn"
    raise BadInputError(f"--language {language[:40]}", "is no language tag", remedy)


def check_voice(voice: tuple[str, str], language: str, *, given: bool) -> tuple[str, ...]:
    """Return what to know of a voice, engine and name, that is to speak a language, a sentence each.

    `given`: it was asked for, and not chosen by the language. May start a program, 0.1 s. Raises
    BadInputError for one that this machine would replace with another; nothing is known of the voices of
    engines that are not installed.
    """
    engine, name = voice
    synthesizer: Synthesizer = registry.find("synthesizer", engine)()
    try:
        voices = synthesizer.voices()
    finally:
        synthesizer.close()
    if not voices:
        return (f"{engine} is not installed here, so its voice '{name}' was not looked for: see the doctor.",)
    base, plus, variant = name.partition("+") if engine == "espeak-ng" else (name, "", "")
    base = canonical_language(base) if engine == "espeak-ng" else base
    own = next((each for each in voices if each.name == base), None)
    if own is not None and not own.offers(base + plus + variant):
        raise BadInputError(f"--voice {engine}:{name[:60]}", "has no such variant", _variants(own, variant))
    if own is not None and not _reads(own, language):
        remedy = f"Leave it out, or give one of the language, such as espeak-ng:{language}"
        raise BadInputError(f"--voice {engine}:{name}", f"does not speak '{language}'", remedy)
    if own is None and given and base != language:
        why = f"{engine} has no such voice"
        raise BadInputError(f"--voice {engine}:{name[:60]}", why, _nearest(engine, base, voices))
    if own is None and not any(_speaks(each, language) for each in voices):
        remedy = "Choose another language, or give the voice that is to read it with --voice"
        raise BadInputError(f"--language {language}", f"no voice of {engine} speaks it", remedy)
    return ()


def check_lips(lips: str) -> str:
    """Return what persona.toml is to say of the network that draws the mouth. Raises BadInputError.

    A path, which is typed relative to the current folder, becomes absolute: persona.toml would have it
    relative to itself. The model is read; blocks for a second at most.
    """
    if lips in {"", NO_MODEL}:
        return lips
    what = f"--lips {lips[:200]}"
    is_path = "/" in lips or "\\" in lips
    try:
        folder = find_model(lips, Path())
    except VcamTalkerError as e:
        remedy = f"For the folder here, write ./{lips}" if _is_folder(lips) else e.remedy
        raise BadInputError(what, e.why, remedy) from e
    try:
        package = load_package(folder)
        for part in package.spec.parts:
            package.network(part)
    except VcamTalkerError as e:
        remedy = "Give a folder such as `vcam-talker models lips import` makes, or a model's name"
        raise BadInputError(what, f"is no model: {e.what} {e.why}", remedy) from e
    return str(folder) if is_path else lips


def check_script(text: str) -> None:
    """Raise BadInputError, which names the option, for a persona.toml that would be refused."""
    try:
        Persona.model_validate(tomllib.loads(text))
    except ValidationError as e:
        first = e.errors()[0]
        option = _OPTIONS.get(str(first["loc"][0]), "persona.toml") if first["loc"] else "persona.toml"
        why = f"can't be used: {first['msg'].removeprefix('Value error, ')}"
        raise BadInputError(option, why, "Give another value") from e
    except (tomllib.TOMLDecodeError, UnicodeError) as e:
        raise BadInputError("--voice or --lips", "has letters that no text file can hold", "Rename it") from e


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:  # too long for a name
        return False


def _tag(language: str) -> str | None:
    try:
        return _TAG.validate_python(language)
    except ValidationError:
        return None


def _main(language: str) -> str:
    return language.partition("-")[0]


def _speaks(voice: VoiceInfo, language: str) -> bool:
    return voice.language == _ANY or _main(voice.language) == _main(language)


def _reads(voice: VoiceInfo, language: str) -> bool:
    alike = language_script(voice.language) == language_script(language)
    return _speaks(voice, language) or (voice.engine in _ACCENTED and alike)


def _variants(voice: VoiceInfo, variant: str) -> str:
    """Return the remedy for a variant that is not there."""
    near = difflib.get_close_matches(variant, sorted(voice.variants or ()), n=1)
    if near:
        return f"Did you mean {voice.engine}:{voice.name}+{near[0]}?"
    return "espeak-ng --voices=variant lists what may follow the +"


def _nearest(engine: str, name: str, voices: Sequence[VoiceInfo]) -> str:
    """Return the remedy for a voice that is not there."""
    names = [each.name for each in voices]
    near = difflib.get_close_matches(name.lower(), names, n=1)
    if near:
        return f"Did you mean {engine}:{near[0]}?"
    if len(names) <= _FEW:
        return f"There are: {', '.join(f'{engine}:{each}' for each in names)}"
    return f"Its voices are named by their languages, such as {engine}:de; {engine} --voices lists them"
