"""Mandarin text to pinyin with tones, for espeak-ng's `cmn-latn-pinyin` voice.

Why not its `cmn` voice: in espeak-ng 1.50 and 1.51 (Debian 12, Ubuntu 24.04) it reads the pinyin it makes of
a character as English, "hao three" for 好 (espeak-ng issues 1028, 1044, 1236, 1370), and it knows characters
only one by one, so that 银行 and 音乐 come out wrong, and decimals lose their point. pypinyin knows phrases
and tone sandhi.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, cast

from vcam_talker.core.language import script_of

_DIGITS: Final = "零一二三四五六七八九"
_UNITS: Final = ("", "十", "百", "千")
_GROUPS: Final = ("", "万", "亿", "万亿")
_NUMBER: Final = re.compile(
    r"(?P<time>(?<![\d.:])\d{1,2}[:：]\d{2}(?![\d:]))"
    r"|(?P<low>(?<![\d.-])\d{1,4})[-~～–](?P<high>\d{1,4})(?![\d.-])"
    r"|(?P<year>(?<![\d.])\d{4}(?=\s?年))"
    r"|(?:(?P<currency>[$¥￥€£])\s?)?(?P<minus>(?<![A-Za-z0-9.])-)?(?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
    r"(?:\.(?P<decimals>\d+))?(?P<percent>\s?[%％])?"
)
_COUNTED: Final = tuple("个位次天年块岁件只条张杯本点种款分秒人")
"""Before these 2 is 两, not 二."""
_CURRENCY: Final = {"$": "美元", "¥": "元", "￥": "元", "€": "欧元", "£": "英镑"}
_LONGEST: Final = 12
"""Digits; longer ones are telephone numbers and the like, read digit by digit."""
_PINYIN: Final = re.compile(r"^[a-zü]+[1-5]$")
_HUM: Final = re.compile(r"^(?:n|ng|m|hm|hng)[1-5]$")
"""嗯 and 呣 without a vowel are hardly audible from espeak-ng."""
_PUNCTUATION: Final = str.maketrans("，。！？；：、…", ",.!?;:,.")


@dataclass(frozen=True, slots=True)
class Run:
    """A piece for one voice."""

    latin: bool
    """True: English inside the Mandarin text, as written; False: pinyin."""
    text: str
    words: tuple[tuple[int, str], ...]
    """Where (0-based character of `text`) each word of the original text begins; empty for Latin runs."""


def to_runs(text: str) -> list[Run]:
    """Return Mandarin text as pinyin and Latin runs, in order. Numbers become words.

    The first call loads pypinyin's dictionaries (0.4 s, 50 MB).
    """
    runs: list[Run] = []
    for latin, units in _group(_spoken_units(text)):
        if latin:
            piece = "".join(spoken for spoken, _ in units).strip()
            if any(c.isalnum() for c in piece):
                runs.append(Run(True, piece, ()))
        else:
            run = _pinyin_run(units)
            if run.words:
                runs.append(run)
    return runs


def read_number(digits: str) -> str:
    """Return a whole number in Chinese numerals; past twelve digits, or after a leading zero, one by one."""
    if len(digits) > _LONGEST or (len(digits) > 1 and digits[0] == "0"):
        return "".join(_DIGITS[int(d)] for d in digits)
    if not digits.strip("0"):
        return _DIGITS[0]
    out = ""
    groups = [digits[max(0, end - 4) : end] for end in range(len(digits), 0, -4)]
    for power in range(len(groups) - 1, -1, -1):
        value = int(groups[power])
        if value == 0:
            continue
        if out and value < 1000:
            out += "零"
        out += _read_group(value) + _GROUPS[power]
    return out.removeprefix("一") if out.startswith("一十") else out


def _read_group(value: int) -> str:
    """Return 1 .. 9999 in numerals."""
    out = ""
    zero = False
    for power in range(3, -1, -1):
        digit = value // 10**power % 10
        if digit == 0:
            zero = bool(out)
            continue
        out += ("零" if zero else "") + _DIGITS[digit] + _UNITS[power]
        zero = False
    return out


def _read_match(match: re.Match[str]) -> str:
    if match["time"]:
        hours, minutes = re.split("[:：]", match["time"])
        spoken = _read_two(str(int(hours))) + "点"
        if minutes == "00":
            return spoken + "整"
        return spoken + ("零" if minutes[0] == "0" else "") + read_number(minutes.lstrip("0") or "0") + "分"
    if match["year"]:
        return "".join(_DIGITS[int(d)] for d in match["year"])
    if match["low"]:
        return f"{read_number(match['low'])}到{read_number(match['high'])}"
    spoken = read_number(match["whole"].replace(",", ""))
    if match["decimals"]:
        spoken += "点" + "".join(_DIGITS[int(d)] for d in match["decimals"][:_LONGEST])
    if match["percent"]:
        spoken = "百分之" + spoken
    if match["minus"]:
        spoken = "负" + spoken
    return spoken + _CURRENCY.get(match["currency"] or "", "")


def _read_two(digits: str) -> str:
    return "两" if digits == "2" else read_number(digits)


def _spoken_units(text: str) -> list[tuple[str, str]]:
    """Return (what is spoken, the word it stands for) character by character; numbers are one word.

    Digits inside a Latin word (`v2`, `RTX4090`) stay with it.
    """
    units: list[tuple[str, str]] = []
    position = 0
    for match in _NUMBER.finditer(text):
        if match.start() > 0 and script_of(text[match.start() - 1]) == "Latn":
            continue
        units += [(c, c) for c in text[position : match.start()]]
        spoken = _read_match(match)
        if spoken == "二" and text[match.end() : match.end() + 1] in _COUNTED:
            spoken = "两"
        units += [(spoken[0], match[0].strip()), *((c, "") for c in spoken[1:])]
        position = match.end()
    return units + [(c, c) for c in text[position:]]


def _group(units: list[tuple[str, str]]) -> list[tuple[bool, list[tuple[str, str]]]]:
    """Split into Latin and other runs; what belongs to neither (spaces, commas) stays with the run before."""
    groups: list[tuple[bool, list[tuple[str, str]]]] = []
    for unit in units:
        script = script_of(unit[0])
        if not groups or (script and (script == "Latn") != groups[-1][0]):
            groups.append((script == "Latn", []))
        groups[-1][1].append(unit)
    return groups


def _pinyin_run(units: list[tuple[str, str]]) -> Run:
    from pypinyin import Style, lazy_pinyin

    spoken = "".join(c for c, _ in units)
    syllables = lazy_pinyin(
        spoken,
        style=Style.TONE3,
        errors=cast("Any", list),  # one item per character, which the stubs don't know of
        tone_sandhi=True,
        neutral_tone_with_five=True,
    )
    text = ""
    words: list[tuple[int, str]] = []
    for syllable, (character, word) in zip(syllables, units, strict=True):
        if _PINYIN.match(syllable):
            if text and not text.endswith(" "):
                text += " "
            if word:
                words.append((len(text), word))
            text += _HUM.sub("en4", syllable)
        else:
            text += character.translate(_PUNCTUATION)
    return Run(False, text.strip(), tuple(words))
