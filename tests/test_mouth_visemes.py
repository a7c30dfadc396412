"""Phones of both alphabets, spelt in mouth shapes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcam_talker.face import visemes_arpabet, visemes_espeak
from vcam_talker.face.visemes import SHAPES, Kind, spread

pytestmark = pytest.mark.unit


def kinds(symbol: str, language: str = "") -> list[Kind]:
    return [SHAPES[name].kind for name in visemes_espeak.spell(symbol, language)]


def test_every_spelling_names_shapes_that_exist() -> None:
    for spelling in visemes_arpabet.ARPABET.values():
        assert all(name in SHAPES for name in spelling)
    assert all(name in SHAPES for name in visemes_arpabet.FIRST_LETTER.values())
    assert all(name in SHAPES for name in visemes_espeak.UNITS.values())


def test_flites_whole_phone_set_is_spelt_by_hand() -> None:
    flite = "aa ae ah ao aw ax ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p pau "
    flite += "r s sh t th uh uw v w y z zh"
    assert set(flite.split()) <= set(visemes_arpabet.ARPABET)


def test_shapes_stay_within_the_ranges_of_a_pose() -> None:
    for shape in SHAPES.values():
        assert -1 <= shape.width <= 1
        for value in (shape.jaw, shape.rounding, shape.protrusion, shape.teeth, shape.tongue, shape.press):
            assert 0 <= value <= 1
        assert shape.jaw <= 0.7, "speech, not a yawn"


@pytest.mark.parametrize(
    "symbol",
    ["m", "b", "p", "m;", "b#", "p;", "m-", "ph", "pp", "b:", "mʲ", "pʰ", "m̩", "'ma55", "b'i:"],
)
def test_every_way_to_write_a_bilabial_closes_the_lips(symbol: str) -> None:
    assert Kind.BILABIAL in kinds(symbol)


@pytest.mark.parametrize(
    ("symbol", "spelling"),
    [
        ("aI", ("a", "ih")),
        ("aI3", ("a", "ih")),
        ("oU", ("o", "uh")),
        ("3:", ("er",)),
        ("0", ("aa",)),
        ("@L", ("schwa", "l")),
        ("tS", ("sh",)),
        ("dZ", ("sh",)),
        ("pF", ("p", "f")),
        ("ts.h", ("retro", "h")),
        ("tS;h", ("xi", "h")),
        ("S;", ("xi",)),
        ("i[", ("barred",)),
        ("i.", ("barred",)),
        ("y&", ("y", "eh")),
        ("iou", ("i", "o", "u")),
        ("A~", ("aa",)),
        ("n^", ("t",)),
        ("u:", ("u",)),
        ("tʃ", ("sh",)),
        ("ɑː", ("aa",)),
        ("ø", ("oe",)),
        ("ã", ("a",)),
        ("X'Au214", ("k", "aa", "u")),
    ],
)
def test_espeak_mnemonics_and_ipa(symbol: str, spelling: tuple[str, ...]) -> None:
    assert visemes_espeak.spell(symbol) == spelling


def test_one_mnemonic_may_differ_by_language() -> None:
    assert visemes_espeak.spell("y", "de") == ("y",)
    assert visemes_espeak.spell("y", "ru") == ("barred",)
    assert visemes_espeak.spell("r", "en-US") == ("r",)
    assert visemes_espeak.spell("r", "it") == ("rolled",)


@pytest.mark.parametrize("symbol", ["_", "_:", "_!", "_::"])
def test_pauses_rest(symbol: str) -> None:
    assert kinds(symbol) == [Kind.REST]


@pytest.mark.parametrize("symbol", ["", "_|", "(en)", "(cmn)", "'", ",", "55", ":", "%"])
def test_marks_make_no_sound(symbol: str) -> None:
    assert all(kind is Kind.MARK for kind in kinds(symbol))
    assert spread(("mark",), 0.0, 1.0) == []


@pytest.mark.parametrize(
    ("symbol", "like"), [("AX1", "ax"), ("axh", "ah"), ("M", "m"), ("zz", "s"), ("bcl", "b")]
)
def test_unknown_arpabet_goes_by_its_first_letter(symbol: str, like: str) -> None:
    assert visemes_arpabet.spell(symbol) == visemes_arpabet.ARPABET[like]


@given(st.text(max_size=12), st.text(max_size=8))
def test_no_symbol_is_too_odd(symbol: str, language: str) -> None:
    for spelling in (visemes_arpabet.spell(symbol), visemes_espeak.spell(symbol, language)):
        assert spelling
        assert all(name in SHAPES for name in spelling)


@given(st.lists(st.sampled_from(sorted(SHAPES)), min_size=1, max_size=5), st.floats(0, 5), st.floats(0, 2))
def test_shapes_share_a_phones_time_without_gaps(names: list[str], start: float, length: float) -> None:
    segments = spread(tuple(names), start, start + length)
    for before, after in pairwise(segments):
        assert before.end_s == after.start_s
    if segments:
        assert segments[0].start_s == start
        assert segments[-1].end_s == pytest.approx(start + length)
