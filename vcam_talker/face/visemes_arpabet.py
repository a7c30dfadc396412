"""ARPABET, as flite writes it (lower case, no stress digits), spelt in mouth shapes."""

from __future__ import annotations

from typing import Final

ARPABET: Final[dict[str, tuple[str, ...]]] = {
    "pau": ("rest",),
    "sil": ("rest",),
    "h#": ("rest",),
    "brth": ("rest",),
    "ssil": ("rest",),
    "iy": ("i",),
    "ih": ("ih",),
    "ix": ("ih",),
    "ey": ("e", "i"),
    "eh": ("eh",),
    "ae": ("ae",),
    "aa": ("aa",),
    "ah": ("ah",),
    "ax": ("schwa",),
    "axr": ("er",),
    "er": ("er",),
    "ao": ("ao",),
    "ow": ("o", "u"),
    "oy": ("ao", "ih"),
    "ay": ("a", "ih"),
    "aw": ("a", "uh"),
    "uh": ("uh",),
    "uw": ("u",),
    "ux": ("u",),
    "m": ("m",),
    "em": ("schwa", "m"),
    "b": ("b",),
    "p": ("p",),
    "f": ("f",),
    "v": ("f",),
    "th": ("th",),
    "dh": ("th",),
    "t": ("t",),
    "d": ("t",),
    "dx": ("t",),
    "n": ("t",),
    "en": ("schwa", "t"),
    "nx": ("t",),
    "l": ("l",),
    "el": ("schwa", "l"),
    "s": ("s",),
    "z": ("s",),
    "sh": ("sh",),
    "zh": ("sh",),
    "ch": ("sh",),
    "jh": ("sh",),
    "k": ("k",),
    "g": ("k",),
    "ng": ("k",),
    "r": ("r",),
    "w": ("w",),
    "wh": ("w",),
    "y": ("j",),
    "hh": ("h",),
    "hv": ("h",),
    "q": ("h",),
}

FIRST_LETTER: Final[dict[str, str]] = {
    "a": "ah",
    "e": "eh",
    "i": "ih",
    "o": "o",
    "u": "uh",
    "c": "k",
    "d": "t",
    "g": "k",
    "h": "h",
    "j": "sh",
    "q": "k",
    "n": "t",
    "v": "f",
    "x": "k",
    "y": "j",
    "z": "s",
}
"""The nearest shape to a symbol of another dialect, by its first letter; the rest are spelt as in ARPABET."""


def spell(symbol: str) -> tuple[str, ...]:
    """Return the shapes of an ARPABET symbol; a stress digit is ignored, an unknown one goes by its letter.

    What isn't a letter at all is a mark: no shape. Never raises.
    """
    plain = symbol.strip().lower().rstrip("0123456789")
    if plain in ARPABET:
        return ARPABET[plain]
    first = plain[:1]
    if first in FIRST_LETTER:
        return (FIRST_LETTER[first],)
    return ARPABET.get(first, ("mark",))
