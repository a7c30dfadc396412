"""What moods, brows, lids and mouths ask of the mesh, without the pack."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from studio.life.expressions import MOODS, SHUT_PRESS, brow_units, express, mood_units, mouth_units
from studio.pose import Pose
from vcam_talker.core.types import MOUTH_PARAMS, Emotion
from vcam_talker.face.visemes import SHAPES, Kind

pytestmark = pytest.mark.unit


def _mouth(**values: float) -> np.ndarray:
    return np.array([values.get(name, 0.0) for name in MOUTH_PARAMS], np.float32)


def _shape(name: str) -> np.ndarray:
    s = SHAPES[name]
    return _mouth(
        jaw=s.jaw,
        width=s.width,
        rounding=s.rounding,
        protrusion=s.protrusion,
        teeth=s.teeth,
        tongue=s.tongue,
        press=s.press,
    )


def test_every_mood_is_its_own_and_fades_with_its_strength() -> None:
    assert set(MOODS) == set(Emotion)
    assert not MOODS[Emotion.NEUTRAL]
    names = sorted({name for mood in MOODS.values() for name in mood})
    table = np.array([[mood.get(name, 0.0) for name in names] for mood in MOODS.values()])
    for one, other in itertools.combinations(table, 2):
        assert np.linalg.norm(one - other) > 0.3
    assert np.abs(table).max() <= 1.0
    half, whole = mood_units({Emotion.SAD: 0.5}), mood_units({Emotion.SAD: 1.0})
    assert all(half[name] == pytest.approx(whole[name] / 2) for name in whole)
    mixed = mood_units({Emotion.HAPPY: 0.5, Emotion.PLAYFUL: 0.5})
    assert mixed["mouth-corner-puller"] == pytest.approx(0.585)


def test_the_viewers_left_is_the_characters_right() -> None:
    units = brow_units((0.5, -0.5), 0.0)
    assert units["eyebrows-right-up"] > 0
    assert units["eyebrows-left-up"] == 0
    assert units["eyebrows-left-down"] > 0
    told = express(Pose(lids=(1.0, -0.3)), {})
    assert told.units["eye-right-closure"] == 1
    assert told.units["eye-left-closure"] == 0
    assert told.units["eye-left-opened-up"] == pytest.approx(0.6)
    assert told.shut == (1.0, 0.0)


def test_a_rest_is_kept_and_not_written_to() -> None:
    rest = {"mouth-corner-puller": 0.3, "eyebrows-left-inner-up": 0.2}
    told = express(Pose(), rest)
    assert told.units["mouth-corner-puller"] == 0.3
    assert told.units["eyebrows-left-inner-up"] == 0.2
    assert rest == {"mouth-corner-puller": 0.3, "eyebrows-left-inner-up": 0.2}
    rounded = express(Pose(mouth=_mouth(rounding=1.0)), rest)
    assert rounded.units["mouth-corner-puller"] < 0.3


def test_a_sad_or_angry_face_does_not_keep_its_smile() -> None:
    rest = {"mouth-corner-puller": 0.7}
    smile = {mood: express(Pose(emotion={mood: 1.0}), rest).units["mouth-corner-puller"] for mood in Emotion}
    assert (
        max(smile[Emotion.SAD], smile[Emotion.ANGRY]) < 0 < smile[Emotion.SURPRISED] < smile[Emotion.NEUTRAL]
    )
    assert smile[Emotion.HAPPY] > smile[Emotion.NEUTRAL]
    half = express(Pose(emotion={Emotion.SAD: 0.5}), rest).units["mouth-corner-puller"]
    assert smile[Emotion.SAD] < half < smile[Emotion.NEUTRAL]


def test_a_shut_eye_is_neither_wide_nor_narrow() -> None:
    surprised = {Emotion.SURPRISED: 1.0}
    assert express(Pose(emotion=surprised), {}).units["eye-left-opened-up"] > 0.5
    told = express(Pose(emotion=surprised, lids=(1.0, 1.0), squint=1.0), {})
    assert told.units["eye-left-opened-up"] == 0
    assert told.units["eye-left-slit"] < 0.2


@pytest.mark.parametrize(
    ("parameter", "unit"),
    [
        ("jaw", "mouth-open"),
        ("width", "mouth-retraction"),
        ("width", "mouth-upward-retraction"),
        ("rounding", "mouth-pursing"),
        ("protrusion", "mouth-protusion"),
        ("teeth", "mouth-elevation"),
        ("press", "mouth-compression"),
    ],
)
def test_units_rise_with_their_parameter(parameter: str, unit: str) -> None:
    weights = [mouth_units(_mouth(**{parameter: x})).units[unit] for x in np.linspace(0, 1, 41)]
    assert weights[0] == 0
    assert (np.diff(weights) > 0).all()


def test_mouths_are_continuous() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        a = rng.uniform((0, -1, 0, 0, 0, 0, 0), 1.0).astype(np.float32)
        b = (a + rng.uniform(-0.01, 0.01, 7)).clip((0, -1, 0, 0, 0, 0, 0), 1).astype(np.float32)
        one, other = mouth_units(a), mouth_units(b)
        assert one.units.keys() == other.units.keys()
        assert max(abs(one.units[n] - other.units[n]) for n in one.units) < 0.06
        for name in ("jaw", "tongue_up", "tongue_out", "closing", "biting", "pressing"):
            assert abs(getattr(one, name) - getattr(other, name)) < 0.25
            assert 0 <= getattr(one, name) <= 1


def test_an_open_jaw_is_no_scream() -> None:
    assert mouth_units(_mouth(jaw=1.0)).jaw < 0.5
    assert mouth_units(_mouth(jaw=0.7)).jaw > 0.3


@pytest.mark.parametrize("name", [n for n, s in SHAPES.items() if s.kind is not Kind.MARK])
def test_what_must_meet_meets(name: str) -> None:
    shape, told = SHAPES[name], mouth_units(_shape(name))
    if shape.kind in {Kind.REST, Kind.BILABIAL}:
        assert told.closing == 1
    if shape.kind is Kind.BILABIAL:
        assert told.pressing > 0.95
        # As much as smoothing leaves of a short closure still shuts it.
        assert mouth_units(_shape(name) * np.float32(0.84)).closing == 1
    else:
        assert told.pressing == 0
    assert (told.biting > 0.8) == (shape.kind is Kind.LABIODENTAL)
    if name in {"th", "l"}:
        assert told.tongue_up == 1
        assert (told.tongue_out > 0.9) == (name == "th")
    if shape.jaw >= 0.15 and shape.rounding == 0:
        assert told.closing == 0


def test_press_alone_shuts_an_open_mouth() -> None:
    assert mouth_units(_mouth(jaw=0.5, teeth=0.5, press=SHUT_PRESS)).closing == 1
    closing = [mouth_units(_mouth(jaw=j)).closing for j in np.linspace(0, 1, 41)]
    assert (np.diff(closing) <= 0).all()
    assert (closing[0], closing[-1]) == (1, 0)
