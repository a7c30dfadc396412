"""What is wrong with a picture, a clip or a name is told in one line, before anything is decoded."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support import pictures
from vcam_talker.core.errors import BadInputError
from vcam_talker.persona import Persona
from vcam_talker.persona_new.photo import load_photo
from vcam_talker.persona_new.script import check_name, parse_voice, script
from vcam_talker.persona_new.video import open_clip

pytestmark = pytest.mark.unit

GREY = np.full((80, 120, 3), 90, np.uint8)


def told(error: pytest.ExceptionInfo[BadInputError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert error.value.remedy
    return text


def test_what_is_transparent_is_grey(tmp_path: Path) -> None:
    rgba = np.zeros((80, 80, 4), np.uint8)
    assert cv2.imwrite(str(tmp_path / "a.png"), rgba)
    assert (load_photo(tmp_path / "a.png").pixels == 128).all()


def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as error:
        load_photo(pictures.huge_png(tmp_path / "huge.png", 30_000))
    assert "30000x30000" in told(error)


def test_a_picture_cut_off_is_damaged(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    for name in ("a.png", "a.jpg"):
        path = pictures.write(tmp_path / name, noise)
        path.write_bytes(path.read_bytes()[:9000])
        with pytest.raises(BadInputError) as error:
            load_photo(path)
        assert "damaged" in told(error)


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xd8\xff", b"%PDF-1.4 " * 100])
def test_what_is_no_picture_is_called_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with pytest.raises(BadInputError) as error:
        load_photo(path)
    assert "no picture" in told(error) or "damaged" in told(error)


def test_a_picture_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.jpg", "No such file"), (tmp_path, "folder")):
        with pytest.raises(BadInputError) as error:
            load_photo(path)
        assert why in told(error)


def test_a_picture_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pictures.write(tmp_path / "a.png", GREY)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(BadInputError) as error:
        load_photo(path)
    assert "Permission denied" in told(error)


def test_a_picture_too_small_for_a_face(tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as error:
        load_photo(pictures.write(tmp_path / "a.png", GREY[:30, :30]))
    assert "30x30" in told(error)


@pytest.mark.parametrize("name", ["", "..", "a/b", "Ada", "-x", "a b", "x" * 41, "new", "é", "kofi"])
def test_a_name_that_is_not_safe_or_taken(name: str) -> None:
    with pytest.raises(BadInputError):
        check_name(name)


def test_a_name_of_ones_own_persona(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    check_name("ada-2")
    (tmp_path / "vcam-talker" / "personas" / "ada-2").mkdir(parents=True)
    with pytest.raises(BadInputError) as error:
        check_name("ada-2")
    assert "already" in told(error)


def test_voices() -> None:
    assert parse_voice("", "en") == ("flite", "slt")
    assert parse_voice("", "de") == ("espeak-ng", "de")
    assert parse_voice("espeak-ng:de+f2", "de") == ("espeak-ng", "de+f2")
    for voice in ("slt", "flite:", "other:x"):
        with pytest.raises(BadInputError):
            parse_voice(voice, "en")


def test_the_script_is_a_persona() -> None:
    text = script("ada-b", ("flite", "slt"), "en", './it "s"', "a photograph")
    found = Persona(**tomllib.loads(text))
    assert found.title == "Ada B"
    assert found.face.kind == "clip"
    assert found.face.lips == './it "s"'
    assert Persona(**tomllib.loads(script("x", ("flite", "slt"), "en", "", "a clip"))).face.lips == ""


def even(count: int, step_ms: float = 40.0) -> list[int]:
    return [round(n * step_ms) for n in range(count)]


def test_an_even_clip(tmp_path: Path) -> None:
    clip = open_clip(pictures.write_clip(tmp_path / "a.mp4", [GREY] * 100, even(100)))
    assert (clip.fps, clip.step, clip.frames) == (25, 1, 100)
    assert len(list(clip.pictures())) == 100
    # Twice the rate that is needed, a little more than once.
    fast = open_clip(pictures.write_clip(tmp_path / "b.mp4", [GREY] * 240, even(240, 1000 / 60)))
    assert (fast.fps, fast.step, fast.frames) == (30, 2, 120)
    assert len(list(fast.pictures())) == 120


def test_a_long_clip_is_cut(tmp_path: Path) -> None:
    clip = open_clip(pictures.write_clip(tmp_path / "a.mp4", [GREY] * 700, even(700, 100)))
    assert clip.frames == 600
    assert clip.seconds_left_out == pytest.approx(10)


def test_bad_clips(tmp_path: Path) -> None:
    short = pictures.write_clip(tmp_path / "short.mp4", [GREY] * 50, even(50))
    uneven = [n * 40 + (n % 3 == 0) * 25 for n in range(100)]
    unsteady = pictures.write_clip(tmp_path / "unsteady.mp4", [GREY] * 100, uneven)
    nothing = tmp_path / "nothing.mp4"
    nothing.write_bytes(b"no video at all" * 50)
    slow = pictures.write_clip(tmp_path / "slow.mp4", [GREY] * 20, even(20, 500))
    cases = (
        (short, "lasts 2.0 s"),
        (unsteady, "no constant frame rate"),
        (nothing, "no video"),
        (slow, "2.0 pictures a second"),
        (tmp_path / "missing.mp4", "No such file"),
        (tmp_path, "folder"),
    )
    for path, why in cases:
        with pytest.raises(BadInputError) as error:
            open_clip(path)
        assert why in told(error)


def test_a_clip_of_sound_alone(tmp_path: Path) -> None:
    import wave

    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(80_000))
    with pytest.raises(BadInputError) as error:
        open_clip(path)
    assert "no pictures" in told(error)
