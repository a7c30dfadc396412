"""`vcam-talker persona new` from pictures and clips of rendered presenters, and `render` with the results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.support import pictures
from vcam_talker.core.errors import BadInputError
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.persona import load_persona
from vcam_talker.persona_new.detect import FaceFinder
from vcam_talker.persona_new.eyes import find_eyes
from vcam_talker.persona_new.landmarks import gap, mouth_landmarks, mouth_width
from vcam_talker.persona_new.lids import Lids
from vcam_talker.persona_new.photo import load_photo
from vcam_talker.persona_new.track import follow
from vcam_talker.persona_new.video import open_clip

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vcam_talker", *arguments]
    env = {**os.environ, "XDG_CONFIG_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=env)


def left(home: Path) -> list[str]:
    folder = home / "vcam-talker" / "personas"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def frames_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="gray") for f in container.decode(video=0)]).astype(np.int16)


@pytest.mark.parametrize("name", ["elena", "kofi"])
def test_points_of_presenters_are_found(finder: FaceFinder, name: str) -> None:
    points = finder.one(pictures.presenter(name), name)
    with np.load(load_persona(name).root / "face.npz") as known:
        truth = known["landmarks"][len(known["views"]) // 2, 0]
        to_patch = known["frame_to_patch"][0]
    found = mouth_landmarks(points) @ to_patch[:, :2].T + to_patch[:, 2]
    off = np.linalg.norm(found - truth, axis=1) / mouth_width(points)
    assert off[:32].mean() < 0.12
    assert off[32:].mean() < 0.3
    assert gap(points) < 0.1


def test_what_is_wrong_with_a_picture_is_told(finder: FaceFinder) -> None:
    kofi = pictures.presenter("kofi")
    small = cv2.resize(kofi, (640, 360), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(2).integers(0, 255, (300, 400, 3), np.uint8)
    tiny = np.full((720, 1280, 3), 120, np.uint8)
    tiny[200:300, 300:478] = cv2.resize(kofi, (178, 100), interpolation=cv2.INTER_AREA)
    elena = cv2.resize(pictures.presenter("elena"), (640, 360), interpolation=cv2.INTER_AREA)
    cases = (
        (noise, "no face is found", "--box"),
        (np.hstack((small, elena)), "shows 2 faces", "--box"),
        (cv2.rotate(small, cv2.ROTATE_90_COUNTERCLOCKWISE), "on its side", ", clockwise"),
        (cv2.rotate(small, cv2.ROTATE_90_CLOCKWISE), "on its side", "counter-clockwise"),
        (cv2.rotate(small, cv2.ROTATE_180), "upside down", "upside down"),
        (tiny, "pixels high", "larger"),
    )
    for picture, why, remedy in cases:
        with pytest.raises(BadInputError) as error:
            finder.one(np.ascontiguousarray(picture), "photo.jpg")
        assert why in str(error.value) or (picture is tiny and "no face" in error.value.why)
        assert remedy in error.value.remedy or picture is tiny


def test_a_box_chooses_between_faces(finder: FaceFinder) -> None:
    two = np.hstack([pictures.presenter("kofi"), pictures.presenter("elena")])
    with pytest.raises(BadInputError) as error:
        finder.one(two, "two.jpg")
    boxes = [word for word in error.value.why.replace(", ", " ").split() if word.count(",") == 3][:2]
    chosen = [finder.one(two, "two.jpg", tuple(map(float, box.split(",")))) for box in boxes]
    sides = sorted(points[:, 0].mean() > 1280 for points in chosen)
    assert sides == [False, True]
    with pytest.raises(BadInputError) as error:
        finder.one(two, "two.jpg", (5000, 10, 100, 100))
    assert "outside" in error.value.why
    with pytest.raises(BadInputError) as error:
        finder.one(two, "two.jpg", (10, 500, 60, 60))
    assert "no face" in error.value.why


def test_a_photograph_of_a_large_camera_is_told_of_in_its_own_pixels(
    finder: FaceFinder, tmp_path: Path
) -> None:
    large = np.full((3000, 6000, 3), 120, np.uint8)
    for name, left in (("kofi", 200), ("elena", 3200)):
        large[700:2140, left : left + 2560] = cv2.resize(pictures.presenter(name), (2560, 1440))
    photo = load_photo(pictures.write(tmp_path / "large.jpg", large))
    assert photo.pixels.shape[1] == 4096
    with pytest.raises(BadInputError) as error:
        finder.one(photo.pixels, "large.jpg", None, photo.size)
    boxes = [word for word in error.value.why.replace(", ", " ").split() if word.count(",") == 3][:2]
    seen = []
    for told in boxes:
        x, y, w, h = map(float, told.split(","))
        assert 700 < y < 2140
        points = finder.one(photo.pixels, "large.jpg", (x, y, w, h), photo.size)
        assert points[:, 0].mean() * 6000 / 4096 == pytest.approx(x + w / 2, abs=w / 4)
        seen.append(x > 3200)
    assert sorted(seen) == [False, True]


def test_a_tape_with_fades_becomes_a_loop_of_its_middle(finder: FaceFinder, tmp_path: Path) -> None:
    life = pictures.life("kofi", 150)
    light = np.concatenate((np.zeros(15), np.linspace(0, 1, 20), np.ones(115), np.zeros(12)))
    shown = [
        (cv2.resize(life[min(max(n - 15, 0), 149)], (480, 360), interpolation=cv2.INTER_AREA) * share).astype(
            np.uint8
        )
        for n, share in enumerate(light)
    ]
    clip = open_clip(
        pictures.write_clip(tmp_path / "tape.mp4", shown, [round(n * 1000 / 30) for n in range(len(shown))])
    )
    track = follow(replace(clip, pixel_aspect=Fraction(4, 3)), finder, None)
    assert track.size == (640, 360)
    assert 25 <= track.first <= 40
    assert track.after == 12
    wanted = finder.one(cv2.resize(life[80], (640, 360), interpolation=cv2.INTER_AREA), "kofi")
    assert mouth_width(track.points[80 + 15 - track.first]) == pytest.approx(mouth_width(wanted), rel=0.06)


def test_a_photograph_becomes_a_persona_that_talks(tmp_path: Path) -> None:
    photo = pictures.write(tmp_path / "photo.png", pictures.presenter("kofi"))
    done = run(tmp_path, "persona", "new", "ada", "--portrait", str(photo), "--size", "320x180")
    assert done.returncode == 0, done.stderr
    assert "vcam-talker run --persona ada" in done.stdout
    assert left(tmp_path) == ["ada"]
    folder = tmp_path / "vcam-talker" / "personas" / "ada"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["face.npz", "life.mp4", "persona.toml", "portrait.jpg"]
    scene = ClipScene(load_persona(str(folder)), 640, 360)
    assert scene.assets.fps == 30
    frames = frames_of(folder / "life.mp4")
    assert len(frames) == sum(s.frames for s in scene.assets.segments) > 1500
    # It lives about the face; the corners stand still.
    spread = frames[::10].std(0)
    assert spread[30:120, 110:210].mean() > 4 * spread[:12, :12].mean()
    again = run(tmp_path, "persona", "new", "ada", "--portrait", str(photo))
    assert again.returncode == 7
    assert "already" in again.stderr
    out = tmp_path / "talk.mp4"
    done = run(
        tmp_path, "render", "--persona", "ada", "--text", "Hello.", "--out", str(out), "--size", "320x180"
    )
    assert done.returncode == 0, done.stderr
    assert len(frames_of(out)) > 30


def test_a_clip_becomes_a_seamless_loop(tmp_path: Path) -> None:
    some = [cv2.resize(p, (640, 360), interpolation=cv2.INTER_AREA) for p in pictures.life("kofi", 150)]
    clip = pictures.write_clip(tmp_path / "clip.mp4", some, [round(n * 1000 / 30) for n in range(150)])
    done = run(
        tmp_path,
        "persona",
        "new",
        "ben",
        "--clip",
        str(clip),
        "--size",
        "320x180",
        "--json",
        "--voice",
        "flite:rms",
    )
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["segments"] == 1
    folder = Path(made["folder"])
    frames = frames_of(folder / "life.mp4")
    assert len(frames) == round(made["seconds"] * 30)
    steps = np.abs(np.diff(frames, axis=0)).mean((1, 2))
    assert np.abs(frames[-1] - frames[0]).mean() < 2.5 * np.percentile(steps, 90) + 0.5
    assert load_persona(str(folder)).voice.name == "rms"


def test_wrong_options_are_told_before_minutes_of_drawing(tmp_path: Path) -> None:
    photo = pictures.write(tmp_path / "photo.png", pictures.presenter("kofi"))
    for option, value in (
        ("--language", "en_US"),
        ("--voice", "flite:nosuch"),
        ("--lips", "./nosuch"),
        ("--box", "5000,0,90,90"),
    ):
        done = run(tmp_path, "persona", "new", "ada", "--portrait", str(photo), option, value)
        assert done.returncode == 7, done.stderr
        assert done.stderr.startswith(f"error: {option}")
        assert "Drawing" not in done.stdout
    assert left(tmp_path) == []


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    nobody = pictures.write(tmp_path / "nobody.png", np.full((200, 300, 3), 90, np.uint8))
    for arguments in (("--portrait", str(nobody)), ("--clip", str(nobody)), ("--clip", str(tmp_path))):
        done = run(tmp_path, "persona", "new", "ada", *arguments)
        assert done.returncode == 7
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr
    assert left(tmp_path) == []


def test_of_two_at_once_one_is_told_that_the_other_was_quicker(tmp_path: Path) -> None:
    some = [cv2.resize(p, (640, 360), interpolation=cv2.INTER_AREA) for p in pictures.life("kofi", 100)]
    clip = pictures.write_clip(tmp_path / "clip.mp4", some, [round(n * 1000 / 30) for n in range(100)])
    words = ("persona", "new", "ada", "--clip", str(clip), "--size", "320x180")
    with ThreadPoolExecutor(2) as both:
        done = list(both.map(lambda _: run(tmp_path, *words), range(2)))
    assert sorted(each.returncode for each in done) == [0, 7]
    loser = next(each for each in done if each.returncode)
    assert "is there already" in loser.stderr
    assert left(tmp_path) == ["ada"]


def test_two_narrow_faces_are_told_soon(finder: FaceFinder, tmp_path: Path) -> None:
    some = [np.hstack((p, p[:, ::-1]))[:, ::2] for p in pictures.life("elena", 120)]
    clip = open_clip(
        pictures.write_clip(tmp_path / "two.mp4", some, [round(n * 1000 / 30) for n in range(120)])
    )
    with pytest.raises(BadInputError) as error:
        follow(clip, finder, None)
    assert "shows 2 faces" in error.value.why or "lost" in error.value.why


@pytest.mark.parametrize("name", ["elena", "kofi"])
def test_eyes_of_presenters_are_found_and_shut(finder: FaceFinder, name: str) -> None:
    frame = pictures.presenter(name)
    points = finder.one(frame, name)
    lids = Lids(frame, points)
    assert lids.usable
    shut = lids.drawn(1.0)
    for eye in find_eyes(frame, points) or ():
        x, y = (round(float(v)) for v in eye.middle - eye.down * 0.4 * eye.iris)
        far = round(0.5 * eye.iris)
        seen = shut[y - far : y + far, x - far : x + far].astype(float)
        # Where the iris was there is even skin, not darker than half of the cheek.
        assert seen.std((0, 1)).max() < 14
        assert seen.mean() > 0.5 * frame[y + 4 * far : y + 6 * far, x - far : x + far].mean()
    # And shut eyes are not taken for open ones.
    assert find_eyes(shut, points) is None
