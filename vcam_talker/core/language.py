"""Which language a text is in, judged by its script alone: enough to pick a voice, and cheap."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import Final

_RANGES: Final = (
    (0x0041, 0x005A, "Latn"),
    (0x0061, 0x007A, "Latn"),
    (0x00AA, 0x00AA, "Latn"),
    (0x00BA, 0x00BA, "Latn"),
    (0x00C0, 0x00D6, "Latn"),
    (0x00D8, 0x00F6, "Latn"),
    (0x00F8, 0x024F, "Latn"),
    (0x0370, 0x03FF, "Grek"),
    (0x0400, 0x052F, "Cyrl"),
    (0x0531, 0x058F, "Armn"),
    (0x0591, 0x05F4, "Hebr"),
    (0x0600, 0x06FF, "Arab"),
    (0x0750, 0x077F, "Arab"),
    (0x0900, 0x097F, "Deva"),
    (0x0980, 0x09FF, "Beng"),
    (0x0A00, 0x0A7F, "Guru"),
    (0x0A80, 0x0AFF, "Gujr"),
    (0x0B00, 0x0B7F, "Orya"),
    (0x0B80, 0x0BFF, "Taml"),
    (0x0C00, 0x0C7F, "Telu"),
    (0x0C80, 0x0CFF, "Knda"),
    (0x0D00, 0x0D7F, "Mlym"),
    (0x0D80, 0x0DFF, "Sinh"),
    (0x0E00, 0x0E7F, "Thai"),
    (0x1000, 0x109F, "Mymr"),
    (0x10A0, 0x10FF, "Geor"),
    (0x1100, 0x11FF, "Hang"),
    (0x1200, 0x139F, "Ethi"),
    (0x1E00, 0x1EFF, "Latn"),
    (0x1F00, 0x1FFF, "Grek"),
    (0x3005, 0x3007, "Hani"),
    (0x3041, 0x3096, "Kana"),
    (0x309D, 0x309F, "Kana"),
    (0x30A1, 0x30FA, "Kana"),
    (0x30FC, 0x30FF, "Kana"),
    (0x3130, 0x318F, "Hang"),
    (0x31F0, 0x31FF, "Kana"),
    (0x3400, 0x4DBF, "Hani"),
    (0x4E00, 0x9FFF, "Hani"),
    (0xAC00, 0xD7AF, "Hang"),
    (0xF900, 0xFAFF, "Hani"),
    (0xFB1D, 0xFB4F, "Hebr"),
    (0xFB50, 0xFDFF, "Arab"),
    (0xFE70, 0xFEFF, "Arab"),
    (0xFF21, 0xFF3A, "Latn"),
    (0xFF41, 0xFF5A, "Latn"),
    (0xFF66, 0xFF9F, "Kana"),
    (0x20000, 0x323AF, "Hani"),
)
"""First and last code point, ISO 15924 script; sorted. Digits, punctuation and spaces belong to no script."""
_STARTS: Final = tuple(r[0] for r in _RANGES)

_MAIN_LANGUAGE: Final = {
    "Latn": "en",
    "Grek": "el",
    "Cyrl": "ru",
    "Armn": "hy",
    "Hebr": "he",
    "Arab": "ar",
    "Deva": "hi",
    "Beng": "bn",
    "Guru": "pa",
    "Gujr": "gu",
    "Orya": "or",
    "Taml": "ta",
    "Telu": "te",
    "Knda": "kn",
    "Mlym": "ml",
    "Sinh": "si",
    "Thai": "th",
    "Mymr": "my",
    "Geor": "ka",
    "Hang": "ko",
    "Ethi": "am",
    "Hani": "cmn",
    "Kana": "ja",
}
"""The language assumed for a script when the default language is written in another one."""

_OTHER_LANGUAGES: Final = {
    "Cyrl": ("uk", "bg", "be", "sr", "mk", "kk", "ky", "tt", "tg", "mn", "ba", "cv"),
    "Arab": ("fa", "ur", "ps", "sd", "ug", "ckb"),
    "Deva": ("mr", "ne", "kok", "sa"),
    "Beng": ("as", "bpy"),
    "Hani": ("yue", "hak", "wuu", "nan", "ja"),
    "Hebr": ("yi", "iw"),
    "Grek": ("grc",),
    "Ethi": ("ti",),
}
_SCRIPT_OF: Final = {language: script for script, language in _MAIN_LANGUAGE.items()} | {
    language: script for script, others in _OTHER_LANGUAGES.items() for language in others
}


def canonical_language(tag: str) -> str:
    """Return the tag that everything else here goes by: `zh`, `zh-CN` and `zh-Hant` mean Mandarin, `cmn`.

    `zh` is a macrolanguage; what it holds may be named behind it (RFC 5646, extended language subtags):
    `zh-yue` is `yue`. Every other tag stays as it is.
    """
    main, _, rest = tag.partition("-")
    if main.lower() != "zh":
        return tag
    member = rest.partition("-")[0].lower()
    return member if member in _SCRIPT_OF else "cmn"


def script_of(character: str) -> str:
    """Return the ISO 15924 code of the character's script; empty for digits, punctuation and spaces."""
    code = ord(character)
    index = bisect_right(_STARTS, code) - 1
    return _RANGES[index][2] if index >= 0 and code <= _RANGES[index][1] else ""


def language_script(language: str) -> str:
    """Return the script that a BCP 47 language is written in; languages not known here are Latin ones."""
    return _SCRIPT_OF.get(canonical_language(language).partition("-")[0], "Latn")


def is_wide(character: str) -> bool:
    """Tell whether one character is about a syllable: Han, kana or Hangul."""
    return script_of(character) in {"Hani", "Kana", "Hang"}


def detect_language(text: str, default: str) -> str:
    """Return the BCP 47 language of `text` by its most frequent script.

    `default` (the persona's language) decides between languages of one script, and for text without letters.
    One Han, kana or Hangul character weighs as much as three letters. Any kana makes Han text Japanese.
    """
    counts: Counter[str] = Counter()
    for character in text:
        if script := script_of(character):
            counts[script] += 3 if script in {"Hani", "Kana", "Hang"} else 1
    if not counts:
        return canonical_language(default)
    if counts["Kana"] and counts["Hani"]:
        counts["Kana"] += counts.pop("Hani")
    return _language_for(counts.most_common(1)[0][0], default)


def split_languages(text: str, default: str) -> list[tuple[str, str]]:
    """Split mixed text into (language, run) pairs; the runs joined are `text` again.

    Digits, punctuation and spaces stay with the run before them, at the start with the one after.
    Text that holds kana counts its Han characters as Japanese.
    """
    japanese = any(script_of(c) == "Kana" for c in text)
    runs: list[tuple[str, int, int]] = []
    for index, character in enumerate(text):
        script = script_of(character)
        if not script:
            continue
        language = "ja" if japanese and script == "Hani" else _language_for(script, default)
        if not runs:
            runs.append((language, 0, index + 1))
        elif runs[-1][0] == language:
            runs[-1] = (language, runs[-1][1], index + 1)
        else:
            start = _opening(text, runs[-1][2], index)
            runs[-1] = (runs[-1][0], runs[-1][1], start)
            runs.append((language, start, index + 1))
    if not runs:
        return [(canonical_language(default), text)] if text else []
    runs[-1] = (runs[-1][0], runs[-1][1], len(text))
    return [(language, text[start:end]) for language, start, end in runs]


def _opening(text: str, start: int, end: int) -> int:
    """Return where the run that begins at `end` starts with its opening brackets, not before `start`."""
    while end > start and (text[end - 1] in "([{<“‘«「『（【《" or _is_opening_quote(text, end - 1)):
        end -= 1
    return end


def _is_opening_quote(text: str, index: int) -> bool:
    return text[index] in "\"'" and (index == 0 or text[index - 1].isspace())


def _language_for(script: str, default: str) -> str:
    default = canonical_language(default)
    wanted = language_script(default)
    if script == wanted or (default.partition("-")[0] == "ja" and script in {"Hani", "Kana"}):
        return default
    return _MAIN_LANGUAGE[script]
