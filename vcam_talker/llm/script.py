"""The scripted responder: the persona's own lines, found by likeness, in the language of the question."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Sequence
from typing import Final

from vcam_talker.config import BrainConfig
from vcam_talker.core.language import detect_language
from vcam_talker.core.text import clean_name
from vcam_talker.core.types import Question
from vcam_talker.llm.lines import LineMatcher
from vcam_talker.persona import Persona

_NAME_CHARS: Final = 32
_PLACEHOLDER: Final = re.compile(r"\{(user|title)\}")
_NOBODY: Final = re.compile(r"[,，、]?\s*\{user\}")
_LOOSE_START: Final = re.compile(r"^((?:\s*\[\w+\])*\s*)[,，、!！.。:：]+\s*")
_MAX_CHARS: Final = 500
"""Of the viewer's line that are looked at."""


class ScriptResponder:
    """Answers from `persona.lines`, else with a fallback line. Never blocks; used from one event loop."""

    name = "script"

    def __init__(self, persona: Persona, config: BrainConfig, seed: int | None = None) -> None:
        del config
        self._persona = persona
        self._random = random.Random(seed)
        self._matcher = LineMatcher([line.match for line in persona.lines], persona.title)
        self._last = ""

    async def respond(self, question: Question) -> AsyncIterator[str]:
        """Yield the answer, in one delta. Never raises.

        `{user}` in a line becomes the viewer's name, cleaned and at most 32 characters long, `{title}` the
        persona's; nothing else in braces is touched, and names are never looked into for more.
        """
        text = question.text[:_MAX_CHARS]
        language = detect_language(text, self._persona.language)
        yield self._fill(self._choose(self._candidates(text, language)), question.user)

    async def warm_up(self) -> None:
        """Do nothing: the script is in memory."""

    async def close(self) -> None:
        """Do nothing."""

    def _candidates(self, text: str, language: str) -> Sequence[str]:
        lines = self._persona.lines
        own = frozenset(i for i, line in enumerate(lines) if self._speaks(line.language, language))
        # An answer in another language is better than none, but one in the viewer's own comes first.
        match = self._matcher.best(text, own) or self._matcher.best(text)
        if match is not None:
            return lines[match.index].say
        main = language.partition("-")[0]
        for tag, fallback in self._persona.fallback_by_language.items():
            if tag.partition("-")[0] == main:
                return fallback
        return self._persona.fallback

    def _speaks(self, line_language: str | None, language: str) -> bool:
        tag = line_language or self._persona.language
        return tag.partition("-")[0] == language.partition("-")[0]

    def _choose(self, options: Sequence[str]) -> str:
        """Return one of `options`, not the last answer unless there is no other."""
        fresh = [option for option in options if option != self._last] or list(options)
        self._last = self._random.choice(fresh)
        return self._last

    def _fill(self, line: str, user: str) -> str:
        name = spoken_name(user)
        if not name:
            # "Hello, {user}!" without a name is "Hello!", and "{user}, hello!" is "hello!".
            line = _LOOSE_START.sub(lambda m: f"{m[1].strip()} ".lstrip(), _NOBODY.sub("", line))
        values = {"user": name, "title": self._persona.title}
        return _PLACEHOLDER.sub(lambda match: values[match[1]], line)


def spoken_name(user: str) -> str:
    """Return a viewer's name as it may stand in an answer: cleaned, short, without anything that steers."""
    name = clean_name(user.translate(str.maketrans("[]{}<>_", "       ")), _NAME_CHARS)
    return name if any(c.isalnum() for c in name) else ""
