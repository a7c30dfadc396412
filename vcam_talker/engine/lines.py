"""What a persona is sure to say sooner or later: the sentences that the cache makes ahead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vcam_talker.core.text import detect_language, parse_emotion_tags
from vcam_talker.core.types import Emotion, Sentence
from vcam_talker.engine.phrasing import Phrasing
from vcam_talker.llm.phrases import Phrases
from vcam_talker.persona import Persona, ProductSection

_SOMEBODY: Final = "Qxzv"
"""Stands for any viewer's name; what comes out with it is said to that viewer alone."""


def sure_sentences(persona: Persona) -> list[Sentence]:
    """Return every sentence that can be known before anybody asks, each once, most likely ones first.

    Greeting, quiet talk, lines, fallbacks, then what is known about products; `{title}` and `{product}` are
    filled, `{user}` is left out, as for a viewer without a name. Of a line with a name, what stays the same
    for every viewer is here, too.
    """
    found: dict[tuple[str, str, Emotion], Sentence] = {}
    for text, emotion in _texts(persona):
        phrasing = Phrasing(persona, emotion=emotion)
        for sentence in (*phrasing.feed(text), *phrasing.flush()):
            if _SOMEBODY not in sentence.text:
                found.setdefault((sentence.text, sentence.language, sentence.emotion), sentence)
    return list(found.values())


def _texts(persona: Persona) -> Iterator[tuple[str, Emotion | None]]:
    """Yield what is handed to the voice: a text, and the emotion that it starts with if told beside it."""
    phrases = Phrases(persona)
    for line in (*persona.greeting, *persona.quiet):
        # The director takes the tags out of these before they become a turn.
        emotion, text = parse_emotion_tags(line)
        yield text, emotion
    answers = [answer for section in persona.lines for answer in section.say]
    answers += persona.fallback
    answers += [line for lines in persona.fallback_by_language.values() for line in lines]
    for line in answers:
        yield phrases.say((line,), ""), None
        if "{user}" in line:
            yield phrases.say((line,), _SOMEBODY), None
    for product in persona.products:
        for fact in product.facts:
            values = {"product": _called(product, fact.language or persona.language, persona)}
            yield phrases.say((fact.say,), "", values), None
            if "{user}" in fact.say:
                yield phrases.say((fact.say,), _SOMEBODY, values), None


def _called(product: ProductSection, language: str, persona: Persona) -> str:
    """Return what the product is called in an answer in `language`: its first name in that language."""
    for name in (product.name, *product.aliases):
        if detect_language(name, persona.language).partition("-")[0] == language.partition("-")[0]:
            return name
    return product.name
