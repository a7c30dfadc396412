"""espeak-ng's phoneme mnemonics, and IPA, spelt in mouth shapes.

Mnemonics are ASCII in the tradition of Kirshenbaum's scheme, with liberties per language (`S;` `ts.h` `i[`
`@L` `n^` `aI3` `_:`). So a symbol is read from left to right in units, the longest first; what is no unit
(stress, length, tone, nasalisation, variant numbers) is passed over. IPA letters are units like the others.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

_SHAPE_TO_UNITS: Final[dict[str, str]] = {
    "i": "i",
    "ih": "I ɪ",
    "e": "e",
    "eh": "E & ɛ",
    "ae": "æ ä",
    "a": "a",
    "ah": "V o- ʌ ɐ ɤ",
    "aa": "A A@ 0 ɑ ɒ",
    "ao": "O ɔ",
    "o": "o",
    "uh": "U ʊ",
    "u": "u ʉ",
    "y": "y ʏ",
    "oe": "Y W ø œ ɵ ɶ",
    "er": "3 @r ɜ ɝ ɚ",
    "schwa": "@ 8 ə",
    "barred": 'i. i[ i" ɨ ɯ ʅ ɿ',
    "m": "m",
    "b": "b ɓ ʙ",
    "p": "p",
    "beta": "B p\\ β ɸ",
    "f": "f v F M P ɱ ʋ ⱱ",
    "th": "T D θ ð",
    "t": "t d n * ɾ ɲ ʈ ɖ ɳ ɽ ɗ",
    "l": "l L K ɫ ʎ ɭ ɬ ɮ",
    "s": "s z ts dz",
    "sh": "S Z tS dZ sx R^ ʃ ʒ tʃ dʒ ɧ",
    "xi": "S; Z; s; z; tS; dZ; ts; dz; s\\ z\\ t_s\\ d_z\\ ɕ ʑ tɕ dʑ",
    "retro": "s. z. S. Z. ts. dz. ʂ ʐ tʂ dʐ",
    "k": "k g x X c q G N Q R2 ŋ ɡ ɣ χ ʁ ʀ ɟ ɢ ɴ ɰ",
    "rolled": "r R",
    "r": "r- ɹ ɻ",
    "w": "w ʍ",
    "wy": "ɥ",
    "j": "j J C ç ʝ",
    "h": "h H ? ħ ʔ ɦ ʕ",
}

UNITS: Final[dict[str, str]] = {
    unit: shape for shape, units in _SHAPE_TO_UNITS.items() for unit in units.split(" ")
}
_LONGEST: Final = max(map(len, UNITS))

BY_LANGUAGE: Final[dict[str, dict[str, str]]] = {
    "en": {"r": "r"},
    "fr": {"r": "k"},
    "de": {"r": "k"},
    "da": {"r": "k"},
    **{tag: {"y": "barred"} for tag in ("ru", "pl", "ro", "uk", "be", "vi", "cy")},
}
"""Mnemonics that mean another sound in one language; by primary language subtag."""


@lru_cache(maxsize=4096)
def spell(symbol: str, language: str = "") -> tuple[str, ...]:
    """Return the shapes of an espeak-ng mnemonic or IPA symbol, in order; whole words do as well.

    `language` is a BCP 47 tag. `_` and `_:` are pauses; `_|`, `(en)` and lone stress or tone marks are marks.
    A letter without a unit of its own counts as its plainest relative (`ã` as `a`). Never raises.
    """
    if not symbol or symbol[0] == "(" or symbol == "_|":
        return ("mark",)
    if symbol[0] == "_":
        return ("rest",)
    if symbol == ";":
        return ("j",)
    own = BY_LANGUAGE.get(language.partition("-")[0].lower(), {})
    text = unicodedata.normalize("NFC", symbol)
    shapes: list[str] = []
    at = 0
    while at < len(text):
        # `0`, `3` and `8` are vowels where a symbol begins, tones and variant numbers later on.
        if at and text[at].isdigit():
            at += 1
            continue
        for size in range(min(_LONGEST, len(text) - at), 0, -1):
            unit = text[at : at + size]
            shape = own.get(unit) or UNITS.get(unit)
            if shape is not None:
                shapes.append(shape)
                at += size
                break
        else:
            relative = _relative(text[at])
            if relative is not None:
                shapes.append(relative)
            at += 1
    return tuple(shapes) or ("mark",)


def _relative(letter: str) -> str | None:
    plain = unicodedata.normalize("NFD", letter)[0]
    return UNITS.get(plain) or UNITS.get(plain.lower()) if plain.isalpha() else None
