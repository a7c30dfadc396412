"""The truth set's people, splits, texts, bodies and shots: random, human, repeatable, never shared."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from studio.identity import Identity
from studio.truth import texts, voices
from studio.truth.body import BODY_COLUMNS, EMOTIONS, LIMITS_DEG, body_track, pose_of
from studio.truth.clips import Plan
from studio.truth.colours import skin_albedo
from studio.truth.draw import SPLITS, digest, generator, shared_out
from studio.truth.people import BROWS, GARMENTS, HAIR_STYLES, POPULATION, people_of, person
from studio.truth.proportions import SPREADS
from studio.truth.shot import BACKGROUNDS, Shot, developed, draw_shot

pytestmark = pytest.mark.unit


def test_numbers_drawn_depend_on_their_names_alone() -> None:
    assert digest("a", 1) == digest("a", "1") != digest("a1")
    assert generator(3, "x").random() == generator(3, "x").random() != generator(3, "y").random()


def test_items_are_shared_out_without_overlap() -> None:
    items = [f"item {n}" for n in range(26)]
    parts = [shared_out(items, split, "salt") for split in SPLITS]
    assert sorted(sum(parts, ())) == sorted(items)
    assert min(map(len, parts)) >= 3
    assert len(parts[0]) > 15


def test_an_item_added_moves_few_others() -> None:
    items = [f"item {n}" for n in range(40)]
    before, after = (set(shared_out(i, "test", "salt")) for i in (items, [*items, "another"]))
    assert len(before & after) >= len(before) - 1


@pytest.mark.parametrize(("one", "other"), list(combinations(SPLITS, 2)))
def test_splits_share_neither_people_nor_voices_nor_sentences(one: str, other: str) -> None:
    a, b = one, other
    assert not set(people_of(a)) & set(people_of(b))  # type: ignore[arg-type]
    assert not set(voices.voice_keys(a)) & set(voices.voice_keys(b))  # type: ignore[arg-type]
    for language in texts.languages():
        said = [{texts.compose(language, s, generator(n)) for n in range(300)} for s in (a, b)]  # type: ignore[arg-type]
        # Rows of syllables are nobody's own.
        common = {s for s in said[0] & said[1] if "," in s or len(s.split()) > 8}
        assert not common, common


def test_there_is_enough_of_everything() -> None:
    assert len(people_of("train")) >= 200
    assert sum(len(people_of(s)) for s in SPLITS) == POPULATION
    assert len(voices.voice_keys("train")) >= 30
    assert len(voices.spoken_languages("train")) >= 8
    assert set(texts.languages()) == {tag for s in SPLITS for tag in voices.spoken_languages(s)}
    assert all(texts.combinations(tag, "train") > 2000 for tag in texts.languages())


def test_the_test_speaks_languages_that_training_never_heard() -> None:
    unseen = set(voices.spoken_languages("test")) - set(voices.spoken_languages("train"))
    assert unseen
    drawn = Counter(voices.draw_voice("test", generator(n)).language for n in range(400))
    assert 0.3 < sum(drawn[tag] for tag in unseen) / 400 < 0.5
    assert all(voices.draw_voice("train", generator(n)).language not in unseen for n in range(400))


@pytest.mark.parametrize("language", texts.languages())
def test_lines_are_whole_and_do_not_repeat_soon(language: str) -> None:
    said = [texts.compose(language, "train", generator("line", n)) for n in range(200)]
    assert len(set(said)) > 120
    assert not any("{" in text or "  " in text for text in said)
    assert all(8 <= len(text) <= 160 for text in said)


def test_a_voice_asks_for_what_the_engines_have() -> None:
    drawn = [voices.draw_voice("train", generator("voice", n)) for n in range(300)]
    assert {v.engine for v in drawn} == {"flite", "espeak-ng"}
    assert all(v.language == "en" for v in drawn if v.engine == "flite")
    assert all(v.spec().voice == f"{v.accent}+{v.name}" for v in drawn if v.engine == "espeak-ng")
    assert np.ptp([v.rate for v in drawn]) > 0.3
    assert np.ptp([v.semitones for v in drawn]) > 4


def test_people_are_human_and_differ() -> None:
    people = [person(n) for n in range(0, POPULATION, 6)]
    assert [p.character for p in people[:5]] == [person(n).character for n in range(0, 30, 6)]
    ages = [p.character.who.age_years for p in people]
    assert min(ages) < 20
    assert max(ages) > 70
    assert 0.35 < np.mean([p.sex == "male" for p in people]) < 0.65
    for p in people:
        character = p.character
        assert isinstance(character.who.identity(), Identity)
        assert character.hair.style in HAIR_STYLES
        assert character.clothes.garment in GARMENTS[p.sex]
        assert character.brows.part in BROWS
        assert character.skin.beard == 0 or p.sex == "male"
        assert max(character.who.targets.values()) <= 1.0
        for name, (less, more, _) in SPREADS.items():
            both = {f"{name}-{less}", f"{name}-{more}"} <= set(character.who.targets)
            assert not both or "bag" in name or "lobe" in name
    assert {p.character.hair.style for p in people} == set(HAIR_STYLES)
    assert {p.character.clothes.glasses for p in people} == {"none", "round", "square"}


def test_the_old_turn_grey_and_the_young_do_not() -> None:
    people = [person(n).character for n in range(150)]
    old = [c.hair.grey for c in people if c.who.age_years > 62]
    young = [c.hair.grey for c in people if c.who.age_years < 30]
    assert np.mean(old) > 0.4
    assert max(young) == 0


def test_skin_darkens_with_melanin_and_reddens_with_blood() -> None:
    tones = np.array([skin_albedo(m, 0.0, 0.0) for m in np.linspace(0, 1, 9)])
    assert (np.diff(tones, axis=0) < 0).all()
    assert (tones[:, 0] > tones[:, 1]).all()
    assert (tones[:, 1] > tones[:, 2]).all()
    pale, flushed = skin_albedo(0.2, 0.0, 0.0), skin_albedo(0.2, 1.0, 0.0)
    assert flushed[0] / flushed[1] > pale[0] / pale[1]


def test_bodies_keep_their_limits_and_reach_for_them() -> None:
    tracks = [body_track(generator("body", n), 170, 25) for n in range(60)]
    whole = np.concatenate(tracks)
    assert whole.shape[1] == len(BODY_COLUMNS)
    for name, limit in LIMITS_DEG.items():
        degrees = whole[:, BODY_COLUMNS.index(name)]
        assert np.abs(degrees).max() <= limit
        assert 0.08 < np.mean(np.abs(degrees) > 0.6 * limit) < 0.6
        # 150 degrees a second is a quick shake of the head.
        steps = [np.abs(np.diff(t[:, BODY_COLUMNS.index(name)])).max() for t in tracks]
        assert max(steps) < 6
    emotions = whole[:, [BODY_COLUMNS.index(e.value) for e in EMOTIONS]]
    assert emotions.min() >= 0
    assert emotions.sum(axis=1).max() <= 1.0001
    assert 0.3 < np.mean([t[:, -len(EMOTIONS) :].any() for t in tracks]) < 0.7
    lids = whole[:, BODY_COLUMNS.index("lid_left")]
    assert lids.max() > 0.9
    assert np.mean(lids > 0.5) < 0.15


def test_a_row_becomes_a_pose() -> None:
    track = body_track(generator("pose", 4), 50, 25)
    mouth = np.full(7, 0.25, np.float32)
    pose = pose_of(track[20], mouth)
    assert pose.mouth is mouth
    assert pose.yaw_deg == track[20, BODY_COLUMNS.index("yaw_deg")]
    assert pose.lids[1] == track[20, BODY_COLUMNS.index("lid_right")]
    assert all(weight > 0 for weight in pose.emotion.values())


def test_shots_differ_and_repeat() -> None:
    shots = [draw_shot(generator("shot", n)) for n in range(200)]
    assert shots[3] == draw_shot(generator("shot", 3)) != shots[4]
    assert {s.background for s in shots} == set(BACKGROUNDS)
    assert {s.light.key_side for s in shots} == {"left", "right"}


def test_the_sensor_does_what_the_shot_says() -> None:
    rng = generator("picture")
    grey = np.full((64, 64, 3), 120, np.uint8)
    edge = grey.copy()
    edge[:, 32:] = 200
    assert (developed(edge, Shot(), rng) == edge).all()
    assert 2 < developed(grey, Shot(noise=4.0), rng).std() < 6
    soft = developed(edge, Shot(blur_px=1.0), rng)
    assert 0 < np.abs(np.diff(soft[30, :, 0].astype(int))).max() < 45
    warm = developed(grey, Shot(balance=(1.1, 0.9)), rng)
    assert warm[0, 0, 0] > 120 > warm[0, 0, 2]
    coarse = developed(edge, Shot(quality=40), rng)
    assert 0 < np.abs(coarse.astype(int) - edge).max() < 60


def test_a_hundred_thousand_frames_show_two_hundred_people() -> None:
    plan = Plan(1, "train")
    assert plan.people(100_000 // plan.shard_frames) >= 200
    assert Plan(1, "val").people(200) == len(people_of("val"))
