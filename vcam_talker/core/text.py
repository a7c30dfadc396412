"""Hostile text in, speakable text out. All that chat, HTTP and the command line send passes here."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vcam_talker.core.errors import BadInputError
from vcam_talker.core.language import detect_language, is_wide, split_languages
from vcam_talker.core.types import Emotion

__all__ = [
    "CleanText",
    "clean_name",
    "clean_text",
    "detect_language",
    "names_one_of",
    "parse_emotion_tags",
    "split_languages",
    "unknown_emotion",
]

NOTE_CONTROL: Final = "control characters were removed"
NOTE_INVISIBLE: Final = "invisible characters were removed"
NOTE_EMOJI: Final = "emoji and pictographs are not spoken"
NOTE_ACCENTS: Final = "stacked accents were reduced"
NOTE_UNKNOWN: Final = "characters without a meaning were removed"

_MAX_MARKS = 4
"""Combining marks kept on one base character; Thai, Hebrew and Vietnamese need three."""

_SPEAKABLE_SYMBOLS: Final = frozenset("°©®™℃℉№℠")
_JOINERS: Final = "\u200c\u200d"
_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""Terminal colours and cursor movements: what follows the escape character is no text either."""
_TAG: Final = re.compile(r"\[\s*(" + "|".join(Emotion) + r")\s*\]", re.IGNORECASE)
_FIRST_TAG: Final = re.compile(r"\s*\[\s*([A-Za-z]{2,32})\s*\]")


@dataclass(frozen=True, slots=True)
class CleanText:
    """Text that is safe to show, to queue and to speak; `notes` say what was changed, in words."""

    text: str
    notes: tuple[str, ...] = ()


def clean_text(raw: str, max_chars: int) -> CleanText:
    """Return `raw` in NFC on one line, without what can't be spoken or what could deceive a reader.

    Removed: control characters, bidirectional overrides, zero-width and private-use characters, lone
    surrogates, emoji and pictographs, and combining marks past the fourth on one letter. Whitespace is
    collapsed. Nothing is ever cut short. Pure; the cost of an overlong text does not grow with its cleaning.

    Raises BadInputError for more than `max_chars` characters, or when nothing speakable is left.
    """
    raw = raw.strip()
    if len(raw) > max_chars:
        raise BadInputError(
            "text",
            f"is {len(raw):,} characters long, the limit is {max_chars:,}",
            "Send it in parts, or raise queue.max_text_chars",
        )
    notes: dict[str, None] = {}
    if "\x1b" in raw:
        raw = _ANSI.sub("\x1b", raw)
    text = " ".join(_filter(unicodedata.normalize("NFC", raw), notes).split())
    if not any(unicodedata.category(c)[0] in "LN" for c in text):
        why = "holds nothing that can be spoken" if raw else "is empty"
        raise BadInputError("text", why, "Write at least one letter or number")
    word, meant = unknown_emotion(text)
    if meant is not None:
        notes[f"[{word}] is no emotion and will be spoken; did you mean [{meant}]?"] = None
    return CleanText(text, tuple(notes))


def clean_name(raw: str, max_chars: int = 32) -> str:
    """Return a viewer's name as one short, harmless line; empty when nothing of it is left. Never raises.

    Unlike a text to be spoken, a name may be cut: at `max_chars`, of the first 256 characters.
    """
    text = " ".join(_filter(unicodedata.normalize("NFC", raw[:256]), {}).split())
    return text[:max_chars].rstrip()


def parse_emotion_tags(text: str) -> tuple[Emotion | None, str]:
    """Return the first emotion tag (`[happy]`, any case) or None, and the text without any such tag.

    Other bracketed text stays as it is.
    """
    match = _TAG.search(text)
    if match is None:
        return None, text
    return Emotion(match[1].lower()), " ".join(_TAG.sub(" ", text).split())


def unknown_emotion(text: str) -> tuple[str, Emotion | None]:
    """Return the bracketed word that `text` starts with if it is no emotion, and the one that it resembles.

    `("", None)` when the text starts with no bracketed word, or with an emotion. Pure.
    """
    match = _FIRST_TAG.match(text)
    if match is None or match[1].lower() in set(Emotion):
        return "", None
    near = difflib.get_close_matches(match[1].lower(), list(Emotion), n=1, cutoff=0.7)
    return match[1], Emotion(near[0]) if near else None


def names_one_of(text: str, names: Sequence[str]) -> bool:
    """Tell whether one of `names` stands in `text` as words of its own; in Chinese, anywhere. Pure."""
    folded = text.casefold()
    words = _spaced_words(folded)
    for name in (n.strip().casefold() for n in names):
        if any(is_wide(c) for c in name):
            if name in folded:
                return True
        elif name and _spaced_words(name) in words:
            return True
    return False


def _spaced_words(text: str) -> str:
    return f" {' '.join(''.join(c if c.isalnum() else ' ' for c in text).split())} "


def _filter(text: str, notes: dict[str, None]) -> str:
    kept: list[str] = []
    marks = 0
    for index, character in enumerate(text):
        if character.isascii() and character.isprintable():
            kept.append(character)
            marks = 0
            continue
        category = unicodedata.category(character)
        if category[0] == "M":
            marks += 1
            note = _refuse_mark(character, marks)
        else:
            marks = 0
            note = _refuse(character, category, text, index)
        if note is None:
            kept.append(character)
        else:
            if note:
                notes[note] = None
            if category in {"Cc", "Zl", "Zp", "So"}:
                kept.append(" ")  # "one\x00two" are two words, and so are two words around an emoji
    return "".join(kept)


def _refuse_mark(character: str, count: int) -> str | None:
    """Return why a combining mark is dropped, or None when it stays."""
    if "\ufe00" <= character <= "\ufe0f" or character == "\u20e3":
        return NOTE_EMOJI if character in "\ufe0f\u20e3" else NOTE_INVISIBLE
    return NOTE_ACCENTS if count > _MAX_MARKS else None


def _refuse(character: str, category: str, text: str, index: int) -> str | None:
    """Return why a character is dropped (empty: nothing worth a note), or None when it stays."""
    if category == "Cc":
        return "" if character in "\t\n\r\v\f\x1c\x1d\x1e\x1f\x85" else NOTE_CONTROL
    if category in {"Zl", "Zp"}:
        return ""
    if category == "Cf":
        return None if character in _JOINERS and _joins_letters(text, index) else NOTE_INVISIBLE
    if category in {"Co", "Cn", "Cs"}:
        return NOTE_UNKNOWN
    if category == "So" and character not in _SPEAKABLE_SYMBOLS:
        return NOTE_EMOJI
    if category == "Sk" and "\U0001f3fb" <= character <= "\U0001f3ff":
        return NOTE_EMOJI
    if character in "\u115f\u1160\u3164\uffa0\u2800":  # letters by category, invisible to the eye
        return NOTE_INVISIBLE
    return None


def _joins_letters(text: str, index: int) -> bool:
    """Tell whether the joiner at `index` stands between letters of scripts that need it (Arabic to Khmer)."""
    if not 0 < index < len(text) - 1:
        return False
    return all("\u0600" <= text[i] <= "\u17ff" and text[i].isprintable() for i in (index - 1, index + 1))
