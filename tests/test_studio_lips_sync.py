"""The expert of lips and sound: its clips, what it can learn, and how lateness is measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from click.testing import CliRunner

from studio.lips.sync import clips as clips_module
from studio.lips.sync.__main__ import cli
from studio.lips.sync.clips import CLIPS, CUT, FRAMES, MARGIN, STEP, Clip, draw, load, make, path_of, voice_of
from studio.lips.sync.data import audible, batches, listened_to, looked_at
from studio.lips.sync.drawn import TruthStage, affine_of, around
from studio.lips.sync.evaluate import FRAME_MS, earlier, evaluate, windows_of
from studio.lips.sync.measure import Judges, Seen, measure, rows, table
from studio.lips.sync.net import HOP, PICTURES, POSES, Expert
from studio.lips.sync.net import SIZE as SEEN_SIZE
from studio.lips.sync.presenters import everything
from studio.lips.sync.spoken import LATE, LATE_S, OTHER, Said, at_frames, drivers
from studio.lips.sync.timing import joined, lag, timing, vertex
from studio.lips.sync.train import Recipe, train
from studio.lips.sync.train import load as expert_of
from studio.pack import StudioError
from studio.truth import container
from studio.truth.clips import FPS
from studio.truth.draw import SPLITS
from studio.truth.fake import FakeRenderer
from studio.truth.people import people_of
from studio.truth.voices import AUDIO_RATE, Voice
from tests.support.truth_voices import reciting_speaker
from vcam_talker.core.types import SAMPLE_RATE, Pixels, Speech
from vcam_talker.face.motion import JAW
from vcam_talker.face.neural.spectrum import BANDS
from vcam_talker.face.phonemes import PhonemeDriver

pytestmark = pytest.mark.unit

Floats = npt.NDArray[np.float32]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


# --- clips


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sync")
    number = people_of("test")[0]
    drawn = draw("test", number, FakeRenderer(clips_module.SIZE), reciting_speaker())
    container.write(path_of(place, "test", number), drawn)
    return place


def test_a_file_holds_mouths_with_their_sound(folder: Path) -> None:
    found = load(folder, "test")
    assert len(found) == CLIPS
    for clip in found:
        assert clip.pictures.shape == (FRAMES, CUT[0] + 2 * MARGIN, CUT[1] + 2 * MARGIN, 3)
        assert clip.audio.size >= FRAMES * STEP
        assert clip.mouth.shape == (FRAMES, 7)
        # Where the mouth is open, its dark inside is in the picture's middle.
        middle = clip.pictures[:, MARGIN + 20 : MARGIN + 60, MARGIN + 44 : MARGIN + 84].astype(int)
        dark = (middle.sum(3) < 130).sum((1, 2))
        assert np.corrcoef(dark, clip.mouth[:, JAW])[0, 1] > 0.8
    assert {clip.person for clip in found} == {f"test-{people_of('test')[0]:04}"}


def test_the_same_person_is_drawn_the_same_and_only_once(folder: Path, tmp_path: Path) -> None:
    number = people_of("test")[0]
    again = draw("test", number, FakeRenderer(clips_module.SIZE), reciting_speaker())
    found = container.read(path_of(folder, "test", number))
    assert all(np.array_equal(found[name], again[name]) for name in again)
    assert make(folder, "test", 1, "no such renderer", 1, print) == 0
    with pytest.raises(StudioError, match="no clips of split val"):
        load(tmp_path, "val")


def test_who_speaks_in_a_voice_of_no_split_any_more_is_drawn_anew(folder: Path, tmp_path: Path) -> None:
    drawn = container.read(path_of(folder, "test", people_of("test")[0]))
    facts = json.loads(drawn["facts"].tobytes())
    path = tmp_path / "clip.safetensors"
    assert not clips_module._is_there(path, "test")
    for voice, there in ((facts["clips"][1]["voice"], True), ("espeak-ng/Henrique", False)):
        facts["clips"][1]["voice"] = voice
        container.write(path, drawn | {"facts": np.frombuffer(json.dumps(facts).encode(), np.uint8)})
        assert clips_module._is_there(path, "test") is there
    path.write_bytes(path.read_bytes()[:500])
    assert not clips_module._is_there(path, "test")


def test_splits_share_no_people_no_voices_and_not_all_languages() -> None:
    people = {split: set(people_of(split)) for split in SPLITS}
    voices: dict[str, set[str]] = {}
    tongues: dict[str, set[str]] = {}
    for split in SPLITS:
        drawn: list[Voice] = [voice_of(split, n, k) for n in people_of(split) for k in range(CLIPS)]
        voices[split], tongues[split] = {v.key for v in drawn}, {v.language for v in drawn}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not people[one] & people[other]
        assert not voices[one] & voices[other]
    assert {"sv", "tr"} <= tongues["test"] - tongues["train"] - tongues["val"]
    assert "cs" in tongues["val"] - tongues["train"]


# --- time


def _curve(at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.sin(at / 3.1) + 0.7 * np.sin(at / 1.9 + 1) + 0.4 * np.sin(at / 5.3 + 2)


@pytest.mark.parametrize("late", [-7.0, -1.6, -0.3, 0.0, 0.5, 2.0, 3.3])
def test_a_track_that_is_late_has_a_positive_lag_finer_than_a_frame(late: float) -> None:
    at = np.arange(80.0)
    found, r = lag(_curve(at), 3 + 0.5 * _curve(at - late))
    assert found == pytest.approx(late, abs=0.06)
    assert r > 0.98


def test_what_never_moves_has_no_lag() -> None:
    found, r = lag(_curve(np.arange(80.0)), np.ones(80))
    assert np.isnan(found)
    assert r == 0.0


def test_a_parabola_is_found_where_it_is() -> None:
    x = np.arange(7.0)
    place, height = vertex(5 - 2 * (x - 3.3) ** 2, 3)
    assert place == pytest.approx(3.3)
    assert height == pytest.approx(5.0)
    assert vertex(x, 6) == (6.0, 6.0)


def _walk(count: int, seed: int) -> npt.NDArray[np.float64]:
    steps = np.cumsum(np.random.default_rng(seed).normal(size=(count, 32)), 0)
    steps -= steps.mean(0)
    return np.asarray(steps / np.linalg.norm(steps, axis=1, keepdims=True))


@pytest.mark.parametrize("late", [-6, 0, 4])
def test_windows_tell_how_late_the_picture_is(late: int) -> None:
    heard = _walk(90, 1)
    seen = np.roll(heard, late, 0)
    everywhere = np.ones(90, bool)
    found = timing(seen, heard, everywhere)
    assert found.offset_frames == pytest.approx(late, abs=0.2)
    assert found.confidence > 3 * timing(_walk(90, 2), heard, everywhere).confidence
    # Where nothing is audible, nothing is said; and a clip of noise doesn't outvote a clear one.
    assert np.isnan(timing(seen, heard, ~everywhere).offset_frames)
    noise = timing(_walk(90, 3), heard, everywhere).curve
    assert joined([found.curve, noise]).offset_frames == pytest.approx(late, abs=0.6)


# --- what the expert hears and sees


def test_a_window_hears_what_sounds_while_it_sees() -> None:
    sound = np.zeros(2 * AUDIO_RATE, np.float32)
    window = 20
    moment = (window + PICTURES // 2) * STEP
    sound[moment - 40 : moment + 40] = 0.5
    heard = listened_to(sound, 40)
    assert heard.shape == (HOP * 39 + POSES, BANDS)
    loud = heard.mean(1)
    centre = float((np.arange(len(loud)) * (loud - loud.min())).sum() / (loud - loud.min()).sum())
    assert centre == pytest.approx(HOP * window + POSES / 2, abs=1)
    there = np.flatnonzero(audible(np.tile(sound[:moment], 1) + sound[:moment], 10))
    assert not there.size


def test_towers_answer_each_window_by_itself() -> None:
    net = Expert().eval()
    assert sum(p.numel() for p in net.parameters()) < 1_000_000
    bands = torch.randn(1, HOP * 9 + POSES, BANDS)
    with torch.inference_mode():
        whole = net.hear(bands)[0]
        parts = [net.hear(bands[:, HOP * k : HOP * k + POSES])[0, 0] for k in range(10)]
        seen = net.see(torch.rand(2, 9, 3, *SEEN_SIZE))
    assert whole.shape == (10, 128)
    assert torch.allclose(whole, torch.stack(parts), atol=1e-5)
    assert seen.shape == (2, 5, 128)
    assert torch.allclose(seen.norm(dim=-1), torch.ones(2, 5), atol=1e-5)


# --- learning: mouths that follow the loudness


def _toy(number: int, late_ms: int = 0) -> Clip:
    """Return a clip whose mouth is a dark bar as high as the sound is loud; no training sees two alike."""
    rng = np.random.default_rng(number)
    count = FRAMES * STEP + 3200
    knots = rng.uniform(0, 1, count // 1600 + 2) ** 2
    loud = np.interp(np.arange(count) / 1600, np.arange(len(knots)), knots)
    sound = 0.5 * loud * rng.normal(0, 0.3, count)
    at = np.clip(np.arange(FRAMES) * STEP - late_ms * AUDIO_RATE // 1000, 0, count - 1)
    pictures = np.full((FRAMES, CUT[0] + 2 * MARGIN, CUT[1] + 2 * MARGIN, 3), 170, np.uint8)
    for picture, high in zip(pictures, loud[at] * 40, strict=True):
        top = MARGIN + 33 - round(high / 2)
        picture[top : top + round(high) + 1, MARGIN + 40 : MARGIN + 88] = 30
    audio = np.round(np.clip(sound, -1, 1) * 32767).astype(np.int16)
    mouth = np.zeros((FRAMES, 7), np.float32)
    return Clip(f"train-{number:04}.0", "toy/a", "en", pictures, audio, mouth)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("expert")
    clips = [_toy(number) for number in range(16)]
    recipe = Recipe(steps=16, batch=6, windows=16, rate=5e-3, warm_up=3)
    said: list[str] = []
    assert not train(clips, out, recipe, said.append, minutes=0.0)
    assert train(clips, out, recipe, said.append)
    with pytest.raises(StudioError, match="another recipe"):
        train(clips, out, replace(recipe, seed=2), said.append)
    return out


def test_it_finds_how_late_a_mouth_is_that_follows_the_loudness(taught: Path) -> None:
    net, recipe = expert_of(taught)
    assert recipe.steps == 16
    for late_ms in (-200, 0, 240):
        clip = _toy(100, late_ms)
        found = windows_of(net, looked_at(clip.pictures, MARGIN), clip.sound).timing()
        assert found.offset_frames * FRAME_MS == pytest.approx(late_ms, abs=60)


def test_figures_tell_a_taught_expert_from_a_fresh_one(taught: Path) -> None:
    clips = [_toy(200 + k) for k in range(4)]
    known, fresh = evaluate(expert_of(taught)[0], clips, 0.0), evaluate(Expert().eval(), clips, 0.0)
    assert known["told_apart"] > 0.75
    assert known["auc"] > fresh["auc"] + 0.15
    assert known["within_a_frame"] == 1.0
    assert known["shifted"]["-120"]["within_a_frame"] >= 0.75
    assert known["confidence"] > fresh["confidence"]


def test_a_sound_that_comes_earlier_makes_its_picture_late() -> None:
    sound = np.arange(AUDIO_RATE, dtype=np.float32)
    assert earlier(sound, 100)[0] == AUDIO_RATE // 10
    assert earlier(sound, -100)[AUDIO_RATE // 10] == 0
    assert earlier(sound, 100).size == earlier(sound, -100).size == sound.size


def test_samples_are_the_same_for_the_same_seed() -> None:
    clips = [_toy(number) for number in range(3)]
    one, again, other = (next(batches(clips, 2, 8, seed)) for seed in (1, 1, 2))
    assert one.pictures.shape == (2, 8 + PICTURES - 1, 3, *SEEN_SIZE)
    assert one.bands.shape == (2, HOP * 7 + POSES, BANDS)
    assert torch.equal(one.pictures, again.pictures)
    assert torch.equal(one.bands, again.bands)
    assert not torch.equal(one.bands, other.bands)


def test_no_expert_is_one_clear_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["evaluate", "--data", str(tmp_path), "--expert", str(tmp_path)])
    assert isinstance(done.exception, StudioError)
    assert "Run `train` first" in str(done.exception)


# --- from sound to the picture on air


def test_the_mouth_region_lies_where_the_scene_has_the_mouth() -> None:
    # A head that leans by 5 degrees, its patch coarser than the picture; centres of pixels lie at +0.5.
    rest = np.zeros((41, 2), np.float32)
    rest[0], rest[10] = (70.0, 110.0), (130.0, 114.0)
    turn = np.radians(5)
    c, s = 0.8 * np.cos(turn), 0.8 * np.sin(turn)
    to_patch = np.array([[c, -s, -300.0], [s, c, -150.0]], np.float32)
    on_screen = np.linalg.solve(to_patch[:, :2], (rest[[0, 10]] - to_patch[:, 2]).T).T
    affine = affine_of(rest, to_patch)
    left, right = (on_screen - 0.5) @ affine[:, :2].T + affine[:, 2] + 0.5
    assert right - left == pytest.approx((CUT[1] / 2.5, 0), abs=0.01)
    assert (left + right) / 2 == pytest.approx((CUT[1] * 0.5, CUT[0] * 0.34), abs=0.01)


def test_the_sound_around_a_moment_is_silent_beyond_its_ends() -> None:
    sound = np.ones(SAMPLE_RATE, np.float32)
    assert around(sound, 0.5, (0.04, 0.24)).sum() == pytest.approx(0.28 * SAMPLE_RATE)
    assert around(sound, 0.0, (0.04, 0.24)).sum() == pytest.approx(0.24 * SAMPLE_RATE)
    assert around(sound, 0.9, (0.04, 0.24)).sum() == pytest.approx(0.14 * SAMPLE_RATE)


def _speech() -> Speech:
    (speech,) = reciting_speaker().say(voice_of("test", 1, 0), ["So."])
    return speech


def _pieces() -> list[Said]:
    speech = _speech()
    double = replace(
        speech,
        samples=np.concatenate((speech.samples, speech.samples)),
        phones=speech.phones
        + tuple(
            replace(p, start_s=p.start_s + speech.phones[-1].end_s, end_s=p.end_s + speech.phones[-1].end_s)
            for p in speech.phones
        ),
    )
    return [Said(f"piece {k}", double, PhonemeDriver().drive(double).values) for k in range(2)]


def test_every_driver_moves_the_mouth_and_controls_are_wrong() -> None:
    pieces = _pieces()
    found = drivers(pieces)
    assert set(found) == {"neural, sound alone", "neural, with timings", "audio", "phonemes", LATE, OTHER}
    truth, late = found["phonemes"][0], found[LATE][0]
    assert np.array_equal(late[round(LATE_S * 100) :], truth[: -round(LATE_S * 100)])
    alone = drivers([replace(piece, reference=None) for piece in pieces])
    assert set(alone) == {"neural, sound alone", "audio", LATE, OTHER}


class _Fake:
    """A stage that shows truth, some frames late."""

    def __init__(self, truth: TruthStage, late: int) -> None:
        self._truth = truth
        self._late = late

    def shows(self, mouths: Floats, speech: Speech) -> Pixels:
        del speech
        moved = np.roll(mouths, self._late, 0)
        moved[: self._late] = 0
        return self._truth.truth(moved).pictures

    def close(self) -> None:
        pass


def _dark(pictures: Pixels) -> Floats:
    inside = pictures.astype(int).sum(3) < 130
    return np.stack((inside.sum(1).max(1), inside.any(1).sum(1)), 1).astype(np.float32)


def test_what_is_drawn_late_is_measured_late() -> None:
    truth = TruthStage(Path("studio/characters/elena.toml"), FakeRenderer(clips_module.SIZE))
    pieces = _pieces()[:1]
    tracks = {"phonemes": [piece.reference for piece in pieces if piece.reference is not None]}
    seen: dict[tuple[str, str], Seen] = {}
    stages = {"prompt": _Fake(truth, 0), "late": _Fake(truth, 2)}
    measure(pieces, tracks, stages, truth, Judges(_dark, Expert().eval()), seen, _silent)
    found = rows(seen)
    prompt, late = found["prompt"]["phonemes"], found["late"]["phonemes"]
    assert prompt["offset_ms"] == pytest.approx(0, abs=2)
    assert late["offset_ms"] == pytest.approx(80, abs=6)
    assert prompt["aperture_r"] > 0.85 > late["aperture_r"] + 0.2
    assert prompt["bilabials"] == len(list(pieces[0].bilabials())) > 3
    assert prompt["bilabials_closed"] == 1.0 > late["bilabials_closed"]
    assert prompt["open_drawn_shut"] == 0.0 < late["open_drawn_shut"]
    assert found["truth"]["truth"]["aperture_r"] == prompt["aperture_r"]
    assert "| late | phonemes |" in table(found)


def test_two_models_of_one_name_are_not_taken_for_one() -> None:
    judges = Judges(_dark, Expert())
    with pytest.raises(StudioError, match="names in common"):
        everything(_pieces(), (), (Path("a/lips"), Path("b/lips")), judges, _silent)
    with pytest.raises(StudioError, match="names in common"):
        everything(_pieces(), (), (Path("a/shapes"),), judges, _silent)


def test_frames_are_a_track_at_their_moments() -> None:
    track = np.arange(30 * 7, dtype=np.float32).reshape(30, 7)
    found = at_frames(track, 10)
    assert np.array_equal(found[:8], track[::4])
    assert not found[8:].any()
    assert FPS == 25


def _silent(text: str) -> None:
    del text
