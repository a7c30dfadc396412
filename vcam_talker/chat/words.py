"""Find blocked words in their disguises, and leave innocent words alone. Linear in the length of the text."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from vcam_talker.core.language import is_wide

_MAX_CHARS: Final = 4000
"""Of a text that are looked at; chat lines are far shorter, sentences too."""
_LOOK_ALIKES: Final = str.maketrans(
    "абвгеёзикмнорстухѕіјһԁԛԝӏцьъαβγεηικνορτυχωıɑɡłøđƒսոօհցյʏᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡᴢ",
    "abbreeenkmhopctyxsijhdqwlubbabyenikvoptuxwiaglodfunohgjyabcdefghijklmnoprstuvwz",
)
"""Cyrillic, Greek, Armenian, small capitals and others, and the Latin letters they are mistaken for."""
_LEET: Final = str.maketrans("013456789@$!|+€£(¢", "oieasgtbgasiiteicc")
"""Digits and signs that stand for letters. 1, ! and | are i as well as l: read this way, an l counts as i."""
_L_IS_I: Final = str.maketrans("l", "i")
_LETTER_SIGNS: Final = frozenset("@$€£")
"""Stand for letters even where no letter stands: @55."""
_SIGNS_AROUND: Final = '!?.,;:|()[]{}<>"“”‘*_~-'
_SOUND_MARKS: Final = frozenset("\u3099\u309a")
"""Of kana: part of the letter, no decoration. か and が are two letters."""
_CONTRACTION: Final = re.compile(r"(?<=\w\w)['’](?:s|t|m|d|ll|re|ve)\b|(?<=\bi)['’](?:m|d|ll|ve)\b")
"""What an apostrophe joins to a word: "he'll" is no "hell", and the end of "I'd" is no letter of its own."""
_NUMBER: Final = re.compile(
    r"[$€£]?\d+(?:[.,:/]\d+)*"
    r"(?:[a-z]|st|nd|rd|th|am|pm|hrs?|mins?|secs?|ms|ml|k?g|lbs?|oz|[kcm]m|[kmg]bs?|fps|px|k?hz|k?w|x\d+)?[+%$€£]?"
)
_NUMBER_CHARS: Final = 24
_RARELY_DOUBLE: Final = frozenset("ahijkquvwxy")
"""English hardly ever writes these twice: "fuun" is "fun" drawn out, but "good" is not "god"."""
_PARTING_CHARS: Final = 2
_DRAWN_OUT: Final = 3
"""No word has a letter three times in a row."""


@dataclass(frozen=True, slots=True)
class _Word:
    """A blocked word as runs of equal letters, so that `baaad` is `bad` and `as` is not `ass`."""

    listed: str
    letters: str
    """One of each run."""
    runs: tuple[int, ...]

    def fits(self, runs: Sequence[int]) -> bool:
        """Tell whether runs of the same letters are this word, some of its letters drawn out."""
        return all(
            have == need or have >= max(_DRAWN_OUT, need) or (have > need and letter in _RARELY_DOUBLE)
            for letter, have, need in zip(self.letters, runs, self.runs, strict=True)
        )


class _Lexicon:
    """Blocked words and phrases in one reading of their letters."""

    def __init__(self, listed: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        """Take each as the user wrote it, and its words."""
        self._words: dict[str, list[_Word]] = {}
        self._phrases: dict[tuple[str, ...], tuple[_Word, ...]] = {}
        for name, parts in listed:
            words = tuple(_Word(name, *_runs(part)) for part in parts)
            if len(words) == 1:
                self._words.setdefault(words[0].letters, []).append(words[0])
            else:
                self._phrases[tuple(word.letters for word in words)] = words
                whole = _Word(name, *_runs("".join(parts)))  # as in a hashtag
                self._words.setdefault(whole.letters, []).append(whole)
        self._sizes = sorted({len(phrase) for phrase in self._phrases})

    def word(self, tokens: Iterable[Sequence[str]]) -> str | None:
        """Return what is blocked among tokens, each given as its pieces between signs."""
        for pieces in tokens:
            # "well-known" is two words, "d.o.t.s" is one: both readings count.
            for candidate in {*pieces, "".join(pieces)}:
                if (found := self._word(candidate)) is not None:
                    return found
        return None

    def sequence(self, pieces: Sequence[str]) -> str | None:
        """Return what is blocked and reaches over several pieces."""
        return self._spelled(pieces) or self._phrase(pieces)

    def _word(self, candidate: str) -> str | None:
        letters, runs = _runs(candidate)
        return next((word.listed for word in self._words.get(letters, ()) if word.fits(runs)), None)

    def _spelled(self, pieces: Sequence[str]) -> str | None:
        """Find words that are spelled letter by letter, `s p a c e d`, also among other letters."""
        singles = "".join(piece if len(piece) == 1 else " " for piece in pieces)
        spelled, runs = _runs(singles)
        if len(spelled.replace(" ", "")) < 2:
            return None
        # One search per word over the whole text: many short groups cost no more than one long one.
        for letters, words in self._words.items():
            at = spelled.find(letters) if len(letters) > 1 else -1
            while at >= 0:
                for word in words:
                    if word.fits(runs[at : at + len(letters)]):
                        return word.listed
                at = spelled.find(letters, at + 1)
        return None

    def _phrase(self, pieces: Sequence[str]) -> str | None:
        if not self._phrases:
            return None
        split = [_runs(piece) for piece in pieces]
        letters = [letters for letters, _ in split]
        for start in range(len(split)):
            for size in self._sizes:
                phrase = self._phrases.get(tuple(letters[start : start + size]))
                if phrase and all(
                    w.fits(runs) for w, (_, runs) in zip(phrase, split[start : start + size], strict=True)
                ):
                    return phrase[0].listed
        return None


class WordFilter:
    """Knows blocked words and phrases; immutable, so thread-safe.

    A word is found whatever its case, width, accents, look-alike letters and digits, drawn-out letters, and
    with signs or spaces between its letters; but never inside another word, unless it is written in Chinese,
    Japanese or Korean, which know no spaces. Endings make other words: list what you mean. A number, also
    with its unit (5s, 4k, 1st), stays a number.
    """

    def __init__(self, words: Sequence[str], allowed: Sequence[str] = ()) -> None:
        """`words`: each a word or a phrase; one without a letter or digit is never found.

        `allowed`: words without spaces between them in which a blocked one may stand.
        """
        self._allowed = tuple(key for word in allowed if (key := "".join(_split(_plain(word)))))
        self._wide: dict[str, str] = {}
        listed = []
        for word in words:
            plain = _plain(word)
            parts = tuple(_split(plain))
            if any(is_wide(c) for c in plain):
                self._wide["".join(parts)] = word
            elif parts:
                listed.append((word, parts))
        self._plain = _Lexicon(listed)
        self._leet = _Lexicon((word, tuple(p.translate(_L_IS_I) for p in parts)) for word, parts in listed)
        self._any = bool(listed)

    def __bool__(self) -> bool:
        return bool(self._any or self._wide)

    def find(self, text: str) -> str | None:
        """Return the blocked word that stands in `text`, as it was listed, or None. Never raises."""
        if not self or not text:
            return None
        plain = _plain(text)
        return (self._spaced(plain) if self._any else None) or self._inside(plain)

    def _spaced(self, plain: str) -> str | None:
        tokens = plain.split()
        split = [_split(token) for token in tokens]
        found = self._plain.word(split) or self._plain.sequence(list(itertools.chain(*split)))
        if found is not None:
            return found
        readings = [_unleet(token) for token in tokens]
        if not any(readings):
            return None
        # A token without digits and signs has been looked at: with l as i, "ball" would be taken for "bail".
        changed = (_split(reading.translate(_L_IS_I)) for both in readings for reading in both)
        whole = [(both or (token,))[0] for token, both in zip(tokens, readings, strict=True)]
        pieces = [_split(reading.translate(_L_IS_I)) for reading in whole]
        return self._leet.word(changed) or self._leet.sequence(list(itertools.chain(*pieces)))

    def _inside(self, plain: str) -> str | None:
        if not self._wide:
            return None
        packed = "".join(c for c in plain if c.isalnum())
        for key in self._allowed:
            packed = packed.replace(key, " ")
        joined = _joined(packed)
        return next((listed for key, listed in self._wide.items() if key in packed or key in joined), None)


def _plain(text: str) -> str:
    """Return `text` in lower-case letters without width, accents, invisible characters and look-alikes."""
    # One character may become eighteen.
    folded = unicodedata.normalize("NFKC", text[:_MAX_CHARS])[:_MAX_CHARS].casefold()
    bare = "".join(c for c in unicodedata.normalize("NFKD", folded) if not _is_decoration(c))
    parted = _CONTRACTION.sub(" ", bare).replace("'", " ").replace("’", " ")
    return unicodedata.normalize("NFC", parted).translate(_LOOK_ALIKES)


def _joined(packed: str) -> str:
    """Return `packed` without the one or two Latin letters or digits that part Chinese ones: 傻x瓜."""
    runs = [(wide, "".join(group)) for wide, group in itertools.groupby(packed, is_wide)]
    last = len(runs) - 1
    return "".join(
        run for i, (wide, run) in enumerate(runs) if wide or i in {0, last} or len(run) > _PARTING_CHARS
    )


def _is_decoration(c: str) -> bool:
    return unicodedata.category(c) in {"Mn", "Me", "Cf"} and c not in _SOUND_MARKS


def _split(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text).split()


def _unleet(token: str) -> tuple[str, ...]:
    """Return a token with its digits and signs read as letters, without and with those around it.

    Empty when there is nothing to read so. A number stays a number.
    """
    inner = token.strip(_SIGNS_AROUND)
    if len(inner) <= _NUMBER_CHARS and _NUMBER.fullmatch(inner):
        return ()
    if len(set(inner)) < 2 or not any(c.isalpha() or c in _LETTER_SIGNS for c in inner):
        return ()
    read = inner.translate(_LEET)
    if read == inner:
        return ()
    return (read,) if inner == token else (read, token.translate(_LEET))


def _runs(word: str) -> tuple[str, tuple[int, ...]]:
    groups = [(letter, sum(1 for _ in group)) for letter, group in itertools.groupby(word)]
    return "".join(letter for letter, _ in groups), tuple(count for _, count in groups)
