"""What is said: our own sentences, and patterns that make thousands more, in fourteen languages.

The lines lie in `lines/LANGUAGE.toml`. A split speaks none of the other splits' sentences or predicates.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from studio.pack import StudioError
from studio.truth.draw import Split, one_of, shared_out
from vcam_talker.tomlfile import load_model

_FOLDER: Final = Path(__file__).with_name("lines")

_SENTENCE: Final = 0.45
_DRILL: Final = 0.06
"""Shares of whole sentences and of rows of syllables; the rest is made of patterns."""
_OPENER: Final = 0.2

Lines = Annotated[tuple[str, ...], Field(min_length=3)]


class _Book(BaseModel):
    """One language's lines; `patterns` hold {who}, {does}, {when} and {tail}."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sentences: Lines
    openers: Lines
    patterns: Lines
    who: Lines
    does: Lines
    when: Lines
    tail: Lines
    syllables: tuple[str, ...] = ()
    """For rows such as "pa mee vow": the meetings of sounds that sentences rarely bring."""


def languages() -> tuple[str, ...]:
    """Return the languages that there are lines for, as BCP 47 tags, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def compose(language: str, split: Split, rng: np.random.Generator) -> str:
    """Return something to say, one sentence or two. Raises StudioError for a language without lines."""
    book = _book(language)
    kind = float(rng.random())
    if book.syllables and kind < _DRILL:
        count = int(rng.integers(4, 9))
        return " ".join(one_of(rng, book.syllables) for _ in range(count)) + "."
    text = (
        one_of(rng, _sentences(language, split)) if kind < _DRILL + _SENTENCE else _made(language, split, rng)
    )
    if rng.random() < _OPENER:
        wide = language == "cmn"
        text = one_of(rng, book.openers) + ("" if wide else " ") + text
    return text[0].upper() + text[1:]


def combinations(language: str, split: Split) -> int:
    """Return how many different sentences a language's lines make, without openers and rows of syllables."""
    book = _book(language)
    own = {"does": len(_predicates(language, split))}
    made = 0
    for pattern in book.patterns:
        count = 1
        for slot in ("who", "does", "when", "tail"):
            if f"{{{slot}}}" in pattern:
                count *= own.get(slot, len(getattr(book, slot)))
        made += count
    return len(_sentences(language, split)) + made


def _made(language: str, split: Split, rng: np.random.Generator) -> str:
    book = _book(language)
    return one_of(rng, book.patterns).format(
        who=one_of(rng, book.who),
        does=one_of(rng, _predicates(language, split)),
        when=one_of(rng, book.when),
        tail=one_of(rng, book.tail),
    )


@lru_cache(maxsize=64)
def _sentences(language: str, split: Split) -> tuple[str, ...]:
    return shared_out(_book(language).sentences, split, f"{language} sentences")


@lru_cache(maxsize=64)
def _predicates(language: str, split: Split) -> tuple[str, ...]:
    return shared_out(_book(language).does, split, f"{language} predicates")


@lru_cache(maxsize=64)
def _book(language: str) -> _Book:
    path = _FOLDER / f"{language}.toml"
    if not path.is_file():
        raise StudioError(f"language '{language}'", "has no lines", f"There are: {', '.join(languages())}")
    return load_model(path, _Book, StudioError)
