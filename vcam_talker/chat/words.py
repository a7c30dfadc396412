"""Find blocked words in their disguises, and leave innocent words alone. Linear in the length of the text."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from vcam_talker.core.language import is_wide

_MAX_CHARS: Final = 4000
"""Of a text that are looked at; chat lines are far shorter, sentences too."""
_LEET: Final = str.maketrans("013457890@$!|+€£(", "oieastbgoasiitelc")
_HOMOGLYPHS: Final = str.maketrans(
    {
        **dict(zip("абвеёзикмнортуухѕіјһԁԛԝӏцьъ", "a6beeзukmhoptyyxsijhdqwlu66", strict=True)),
        **dict(zip("αβγεηικνορτυχωϲ", "abyenikvoptuxwc", strict=True)),
        **dict(zip("ıɑɡℓłøđß", "iaglodds"[:4] + "lods", strict=True)),
    }
)
"""Cyrillic, Greek and other letters that look like Latin ones, lower case."""
_SIGNS_AROUND: Final = "!?.,;:|()[]{}<>\"'“”‘’*_~-"


@dataclass(frozen=True, slots=True)
class _Word:
    """A blocked word as runs of equal letters, so that `baaad` is `bad` and `as` is not `ass`."""

    listed: str
    runs: tuple[int, ...]


class WordFilter:
    """Knows blocked words and phrases; immutable, so thread-safe.

    A word is found whatever its case, width, accents, look-alike letters and digits, repeated letters, and
    with signs or spaces between its letters; but never inside another word, unless it is written in Chinese,
    Japanese or Korean, which know no spaces. Endings make other words: list what you mean.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words: dict[str, list[_Word]] = {}
        self._phrases: dict[tuple[str, ...], str] = {}
        self._wide: dict[str, str] = {}
        for listed in words:
            plain = _plain(listed)
            parts = tuple(part for part in _split(plain) if part)
            if any(is_wide(c) for c in plain):
                self._wide["".join(parts)] = listed
            elif len(parts) == 1:
                letters, runs = _runs(parts[0])
                self._words.setdefault(letters, []).append(_Word(listed, runs))
            elif parts:
                self._phrases[tuple(_runs(part)[0] for part in parts)] = listed
        self._longest = max((len(phrase) for phrase in self._phrases), default=0)
        self._sizes = {sum(w.runs) for same in self._words.values() for w in same}

    def __bool__(self) -> bool:
        return bool(self._words or self._phrases or self._wide)

    def find(self, text: str) -> str | None:
        """Return the blocked word that stands in `text`, as it was listed, or None. Never raises."""
        if not self or not text:
            return None
        plain = _plain(text[:_MAX_CHARS])
        tokens = plain.split()
        return (
            self._among([_split(token) for token in tokens])
            or self._among([_split(_unleet(token)) for token in tokens])
            or self._inside(plain)
        )

    def _among(self, tokens: list[list[str]]) -> str | None:
        """Look for words among tokens, each given as its pieces between signs."""
        for pieces in tokens:
            # "well-known" is two words, "d.o.t.s" is one: both readings count.
            for candidate in {*pieces, "".join(pieces)}:
                if (found := self._word(candidate)) is not None:
                    return found
        pieces = [piece for pieces in tokens for piece in pieces if piece]
        return self._spelled(pieces) or self._phrase(pieces)

    def _word(self, candidate: str) -> str | None:
        letters, runs = _runs(candidate)
        for word in self._words.get(letters, ()):
            if all(have >= need for have, need in zip(runs, word.runs, strict=True)):
                return word.listed
        return None

    def _spelled(self, pieces: list[str]) -> str | None:
        """Find words that are spelled letter by letter: `s p a c e d`."""
        for single, group in itertools.groupby(pieces, key=lambda piece: len(piece) == 1):
            letters = "".join(group) if single else ""
            if len(letters) < 2:
                continue
            for size in self._sizes:
                for start in range(len(letters) - size + 1):
                    if (found := self._word(letters[start : start + size])) is not None:
                        return found
        return None

    def _phrase(self, pieces: list[str]) -> str | None:
        letters = [_runs(piece)[0] for piece in pieces]
        for start in range(len(letters)):
            for size in range(2, self._longest + 1):
                if (found := self._phrases.get(tuple(letters[start : start + size]))) is not None:
                    return found
        return None

    def _inside(self, plain: str) -> str | None:
        if not self._wide:
            return None
        packed = "".join(c for c in plain if c.isalnum())
        return next((listed for key, listed in self._wide.items() if key in packed), None)


def _plain(text: str) -> str:
    """Return `text` in lower-case letters without width, accents, invisible characters and look-alikes."""
    # An apostrophe parts words: "he'll" is no "hell".
    folded = unicodedata.normalize("NFKC", text).casefold().replace("'", " ").replace("’", " ")
    bare = (c for c in unicodedata.normalize("NFKD", folded) if not _is_decoration(c))
    return unicodedata.normalize("NFC", "".join(bare)).translate(_HOMOGLYPHS)


def _is_decoration(c: str) -> bool:
    return unicodedata.category(c) in {"Mn", "Me", "Cf"}


def _split(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text).split()


def _unleet(token: str) -> str:
    """Return a token with its digits and signs read as letters; a number stays one."""
    inner = token.strip(_SIGNS_AROUND)
    if not any(c.isalpha() or c in "@$€£" for c in inner):
        return token
    return inner.translate(_LEET)


def _runs(word: str) -> tuple[str, tuple[int, ...]]:
    groups = [(letter, sum(1 for _ in group)) for letter, group in itertools.groupby(word)]
    return "".join(letter for letter, _ in groups), tuple(count for _, count in groups)


def each_disguise(word: str) -> Iterator[str]:
    """Yield what a viewer may write instead of `word`; what the filter is tried with."""
    yield word.upper()
    yield ".".join(word)
    yield " ".join(word)
    yield "-".join(word)
    yield "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in word)
    yield "\u200b".join(word)
    yield "".join(f"{c}\u0301" for c in word)
    yield word[:-1] + word[-1] * 5
    yield word.translate(str.maketrans("aeios", "@3105"))
    yield word.translate(str.maketrans("aeopcx", "аеорсх"))
    yield f"xx {word}!! yy"
