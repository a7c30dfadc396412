"""The presenters that come with the package, as they are: files, lips, seams, life."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from vcam_talker.core.clock import frame_pts
from vcam_talker.core.paths import builtin_dir
from vcam_talker.core.types import Activity, Emotion, FaceInput, MouthTrack, Speech
from vcam_talker.face.clip.evaluate import (
    FPS,
    Seam,
    gap_in_silence_px,
    idle_motion,
    loop_peak,
    mouths_of,
    shut_bilabials,
)
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.evaluate import SENTENCES, speak
from vcam_talker.face.phonemes import PhonemeDriver
from vcam_talker.persona import CLIP_FILE, MOUTHS_FILE, load_persona

pytestmark = pytest.mark.real

NAMES = ("elena", "kofi", "lumi")
_FOLDER = builtin_dir("personas")
_MB = 1_000_000


@pytest.fixture(scope="module")
def spoken() -> list[tuple[Speech, MouthTrack]]:
    driver = PhonemeDriver()
    found = []
    for text in SENTENCES:
        driver.reset()
        speech = speak(text, "slt")
        found.append((speech, driver.drive(speech)))
    return found


@pytest.fixture(scope="module", params=NAMES)
def scene(request: pytest.FixtureRequest) -> ClipScene:
    return ClipScene(load_persona(request.param), 1280, 720)


def test_their_files_are_small() -> None:
    files = [file for name in NAMES for file in (_FOLDER / name).iterdir()]
    assert max(file.stat().st_size for file in files) < 15 * _MB
    assert sum(file.stat().st_size for file in files) <= 45 * _MB


def _brightness(frame: av.VideoFrame) -> float:
    """Return the mean of every 16th pixel, which damage to a block of 16 x 16 shows in."""
    luma = np.frombuffer(bytes(frame.planes[0]), np.uint8).reshape(frame.height, -1)
    return float(luma[::4, : frame.width : 4].mean())


@pytest.mark.parametrize("name", NAMES)
def test_no_frame_of_their_pictures_is_damaged_or_dark(name: str) -> None:
    for file, least in ((CLIP_FILE, 3000), (MOUTHS_FILE, 400)):
        with av.open(str(_FOLDER / name / file)) as container:
            container.streams.video[0].thread_type = "AUTO"
            means = [_brightness(frame) for frame in container.decode(video=0)]
        assert len(means) > least
        assert min(means) > 40
        assert np.ptp(means) < 30


def test_speech_leaves_no_seam_and_bilabials_shut(
    scene: ClipScene, spoken: list[tuple[Speech, MouthTrack]]
) -> None:
    seam, number = Seam(), 0
    for _, track in spoken:
        for k, mouth in enumerate(mouths_of(track)):
            if k % 15 == 0:
                seam.look(scene, number, mouth)
            number += 1
    assert seam.added <= 1.1
    assert max(gap_in_silence_px(scene, *pair) for pair in spoken) == 0
    good, count = np.sum([shut_bilabials(scene, *pair) for pair in spoken], axis=0).tolist()
    assert count > 10
    assert good >= 0.98 * count


def test_life_does_not_loop(scene: ClipScene) -> None:
    for seed in (1, 2):
        assert loop_peak(idle_motion(scene.assets, seed, 10.0), scene.assets.fps) < 0.5


def test_life_has_all_that_a_presenter_does(scene: ClipScene) -> None:
    kinds = {segment.activity for segment in scene.assets.segments}
    assert kinds == {Activity.IDLE, Activity.LISTENING, Activity.THINKING, Activity.SPEAKING}
    idle = sum(s.frames for s in scene.assets.segments if s.activity is Activity.IDLE)
    assert idle > 40 * FPS


def test_every_mood_shows(scene: ClipScene) -> None:
    def drawn(mood: Emotion, first: int) -> np.ndarray:
        for n in range(first, first + 2 * FPS):
            frame = scene.draw(frame_pts(n, FPS), FaceInput(emotion=mood))
        return frame.pixels[:720].astype(int)

    calm = drawn(Emotion.NEUTRAL, 0)
    faces = {mood: drawn(mood, 0) for mood in Emotion if mood is not Emotion.NEUTRAL}
    for mood, face in faces.items():
        assert np.abs(face - calm)[100:500, 400:880].mean() > 0.15, f"{mood} is not to be seen"
        assert np.abs(face - calm)[:, :300].max() == 0, f"{mood} changes the room"


@pytest.mark.parametrize("name", NAMES)
def test_they_speak_in_a_file(name: str, tmp_path: Path) -> None:
    out = tmp_path / "hello.mp4"
    command = [sys.executable, "-m", "vcam_talker", "render", "--persona", name, "--out", str(out)]
    command += ["--text", "[happy] Hello, my name is Bob.", "--size", "640x360"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    with av.open(str(out)) as container:
        sound = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
    assert 20 * np.log10(np.sqrt((sound.astype(float) ** 2).mean()) + 1e-9) > -40
