"""Find the words in a row of phones that came without word boundaries.

Letters and phones are matched by Needleman and Wunsch's global alignment ("A general method applicable to
the search for similarities in the amino acid sequence of two proteins", 1970) with a small table of what an
English letter may sound like. Word boundaries then fall where the alignment puts them: within a phone of the
truth for ordinary words, and near it for digits and signs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from vcam_talker.core.types import Phone, Word
from vcam_talker.tts.edges import SILENT

_VOWELS: Final = "aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw"
_SOUNDS: Final = {
    letter: frozenset(phones.split())
    for letter, phones in {
        "a": _VOWELS,
        "e": _VOWELS,
        "i": _VOWELS + " y",
        "o": _VOWELS + " w",
        "u": _VOWELS + " y w",
        "y": "ay iy ih y",
        "b": "b",
        "c": "k s ch sh",
        "d": "d jh t",
        "f": "f v",
        "g": "g jh zh f",
        "h": "hh sh ch th dh f",
        "j": "jh y hh",
        "k": "k",
        "l": "l",
        "m": "m",
        "n": "n ng",
        "p": "p f",
        "q": "k",
        "r": "r er",
        "s": "s z sh zh",
        "t": "t sh ch th dh d",
        "v": "v f",
        "w": "w v",
        "x": "k s z",
        "z": "z s zh",
    }.items()
}
_MATCH: Final = 3
_MISMATCH: Final = -2
_SKIP: Final = -1
_PAUSE: Final = ","
_PAUSE_MATCH: Final = 8
_PAUSE_MISMATCH: Final = -8
"""Flite pauses at punctuation and nowhere else, which anchors the rest."""
_BREAKS: Final = tuple(",;:.!?")

_ONES: Final = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen seventeen eighteen nineteen""".split()  # noqa: SIM905 - twenty quoted words read worse
_TENS: Final = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SPOKEN: Final = {
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "st": "street",
    "%": "percent",
    "&": "and",
    "$": "dollars",
    "€": "euros",
    "£": "pounds",
    "+": "plus",
    "=": "equals",
    "@": "at",
    "#": "number",
    "°": "degrees",
}
_PIECE: Final = re.compile(r"[0-9]+|[a-z]+|[%&$€£+=@#°]")


def align_words(text: str, phones: Sequence[Phone]) -> tuple[Word, ...]:
    """Return each whitespace-separated word of `text` that can be heard, with its times. Pure.

    Costs letters * phones steps: about a millisecond for a clause, 20 ms for the longest sentence.
    """
    sounds = list(phones)
    while sounds and sounds[0].symbol in SILENT:
        del sounds[0]
    while sounds and sounds[-1].symbol in SILENT:
        del sounds[-1]
    tokens = [(t, letters) for t in text.split() if (letters := _letters(t))]
    if not sounds or not tokens:
        return ()
    letters = "".join(letters for _, letters in tokens)
    place = _phone_of_letter(letters, [p.symbol for p in sounds])
    words: list[Word] = []
    letter = start = 0
    for index, (token, own) in enumerate(tokens):
        letter += len(own)
        left = len(tokens) - index - 1
        # Each word gets a phone at least, as long as there are any.
        stop = min(max(place[letter], start + 1), max(start, len(sounds) - left)) if left else len(sounds)
        spoken = (
            [p for p in sounds[start:stop] if p.symbol not in SILENT]
            or sounds[start - 1 : start]
            or sounds[:1]
        )
        words.append(Word(token, spoken[0].start_s, spoken[-1].end_s))
        start = stop
    return tuple(words)


def _letters(token: str) -> str:
    """Return how a word is spelled when it is spoken, with a comma at its end where speech pauses."""
    pieces = _PIECE.findall(token.lower())
    # "$5" is "five dollars".
    pieces.sort(key=lambda piece: piece in "$€£")
    spoken = "".join(_spell(p) if p.isdigit() else _SPOKEN.get(p, p) for p in pieces)
    return spoken + _PAUSE if spoken and token.endswith(_BREAKS) else spoken


def _spell(digits: str) -> str:
    """Return a number in letters, roughly as it is spoken: two digits at a time."""
    if len(digits) > 2:
        head = len(digits) % 2 or 2
        return _spell(digits[:head]) + ("hundred" if len(digits) == 3 else "") + _spell(digits[head:])
    value = int(digits)
    if value < len(_ONES):
        return _ONES[value]
    return _TENS[value // 10] + (_ONES[value % 10] if value % 10 else "")


def _phone_of_letter(letters: str, symbols: Sequence[str]) -> list[int]:
    """Return for each letter the index of the phone that begins with it or after it."""
    rows, columns = len(letters), len(symbols)
    gains = {letter: [_gain(letter, symbol) for symbol in symbols] for letter in set(letters)}
    score = [[_SKIP * j for j in range(columns + 1)]]
    for letter in letters:
        above = score[-1]
        left = above[0] + _SKIP
        row = [left]
        for gain, diagonal, up in zip(gains[letter], above, above[1:], strict=False):
            left = max(diagonal + gain, up + _SKIP, left + _SKIP)
            row.append(left)
        score.append(row)
    place = [columns] * (rows + 1)
    i, j = rows, columns
    while i > 0:
        if j > 0 and score[i][j] == score[i - 1][j - 1] + gains[letters[i - 1]][j - 1]:
            i, j = i - 1, j - 1
            place[i] = j
        elif j > 0 and score[i][j] == score[i][j - 1] + _SKIP:
            j -= 1
        else:
            i -= 1
            place[i] = j
    return place


def _gain(letter: str, symbol: str) -> int:
    if letter == _PAUSE or symbol in SILENT:
        return _PAUSE_MATCH if letter == _PAUSE and symbol in SILENT else _PAUSE_MISMATCH
    return _MATCH if symbol in _SOUNDS[letter] else _MISMATCH
