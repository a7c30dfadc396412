"""Cut a stream of text into sentences, the first piece short so that speech starts early.

Lengths are in letters: one Han, kana or Hangul character counts as LETTERS_PER_WIDE of them, since it takes
about as long to say. Nothing but whitespace between pieces is ever lost.
"""

from __future__ import annotations

import re
from typing import Final

from vcam_talker.core.language import is_wide

LETTERS_PER_WIDE: Final = 3.6
MAX_LETTERS: Final = 220
"""About 14 s of speech, or 60 Han characters: flite needs ~120 ms, hidden behind the sentence before."""

# Measured on flite slt, two idle cores: 12 ms + 0.65 ms per letter. A first clause of 18 letters is sound
# after ~25 ms (60 letters: ~50, 150: ~110) and lasts 1.1 s, ample to make the rest. Spoken alone, clauses end
# within 10 Hz (a semitone) and 0.15 s of what they do in their sentence, so little prosody is lost; below 40
# letters little time is won.
FIRST_MIN_LETTERS: Final = 18
FIRST_SPLIT_FROM_LETTERS: Final = 40
FIRST_MAX_LETTERS: Final = 60
"""Without a comma up to here, a first sentence of more than 80 letters is cut before a conjunction."""
_FIRST_FORCE_FROM_LETTERS: Final = 80

_WIDE_END: Final = "。！？；｡"
_NARROW_END: Final = ".!?…؟।"
_CLOSERS: Final = "\"')]}”’»」』）】》"
_WIDE_CLAUSE: Final = "，、：；"
_NARROW_CLAUSE: Final = ",;:—–،"
_OPENERS: Final = "\"'([{“‘«「『（【《¿¡-–—"

_ABBREVIATIONS: Final = frozenset(
    """mr mrs ms mx dr prof sr jr st mt rev hon gen col capt lt sgt gov sen rep pres fr vs etc no nos vol pp
    fig figs eq inc ltd co corp dept est approx appt apt ave blvd rd e.g i.e a.m p.m u.s u.k cf al ca viz
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun
    bzw z.b d.h u.a ggf nr str hr usw""".split()  # noqa: SIM905 - a list literal of 80 words reads worse
)
_USUALLY_FINAL: Final = frozenset(
    ("etc", "inc", "ltd", "co", "corp", "a.m", "p.m", "u.s", "u.k", "al", "usw")
)
"""Abbreviations that may well end a sentence: a capital letter after them starts a new one."""
_NEEDS_NUMBER: Final = frozenset(("no", "nos", "fig", "figs", "vol", "pp", "eq", "nr"))
_AMBIGUOUS: Final = frozenset(
    ("sun", "mar", "sat", "may", "wed", "mon", "no", "st", "fr", "co", "al", "ca", "rep")
)
"""Words of their own as well: abbreviations only when capitalised, or before a number."""

_CONJUNCTION: Final = re.compile(
    r"\s(?=(?:and|but|or|so|because|which|while|when|where|although|then|that|if|with|und|aber|weil)\s)",
    re.IGNORECASE,
)


class SentenceSplitter:
    """Streaming: `feed` text deltas, speak what comes back, `flush` at the end. Not thread-safe.

    The pieces do not depend on how the text was cut into deltas.
    """

    def __init__(self, *, max_letters: int = MAX_LETTERS, first_min_letters: int = FIRST_MIN_LETTERS) -> None:
        self._max_letters = max_letters
        self._first_min_letters = first_min_letters
        self._buffer = ""
        self._scanned = 0
        self._first = True

    def feed(self, delta: str) -> list[str]:
        """Return the sentences that `delta` completes, in order, stripped; often none."""
        self._buffer += delta
        return self._take(final=False)

    def flush(self) -> list[str]:
        """Return what is left and start over."""
        pieces = self._take(final=True)
        self._first = True
        return pieces

    def _take(self, *, final: bool) -> list[str]:
        pieces: list[str] = []
        while True:
            cut = self._next_cut(final=final)
            if cut is None:
                break
            piece = self._buffer[:cut].strip()
            self._buffer = self._buffer[cut:]
            self._scanned = 0
            if piece:
                pieces.append(piece)
                self._first = False
        return pieces

    def _next_cut(self, *, final: bool) -> int | None:
        """Return where the next piece ends, or None when more text must come first."""
        text = self._buffer
        end, pending = _sentence_end(text, self._scanned, final=final)
        sentence = text[: pending if end is None and not final else end]
        if self._first and (cut := self._first_cut(sentence)) is not None:
            return cut
        if _exceeds(sentence, self._max_letters):
            return overlong_cut(sentence, self._max_letters)
        if end is not None:
            return end
        self._scanned = pending
        return len(text) if final and text else None

    def _first_cut(self, sentence: str) -> int | None:
        if not _exceeds(sentence.strip(), FIRST_SPLIT_FROM_LETTERS):
            return None
        start = max(1, _prefix(sentence, self._first_min_letters))
        early = _prefix(sentence, FIRST_MAX_LETTERS)
        cut = next((i for i in range(start, early) if _is_clause_end(sentence, i)), None)
        if cut is None and _exceeds(sentence, _FIRST_FORCE_FROM_LETTERS):
            conjunction = _CONJUNCTION.search(sentence, start, early)
            cut = conjunction.start() if conjunction else self._late_clause(sentence, early)
        return cut if cut is not None and _has_letter(sentence[cut:]) else None

    def _late_clause(self, sentence: str, start: int) -> int | None:
        limit = _prefix(sentence, self._max_letters)
        return next((i for i in range(start, limit) if _is_clause_end(sentence, i)), None)


def split_overlong(text: str, max_letters: int = MAX_LETTERS) -> list[str]:
    """Return `text` in pieces of at most `max_letters`, cut at clauses, else words, else anywhere."""
    pieces: list[str] = []
    text = text.strip()
    while _exceeds(text, max_letters):
        cut = overlong_cut(text, max_letters)
        pieces.append(text[:cut].strip())
        text = text[cut:].strip()
    return [*pieces, text] if text else pieces


def overlong_cut(text: str, max_letters: int) -> int:
    """Return the best place to cut `text`, which is longer than `max_letters`, at most that far into it."""
    limit = max(1, _prefix(text, max_letters))
    lowest = max(1, _prefix(text, max_letters // 3))
    for index in range(limit, lowest, -1):
        if _is_clause_end(text, index):
            return index
    conjunctions = [m.start() for m in _CONJUNCTION.finditer(text, lowest, limit)]
    if conjunctions:
        return conjunctions[-1]
    space = text.rfind(" ", 1, limit)
    return space if space > 0 else limit


def letters_in(text: str) -> float:
    """Return how long `text` takes to say, in letters."""
    return sum(LETTERS_PER_WIDE if is_wide(c) else 1.0 for c in text)


def _exceeds(text: str, letters: float) -> bool:
    return len(text) > letters or (len(text) * LETTERS_PER_WIDE > letters and letters_in(text) > letters)


def _prefix(text: str, letters: float) -> int:
    """Return how many characters of `text` fit into `letters`."""
    total = 0.0
    for index, character in enumerate(text):
        total += LETTERS_PER_WIDE if is_wide(character) else 1.0
        if total > letters:
            return index
    return len(text)


def _has_letter(text: str) -> bool:
    return any(c.isalnum() for c in text)


def _is_clause_end(text: str, index: int) -> bool:
    """Tell whether a clause ends just before `text[index]`, with its comma or dash inside it."""
    before = text[index - 1]
    if before in _WIDE_CLAUSE:
        return index == len(text) or text[index] not in _CLOSERS
    if before not in _NARROW_CLAUSE or index == len(text):
        return False
    return text[index].isspace() or (index > 1 and is_wide(text[index - 2]) and is_wide(text[index]))


def _sentence_end(text: str, start: int, *, final: bool) -> tuple[int | None, int]:
    """Look for the end of the first sentence of `text`, from `start` on.

    Returns (end, end), or (None, where the next look starts). What follows a full stop decides about it:
    unless `final`, a stop whose sequel has not come yet is pending.
    """
    index = start
    while index < len(text):
        character = text[index]
        if character == "\n" and _has_letter(text[:index]):
            return index + 1, index + 1
        if character not in _WIDE_END and character not in _NARROW_END:
            index += 1
            continue
        stops = index + 1
        while stops < len(text) and (text[stops] in _WIDE_END or text[stops] in _NARROW_END):
            stops += 1
        end = stops
        while end < len(text) and text[end] in _CLOSERS:
            end += 1
        if end == len(text):
            return None, index  # the end of the buffer, not of the text: more stops or closers may follow
        if _is_wide_end(text, index, stops, end) and _has_letter(text[:index]):
            return end, end
        if text[end].isspace():
            following = _following(text, end)
            if following is None and not final and "\n" not in text[end:]:
                return None, index
            if _ends(text, index, stops, end, following):
                return end, end
        index = end
    return None, len(text)


def _is_wide_end(text: str, index: int, stops: int, end: int) -> bool:
    """Tell whether the stops need no space behind them: Chinese ones, or ASCII ones in Chinese text."""
    if any(c in _WIDE_END for c in text[index:stops]):
        return True
    return index > 0 and is_wide(text[index - 1]) and not text[end].isspace() and not text[end].isascii()


def _ends(text: str, index: int, stops: int, end: int, following: str | None) -> bool:
    """Tell whether the stops text[index:stops], followed by closers and whitespace, end a sentence."""
    if not _has_letter(text[:index]):
        return False
    lower = following is not None and following.islower()
    mark = text[index:stops]
    if mark != ".":
        # `Wait... what` goes on, and so does `"Stop!" he said`.
        goes_on = lower and ("…" in mark or ".." in mark or stops != end)
        return not goes_on
    return not _is_abbreviation(text[:index], following)


def _following(text: str, end: int) -> str | None:
    """Return the first character after whitespace and opening quotes, None when it has not come yet."""
    for character in text[end:]:
        if not character.isspace() and character not in _OPENERS:
            return character
    return None


def _is_abbreviation(before: str, following: str | None) -> bool:
    """Tell whether the full stop after `before` belongs to an abbreviation, an initial or a list number."""
    word = re.split(r"[\s(\[\"'“‘]", before[-24:])[-1]
    if not _has_letter(before[: len(before) - len(word)]) and word.isdigit():
        return True  # "1. First"
    lower = word.lower()
    if len(word) == 1 and word.isalpha() and word.isascii():
        return word.isupper() and word != "I"  # "J. Smith"
    if following is None or lower not in _ABBREVIATIONS:
        return False
    if lower in _NEEDS_NUMBER:
        return following.isdigit()
    if lower in _USUALLY_FINAL:
        return not following.isupper()
    if lower in _AMBIGUOUS:
        return word[0].isupper() and (lower in {"st", "fr", "rep"} or following.isdigit())
    return True
