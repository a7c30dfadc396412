"""Bare recognised words made into a sentence that reads, and is understood, as one typed."""

from __future__ import annotations

import re
from typing import Final

_ASKING: Final = frozenset(
    """what who whom whose which when where why how can could do does did is are am was were will would should
    may have has""".split()  # noqa: SIM905
)
_BEFORE: Final = frozenset(("and", "so", "but", "hey", "hello", "hi", "ok", "okay", "well", "mira"))
_FIRST_PERSON: Final = re.compile(r"\bi(?=\b|')")


def sentence(words: str) -> str:
    """Return `words` with a capital, `I`, and a question mark where they begin like a question. Pure."""
    text = " ".join(words.split())
    if not text:
        return ""
    text = _FIRST_PERSON.sub("I", text)
    rest = [w for w in text.lower().split() if w not in _BEFORE]
    mark = "?" if rest and rest[0].partition("'")[0] in _ASKING else "."
    return text[0].upper() + text[1:] + mark
