"""The persona's own phrases: chosen without repeating, with names filled in safely."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Final

from vcam_talker.core.language import detect_language
from vcam_talker.core.text import clean_name
from vcam_talker.core.types import Question
from vcam_talker.persona import Persona

_NAME_CHARS: Final = 32
_LANGUAGE_CHARS: Final = 500
"""Of a viewer's line that tell its language."""
_PLACEHOLDER: Final = re.compile(r"\{(user|title|product)\}")
_NOBODY: Final = re.compile(r"[,，、]?\s*\{user\}")
_LOOSE_START: Final = re.compile(r"^((?:\s*\[\w+\])*\s*)[,，、!！.。:：]+\s*")
_NOTHING: Final[Mapping[str, str]] = {}


class Phrases:
    """Picks one of several ways to say a thing, not the one said last. Not thread-safe."""

    def __init__(self, persona: Persona, seed: int | None = None) -> None:
        self._persona = persona
        self._random = random.Random(seed)
        self._last = ""

    def say(self, options: Sequence[str], user: str, values: Mapping[str, str] = _NOTHING) -> str:
        """Return one of `options`, filled.

        `{user}` becomes the viewer's name, cleaned and at most 32 characters long, `{title}` the persona's,
        and `{product}` what `values` holds for it; nothing else in braces is touched, and what is filled in
        is never looked into for more.
        """
        fresh = [option for option in options if option != self._last] or list(options)
        self._last = self._random.choice(fresh)
        return self._fill(self._last, user, values)

    def fallback(self, question: Question) -> str:
        """Return the line for what nobody can answer, in the language of the question."""
        main = detect_language(question.text[:_LANGUAGE_CHARS], self._persona.language).partition("-")[0]
        for tag, lines in self._persona.fallback_by_language.items():
            if tag.partition("-")[0] == main:
                return self.say(lines, question.user)
        return self.say(self._persona.fallback, question.user)

    def _fill(self, line: str, user: str, values: Mapping[str, str]) -> str:
        name = spoken_name(user)
        if not name:
            # "Hello, {user}!" without a name is "Hello!", and "{user}, hello!" is "hello!".
            line = _LOOSE_START.sub(lambda m: f"{m[1].strip()} ".lstrip(), _NOBODY.sub("", line))
        known = {"user": name, "title": self._persona.title, **values}
        return _PLACEHOLDER.sub(lambda match: known.get(match[1], match[0]), line)


def spoken_name(user: str) -> str:
    """Return a viewer's name as it may stand in an answer: cleaned, short, without anything that steers."""
    name = clean_name(user.translate(str.maketrans("[]{}<>_", "       ")), _NAME_CHARS)
    return name if any(c.isalnum() for c in name) else ""
