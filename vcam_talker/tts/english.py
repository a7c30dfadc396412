"""English text as flite reads it: ASCII, signs in words. It stumbles over every other byte of `café`."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_SIGNS: Final = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "ʼ": "'",
        "“": '"',
        "”": '"',
        "«": '"',
        "»": '"',
        "…": "...",
        "–": " - ",
        "—": ", ",
        "ß": "ss",
        "æ": "ae",
        "Æ": "Ae",
        "œ": "oe",
        "Œ": "Oe",
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "ð": "th",
        "þ": "th",
        "×": " times ",
        "÷": " divided by ",
        "±": " plus or minus ",
        "½": " one half",
        "¼": " one quarter",
        "¾": " three quarters",
        "№": "number ",
    }
)
_WORDS: Final = (
    (re.compile(r"\s*°\s?C\b"), " degrees Celsius"),
    (re.compile(r"\s*°\s?F\b"), " degrees Fahrenheit"),
    (re.compile(r"\s*°"), " degrees"),
    (re.compile(r"£\s?(\d[\d,.]*\d|\d)"), r"\1 pounds"),
    (re.compile(r"€\s?(\d[\d,.]*\d|\d)"), r"\1 euros"),
    (re.compile(r"(\d)\s?€"), r"\1 euros"),
    (re.compile(r"[¥￥]\s?(\d[\d,.]*\d|\d)"), r"\1 yuan"),
)


def to_ascii(text: str) -> str:
    """Return printable ASCII: accents dropped, common signs spelt out, everything else left away. Pure."""
    for pattern, replacement in _WORDS:
        text = pattern.sub(replacement, text)
    plain = unicodedata.normalize("NFKD", text.translate(_SIGNS))
    kept = "".join(c for c in plain if c.isascii() and c.isprintable())
    return re.sub(r"\s+([,.;:!?])", r"\1", " ".join(kept.split()))
