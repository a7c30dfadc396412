"""The persona.toml of a new persona: a plain script to begin with."""

from __future__ import annotations

import json
import re
from typing import Final

from vcam_talker.core.errors import BadInputError
from vcam_talker.core.paths import builtin_dir, config_dir
from vcam_talker.persona import PERSONA_FILE

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_TAKEN: Final = frozenset({"new"})
"""Words of the command line."""
_DEFAULT_VOICE: Final = "flite:slt"
_ENGINES: Final = ("flite", "espeak-ng", "tone")


def check_name(name: str) -> None:
    """Raise BadInputError for a name that is no safe folder, or that a persona has."""
    if not NAME.fullmatch(name) or name in _TAKEN:
        why = "is no name of a persona" if name not in _TAKEN else "is a word of the command line"
        raise BadInputError(f"'{name[:60]}'", why, "Use up to 40 of a-z, 0-9, - and _")
    for folder in (config_dir() / "personas", builtin_dir("personas")):
        if (folder / name).exists():
            what = "a built-in persona" if (folder / name / PERSONA_FILE).is_file() else "a folder"
            if folder == config_dir() / "personas":
                what = f"{folder / name}"
            raise BadInputError(f"'{name}'", f"is there already ({what})", "Choose another name")


def parse_voice(voice: str, language: str) -> tuple[str, str]:
    """Return engine and name of `ENGINE:NAME`; of nothing, a voice of the language. Raises BadInputError."""
    if not voice:
        voice = _DEFAULT_VOICE if language.split("-", maxsplit=1)[0] == "en" else f"espeak-ng:{language}"
    engine, colon, name = voice.partition(":")
    if engine not in _ENGINES or not colon or not name:
        remedy = "Give ENGINE:NAME, such as flite:slt, flite:rms or espeak-ng:de+f2"
        raise BadInputError(f"--voice {voice[:60]}", "is no voice", remedy)
    return engine, name


def script(name: str, voice: tuple[str, str], language: str, lips: str, source: str) -> str:
    """Return the text of persona.toml; `source` says what the face was made of."""
    title = name.replace("-", " ").replace("_", " ").title()
    lines = [
        f"# {title}: made of {source} by `vcam-talker persona new`. Every key is explained in",
        "# personas/mira/persona.toml of vcam-talker; how a face made of pictures works, in docs/faces.md.",
        "",
        f"title = {_quoted(title)}",
        f"description = {_quoted(f'Made of {source}.')}",
        f"language = {_quoted(language)}",
        "",
        "# Spoken when going on air; one is chosen. A line may begin with a mood, such as [happy].",
        f"greeting = [{_quoted(f'[happy] Hello, and welcome. I am {title}.')}]",
        "",
        "# Spoken when no line matches.",
        f"fallback = [{_quoted('[thoughtful] I do not know that. Would you put it another way?')}]",
        "",
        "[face]",
        'kind = "clip"                   # a clip of life with mouths drawn over it: face.npz, life.mp4',
        f"{'' if lips else '# '}lips = {_quoted(lips or 'NAME')}".ljust(32)
        + "# the network that draws the mouths",
        '# disclosure = "AI presenter"   # drawn small into a corner of every frame',
        "",
        "[voice]",
        f"engine = {_quoted(voice[0])}",
        f"name = {_quoted(voice[1])}",
        "",
        "# What to answer to what.",
        "",
        "[[lines]]",
        'match = ["hello", "hi", "good morning", "good evening"]',
        'say = ["[happy] Hello, {user}.", "[happy] Nice to see you."]',
        "",
        "[[lines]]",
        'match = ["are you real", "are you a robot", "are you an AI", "are you human"]',
        f"say = [{_quoted('[playful] My picture moves by computer, and so does my voice.')}]",
        "",
    ]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL and what lies beyond 16 bits: neither shows, so all is escaped.
    return "".join(c if c.isprintable() else _escaped(c) for c in json.dumps(text, ensure_ascii=False))


def _escaped(character: str) -> str:
    return f"\\U{ord(character):08x}"
