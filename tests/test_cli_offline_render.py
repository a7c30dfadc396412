"""`vcam-talker render`: who draws the lips by flag and by configuration file, and recordings with holes."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.support import clip_persona
from tests.support.tiny_lips import make_pose_model
from vcam_talker.cli import main
from vcam_talker.core.errors import BadInputError
from vcam_talker.dsp.wav import read_wav
from vcam_talker.face.neural import package

RATE = 16_000


@pytest.fixture(autouse=True)
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's configuration, which is not there yet; nor is any model of theirs, nor one shipped."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(package, "_MODELS", tmp_path / "shipped")
    file = tmp_path / "config" / "vcam-talker" / "vcam-talker.toml"
    file.parent.mkdir(parents=True)
    return file


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """One of the user's own, called `green`: it paints an open mouth green."""
    return make_pose_model(tmp_path / "data" / "vcam-talker" / "models" / "lips" / "green")


def recording(path: Path, broken: float | None = None, count: int = 0) -> Path:
    """Write 0.6 s of something like a voice, `count` of its samples broken."""
    t = np.arange(int(0.6 * RATE)) / RATE
    voice = (0.4 * np.sign(np.sin(2 * np.pi * 140 * t)) * np.sin(2 * np.pi * 3 * t) ** 2).astype("<f4")
    if broken is not None:
        voice[:count] = broken
    fmt = struct.pack("<HHIIHH", 3, 1, RATE, 4 * RATE, 4, 32)
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", voice.nbytes)
    path.write_bytes(
        b"RIFF" + struct.pack("<I", 4 + len(chunks) + voice.nbytes) + b"WAVE" + chunks + voice.tobytes()
    )
    return path


def render(out: Path, *flags: str, audio: Path | None = None) -> Result:
    sound = audio or recording(out.with_suffix(".wav"))
    asked = ["--persona", str(clip_persona.shared()), "--audio", str(sound), "--size", "640x360"]
    return CliRunner().invoke(main, ["render", *asked, "--out", str(out), *flags])


def greenest(out: Path) -> float:
    """Return how much greener than red the mouth is when it is the greenest."""
    with av.open(str(out)) as container:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    mouths = [frame[190:250, 280:360] for frame in frames]
    return float(max((m[..., 1] - m[..., 0]).max() for m in mouths))


@pytest.mark.real
@pytest.mark.usefixtures("model")
def test_the_file_says_who_draws_the_lips_and_a_flag_says_it_louder(
    tmp_path: Path, config_file: Path
) -> None:
    def drawn(name: str, *flags: str) -> float:
        done = render(tmp_path / f"{name}.mp4", *flags)
        assert done.exit_code == 0, done.output
        return greenest(tmp_path / f"{name}.mp4")

    plain = drawn("plain")
    config_file.write_text('[lips]\nmodel = "green"\nengine = "ort"\nprecision = "fp32"\n')
    assert drawn("configured") > plain + 60
    assert drawn("shapes", "--lips", "shapes") < plain + 20
    other = tmp_path / "other.toml"
    other.write_text("")
    assert drawn("other", "--config", str(other)) < plain + 20
    config_file.write_text('[lips]\nenabled = "off"\nengine = "ort"\nprecision = "fp32"\n')
    assert drawn("off") < plain + 20
    assert drawn("named", "--lips", "green") > plain + 60


@pytest.mark.unit
@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ('engine = "bogus"', 3, "'lips.engine'"),
        ("threads = 1000", 3, "'lips.threads'"),
        ('model = "nosuch"', 3, "lips 'nosuch': no such model"),
        ('model = "./nosuch"', 8, "model.json: can't be read"),
    ],
)
def test_a_wrong_line_in_the_file_is_told_and_nothing_is_made(
    line: str, code: int, says: str, tmp_path: Path, config_file: Path
) -> None:
    config_file.write_text(f"[lips]\n{line}\n")
    done = render(tmp_path / "x.mp4")
    assert done.exit_code == code, done.output
    assert done.output.startswith("error: ")
    assert says in done.output
    assert done.output.count("\n") == 1
    assert not (tmp_path / "x.mp4").exists()


@pytest.mark.unit
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_holes_in_a_recording_are_filled_and_told(
    value: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    samples, _ = read_wav(recording(tmp_path / "a.wav", value, 32))
    assert np.abs(samples).max() <= 1
    (record,) = caplog.records
    line = "a.wav': 32 of its 9,600 samples are no finite numbers; silence and full scale stand in for them"
    assert record.getMessage().endswith(line)
    caplog.clear()
    read_wav(recording(tmp_path / "whole.wav"))
    assert not caplog.records


@pytest.mark.unit
def test_a_recording_of_holes_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="none of its samples is a finite number"):
        read_wav(recording(tmp_path / "a.wav", float("nan"), 9_600))


@pytest.mark.real
def test_render_tells_of_a_recording_with_holes(tmp_path: Path) -> None:
    sound = recording(tmp_path / "holes.wav", float("nan"), 32)
    done = render(tmp_path / "x.mp4", "--lips", "shapes", audio=sound)
    assert done.exit_code == 0, done.output
    assert "holes.wav': 32 of its 9,600 samples are no finite numbers" in done.stderr
    assert "holes" not in done.stdout


def test_the_files_disclosure_is_in_the_picture(tmp_path: Path, config_file: Path) -> None:
    def first_frame(name: str) -> np.ndarray:
        assert render(tmp_path / name, "--lips", "shapes").exit_code == 0
        with av.open(str(tmp_path / name)) as video:
            return next(video.decode(video=0)).to_ndarray(format="gray").astype(int)

    plain = first_frame("plain.mp4")
    config_file.write_text('[air]\ndisclosure = "AI presenter"\n')
    changed = np.argwhere(np.abs(first_frame("told.mp4") - plain) > 40)
    assert len(changed) > 100
    assert np.ptp(changed, axis=0).max() < 0.4 * plain.shape[1], "in a corner"
