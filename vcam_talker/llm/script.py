"""The scripted responder: the persona's own lines and product facts, in the language of the question."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from vcam_talker.config import BrainConfig
from vcam_talker.core.errors import DeclinedError
from vcam_talker.core.language import detect_language
from vcam_talker.core.types import Question
from vcam_talker.llm.lines import LineMatcher, Match
from vcam_talker.llm.phrases import Phrases
from vcam_talker.llm.products import ProductMatcher
from vcam_talker.persona import Persona

_MAX_CHARS: Final = 500
"""Of the viewer's line that are looked at."""
_CERTAIN: Final = 90.0
"""A line that is asked for as it stands in the persona comes before a product's facts."""


class ScriptResponder:
    """Answers from `persona.products` and `persona.lines`. Never blocks; used from one event loop.

    When neither knows, it passes the question on if a brain stands below it in `config.engines`, and says one
    of the persona's fallback lines if none does.
    """

    name = "script"

    def __init__(self, persona: Persona, config: BrainConfig, seed: int | None = None) -> None:
        """`seed`: of the choice between several ways to say the same."""
        self._persona = persona
        self._passes_on = self.name in config.engines[:-1]
        self._phrases = Phrases(persona, seed)
        self._lines = LineMatcher([line.match for line in persona.lines], persona.title)
        self._products = ProductMatcher(persona)
        self._of_products = frozenset(
            i for i, line in enumerate(persona.lines) if any(map(self._products.names_any, line.match))
        )

    async def respond(self, question: Question) -> AsyncIterator[str]:
        """Yield the answer, in one delta. Raises DeclinedError when another brain may know better."""
        yield self._answer(question)

    async def warm_up(self) -> None:
        """Do nothing: the script is in memory."""

    async def close(self) -> None:
        """Do nothing."""

    def _answer(self, question: Question) -> str:
        text = question.text[:_MAX_CHARS]
        language = detect_language(text, self._persona.language)
        lines = self._persona.lines
        match = self._line(text, language)
        fact = self._products.answer(question, language)
        if fact is not None and (match is None or match.score < _CERTAIN or fact.follow_up):
            return self._phrases.say(fact.options, question.user, {"product": fact.product})
        if match is not None:
            return self._phrases.say(lines[match.index].say, question.user)
        if self._passes_on:
            raise DeclinedError("script", "no line and no fact of the persona answers this")
        return self._phrases.fallback(question)

    def _line(self, text: str, language: str) -> Match | None:
        """Return the line that is asked for; one in the viewer's own language before any other."""
        own = frozenset(
            i for i, line in enumerate(self._persona.lines) if self._speaks(line.language, language)
        )
        every = frozenset(range(len(self._persona.lines)))
        for groups in (own, every - own):
            match = self._lines.best(text, groups)
            if match is not None and match.score < _CERTAIN and match.index in self._of_products:
                # The product's name alone makes such a line look likely.
                match = self._lines.best(text, groups - self._of_products)
            if match is not None:
                return match
        return None

    def _speaks(self, line_language: str | None, language: str) -> bool:
        tag = line_language or self._persona.language
        return tag.partition("-")[0] == language.partition("-")[0]
