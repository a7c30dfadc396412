"""The scene of a presenter made of pictures: what is in the picture, when, and when it is the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support import clip_persona
from vcam_talker.core.clock import frame_pts
from vcam_talker.core.errors import ConfigError
from vcam_talker.core.types import Activity, Emotion, FaceInput, MouthPose, Pixels, Pts
from vcam_talker.face.clip.compositor import box_of
from vcam_talker.face.clip.evaluate import Seam, idle_motion, loop_peak
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.rig.sheet import MOUTHS, mouth_of
from vcam_talker.persona import Persona, load_persona

pytestmark = pytest.mark.unit

SIZE = (640, 360)
AA, PRESSED = mouth_of(MOUTHS["aa"]), mouth_of(MOUTHS["m b p"])


@pytest.fixture(scope="module")
def persona() -> Persona:
    return load_persona(str(clip_persona.shared()))


@pytest.fixture(scope="module")
def clip(persona: Persona) -> list[Pixels]:
    """Every frame of the clip, decoded from end to end by itself."""
    with av.open(str(persona.root / "life.mp4")) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


@pytest.fixture
def scene(persona: Persona) -> ClipScene:
    return ClipScene(persona, *SIZE)


def with_emotions(persona: Persona, **changes: object) -> Persona:
    return persona.model_copy(update={"emotions": persona.emotions.model_copy(update=changes)})


def mouth_box(scene: ClipScene) -> tuple[slice, slice]:
    columns, rows = scene.assets.patch_size
    box = box_of((0, 0, columns, rows), scene.to_patch(scene.shown), scene.size)
    assert box is not None
    return slice(box[1], box[3]), slice(box[0], box[2])


def test_silence_shows_the_clip_bit_by_bit(scene: ClipScene, clip: list[Pixels]) -> None:
    seen = set()
    for n in range(300):
        frame = scene.draw(frame_pts(n, 30), FaceInput())
        np.testing.assert_array_equal(frame.pixels, clip[scene.shown])
        seen.add(scene.shown)
    assert len(seen) > 100


def test_no_frame_is_left_out_or_shown_twice(scene: ClipScene) -> None:
    shown = []
    for n in range(400):
        scene.draw(frame_pts(n, 30), FaceInput())
        shown.append(scene.shown)
    ends = {s.first + s.frames - 1 for s in scene.assets.segments}
    for before, after in pairwise(shown):
        assert after == before + 1 or before in ends


def test_joins_do_not_jump(scene: ClipScene, clip: list[Pixels]) -> None:
    def step(a: int, b: int) -> float:
        return float(np.abs(clip[a].astype(int) - clip[b]).mean())

    usual = max(step(n, n + 1) for n in range(0, len(clip) - 1, 5))
    for before in scene.assets.segments:
        for after in scene.assets.segments:
            if after.begins == before.ends:
                assert step(before.first + before.frames - 1, after.first) < 1.5 * usual


@pytest.mark.parametrize("fps", [24, 30, 50, 60])
def test_the_clip_keeps_its_own_pace_at_any_frame_rate(persona: Persona, fps: int) -> None:
    scene = ClipScene(persona, *SIZE)
    pictures = [scene.draw(frame_pts(n, fps), FaceInput()).pixels for n in range(2 * fps)]
    changes = sum(a is not b for a, b in pairwise(pictures))
    assert changes == min(fps, 30) * 2 - 1


def test_the_same_picture_is_the_same_object(scene: ClipScene) -> None:
    for face in (FaceInput(), FaceInput(AA), FaceInput(emotion=Emotion.HAPPY), FaceInput(AA, Emotion.SAD)):
        scene.draw(Pts(0), face)
        first = scene.draw(frame_pts(100, 60), face).pixels
        again = FaceInput(face.mouth.copy(), face.emotion)
        if face.emotion is Emotion.NEUTRAL:
            assert scene.draw(frame_pts(101, 60), again).pixels is first
        assert scene.draw(frame_pts(101, 60), FaceInput(PRESSED)).pixels is not first
        assert not first.flags.writeable


def test_the_mouth_changes_its_box_alone(scene: ClipScene, clip: list[Pixels]) -> None:
    for n in range(0, 90, 9):
        drawn = scene.draw(frame_pts(n, 30), FaceInput(AA)).pixels
        bare = clip[scene.shown]
        rows, columns = mouth_box(scene)
        inside = drawn[rows, columns].astype(int) - bare[rows, columns]
        assert np.abs(inside).max() > 60
        outside = drawn[: SIZE[1]].copy()
        outside[rows, columns] = bare[rows, columns]
        np.testing.assert_array_equal(outside, bare[: SIZE[1]])


def test_an_open_mouth_follows_the_head(scene: ClipScene) -> None:
    middles = []
    for n in range(240):
        bare = scene.draw(frame_pts(n, 30), FaceInput()).pixels
        drawn = scene.draw(frame_pts(n, 30), FaceInput(AA)).pixels
        rows, columns = mouth_box(scene)
        dark = np.argwhere(bare[rows, columns].astype(int) - drawn[rows, columns] > 60)
        there = np.array([columns.start, rows.start]) + dark[:, ::-1].mean(0)
        back = scene.to_patch(scene.shown)
        middles.append(back[:, :2] @ (there + 0.5) + back[:, 2])
    assert len(dark) > 40
    assert np.ptp(np.array(middles), axis=0).max() < 6.0


def test_lips_are_shut_at_rest_and_pressed_and_open_otherwise(scene: ClipScene) -> None:
    assert scene.aperture_px(np.zeros(7, np.float32)) == 0.0
    assert scene.aperture_px(PRESSED) == 0.0
    assert 12 < scene.aperture_px(AA) < 30


@pytest.mark.parametrize("emotion", [e for e in Emotion if e is not Emotion.NEUTRAL])
def test_an_emotion_comes_and_goes_softly_and_leaves_nothing(
    persona: Persona, clip: list[Pixels], emotion: Emotion
) -> None:
    scene = ClipScene(persona, *SIZE)
    away = []
    for n in range(120):
        face = FaceInput(emotion=emotion if 20 <= n < 70 else Emotion.NEUTRAL)
        drawn = scene.draw(frame_pts(n, 30), face).pixels
        away.append(float(np.abs(drawn.astype(int) - clip[scene.shown]).mean()))
    assert max(away[:20]) == 0.0
    assert away[65] > 0.05
    assert away[-1] == 0.0
    assert np.abs(np.diff(away)).max() < 0.45 * max(away)


def test_an_emotion_touches_the_face_alone(scene: ClipScene, clip: list[Pixels]) -> None:
    scene.draw(Pts(0), FaceInput(emotion=Emotion.SURPRISED))
    drawn = scene.draw(frame_pts(900, 30), FaceInput(emotion=Emotion.SURPRISED)).pixels
    bare = clip[scene.shown]
    left, top, right, bottom = scene.assets.face_canvas
    box = box_of((left, top, right, bottom), scene.to_patch(scene.shown), scene.size)
    assert box is not None
    outside = drawn[: SIZE[1]].copy()
    outside[box[1] : box[3], box[0] : box[2]] = bare[box[1] : box[3], box[0] : box[2]]
    np.testing.assert_array_equal(outside, bare[: SIZE[1]])
    assert np.abs(drawn.astype(int) - bare).max() > 40


def test_the_personas_own_mood_is_shown_at_rest_and_strength_counts(
    persona: Persona, clip: list[Pixels]
) -> None:
    def away(strength: float, default: Emotion) -> float:
        scene = ClipScene(with_emotions(persona, strength=strength, default=default), *SIZE)
        drawn = scene.draw(Pts(0), FaceInput()).pixels
        return float(np.abs(drawn.astype(int) - clip[scene.shown]).mean())

    assert away(1.0, Emotion.NEUTRAL) == 0.0
    assert away(0.0, Emotion.HAPPY) == 0.0
    assert 0.0 < away(0.5, Emotion.HAPPY) < away(1.0, Emotion.HAPPY) < away(2.0, Emotion.HAPPY)


def test_an_interruption_by_another_mood_has_no_jump(scene: ClipScene, clip: list[Pixels]) -> None:
    away = []
    for n in range(60):
        emotion = (Emotion.NEUTRAL, Emotion.HAPPY, Emotion.ANGRY, Emotion.SAD)[n // 15]
        drawn = scene.draw(frame_pts(n, 30), FaceInput(emotion=emotion)).pixels
        away.append(float(np.abs(drawn.astype(int) - clip[scene.shown]).mean()))
    assert np.abs(np.diff(away)).max() < 0.5 * max(away)


def test_speech_has_its_own_life(scene: ClipScene) -> None:
    speaking = {n for s in scene.assets.segments if s.activity is Activity.SPEAKING
                for n in range(s.first, s.first + s.frames)}  # fmt: skip
    shown = []
    for n in range(400):
        activity = Activity.SPEAKING if n > 60 else Activity.IDLE
        scene.draw(frame_pts(n, 30), FaceInput(AA if n > 60 else np.zeros(7, np.float32), activity=activity))
        shown.append(scene.shown in speaking)
    assert not any(shown[:60])
    assert sum(shown[200:]) > 150


def story(scene: ClipScene, numbers: range) -> Iterator[bytes]:
    for n in numbers:
        mouth: MouthPose = AA * np.float32((n % 10) / 10)
        emotion = (Emotion.NEUTRAL, Emotion.HAPPY)[n // 20 % 2]
        yield scene.draw(frame_pts(n, 30), FaceInput(mouth, emotion)).pixels.tobytes()


def test_the_same_story_gives_the_same_pictures_and_another_seed_others(persona: Persona) -> None:
    first, same, other = (list(story(ClipScene(persona, *SIZE, seed), range(100))) for seed in (1, 1, 2))
    assert first == same
    assert first != other


@pytest.mark.parametrize("numbers", [(0, 7, 8, 400, 401), (5000, 5001, 10, 11), (90_000_000, 90_000_001, 0)])
def test_pts_may_jump(persona: Persona, clip: list[Pixels], numbers: tuple[int, ...]) -> None:
    scene = ClipScene(persona, *SIZE)
    for n in numbers:
        frame = scene.draw(frame_pts(n, 30), FaceInput())
        assert frame.pts == frame_pts(n, 30)
        np.testing.assert_array_equal(frame.pixels, clip[scene.shown])


@pytest.mark.parametrize("size", [(160, 160), (320, 180), (270, 480), (960, 540), (642, 358), (960, 400)])
def test_any_even_size_shows_the_face_and_its_mouth(persona: Persona, size: tuple[int, int]) -> None:
    scene = ClipScene(persona, *size)
    bare = scene.draw(Pts(0), FaceInput()).pixels
    drawn = scene.draw(Pts(0), FaceInput(AA)).pixels
    assert bare.shape == drawn.shape == (size[1] * 3 // 2, size[0])
    rows, columns = mouth_box(scene)
    changed = np.argwhere(np.abs(drawn[: size[1]].astype(int) - bare[: size[1]]) > 30)
    assert len(changed) > 15
    (top, left), (bottom, right) = changed.min(0), changed.max(0)
    assert rows.start <= top
    assert bottom < rows.stop
    assert columns.start <= left
    assert right < columns.stop
    # Around the middle of the picture, where the face is.
    assert abs((left + right) / 2 - size[0] / 2) < 0.12 * size[0]


def test_scaling_keeps_colours(persona: Persona, clip: list[Pixels]) -> None:
    small = ClipScene(persona, 320, 180).still().pixels
    expected = clip[0][:360].reshape(180, 2, 320, 2).mean((1, 3))
    assert np.abs(small[:180] - expected).mean() < 1.0
    assert abs(small[180:225].mean() - clip[0][360:450].mean()) < 1.0


@pytest.mark.parametrize("size", [(641, 360), (640, 361), (158, 360), (3842, 360), (0, 0)])
def test_sizes_that_cannot_be_drawn_are_refused(persona: Persona, size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match=str(size[0])):
        ClipScene(persona, *size)


def test_the_still_is_the_clips_first_picture(scene: ClipScene, clip: list[Pixels]) -> None:
    np.testing.assert_array_equal(scene.still().pixels, clip[0])


def test_the_reader_holds_few_pictures(scene: ClipScene) -> None:
    for n in range(0, 500, 3):
        scene.draw(frame_pts(n, 30), FaceInput())
        assert scene._reader.held <= 13


def test_no_seam_is_added(persona: Persona) -> None:
    scene, seam = ClipScene(persona, *SIZE), Seam()
    for n, name in enumerate(MOUTHS):
        seam.look(scene, 11 * n, mouth_of(MOUTHS[name]))
    assert seam.added < 1.1


def test_a_patch_of_another_light_is_met(persona: Persona, monkeypatch: pytest.MonkeyPatch) -> None:
    """Darker patches than the clip: the tint takes the step away, without it there is a seam."""

    def seam() -> float:
        scene, found = ClipScene(persona, *SIZE), Seam()
        luma = scene._patches._store.luma
        luma[...] = np.maximum(luma.astype(int) - 10, 0)
        for n in range(5):
            found.look(scene, 20 * n, PRESSED)
        return found.added

    met = seam()
    monkeypatch.setattr("vcam_talker.face.clip.compositor._LIMIT", 0.0)
    assert met < 1.1
    assert seam() > 2.0


def test_the_measure_of_the_loop_finds_a_loop() -> None:
    rng = np.random.default_rng(1)
    piece = np.cumsum(rng.standard_normal((150, 3)), axis=0)
    assert loop_peak(np.tile(piece, (40, 1)), 30) > 0.9
    noise = np.convolve(rng.standard_normal(18_000), np.hanning(60), "same")
    assert loop_peak(np.column_stack([noise] * 3), 30) < 0.5


def test_a_rich_clip_does_not_loop(persona: Persona) -> None:
    motion = idle_motion(ClipScene(persona, *SIZE).assets, 3, 1.0)
    assert motion.shape == (1800, 3)
    assert np.ptp(motion[:, 0]) > 2.0


def test_a_scene_that_left_the_air_leaves_no_thread(
    persona: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcam_talker.face.clip.reader._IDLE_S", 0.05)
    scene = ClipScene(persona, *SIZE)
    scene.draw(Pts(0), FaceInput())
    thread = scene._reader._thread
    assert thread is not None
    thread.join(10)
    assert not thread.is_alive()
    # And it comes back when it is needed.
    before = scene.shown
    scene.draw(frame_pts(40, 30), FaceInput())
    assert scene.shown != before


def test_the_files_may_be_moved_away_while_on_air(persona: Persona, tmp_path: Path) -> None:
    root = tmp_path / "moved"
    shutil.copytree(persona.root, root)
    scene = ClipScene(load_persona(str(root)), *SIZE)
    scene.draw(Pts(0), FaceInput())
    shutil.rmtree(root)
    for n in range(1, 200, 10):
        assert scene.draw(frame_pts(n, 30), FaceInput(AA)).pixels.mean() > 30
