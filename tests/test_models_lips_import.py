"""`vcam-talker models lips import`: names and places that can't be, told before any work."""

from __future__ import annotations

import errno
import json
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from click.testing import CliRunner, Result

from tests.support.wav2lip_nets import net
from vcam_talker.cli import main
from vcam_talker.face.neural.package import meaning, user_models
from vcam_talker.nets import wav2lip_export
from vcam_talker.nets.export import ExportError
from vcam_talker.nets.wav2lip_layers import scaled_channels

pytestmark = pytest.mark.unit


class _Disk(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def _no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be loaded: what is tested is told before."""
    monkeypatch.setitem(sys.modules, "vcam_talker.nets.checkpoint", None)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    narrow = net(96, scaled_channels(96, 1 / 32))
    torch.save({"state_dict": narrow.state_dict()}, tmp_path / "narrow.pth")
    (tmp_path / "narrow.json").write_text(json.dumps(narrow.plan()))
    return tmp_path / "narrow.pth"


def lips_import(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["models", "lips", "import", *map(str, arguments)])


def told(done: Result, code: int) -> str:
    assert done.exit_code == code, done.output
    lines = done.output.splitlines()
    assert lines[-1].startswith("error: ")
    return lines[-1]


@pytest.mark.usefixtures("_no_work")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("shapes", "means no network at all"),
        ("Shapes", "means no network at all"),
        ("lips", "is the name of a model that comes with vcam-talker"),
        ("a\\b", "can only be a path"),
    ],
)
def test_a_name_that_means_something_else_is_refused(name: str, why: str, tmp_path: Path) -> None:
    for arguments in ([f"{name}.pth"], ["x.pth", "--out", user_models() / name]):
        line = told(lips_import(*arguments), 7)
        assert f"the model's name '{name}': {why}. " in line
        assert "--out" in line
    elsewhere = lips_import("x.pth", "--out", tmp_path / name)
    assert "vcam-talker[prune]" in elsewhere.output, "a folder elsewhere may have any name"


def test_ordinary_names_mean_nothing_yet() -> None:
    assert [meaning(n) for n in ("wav2lip", "lips2", "landmarks", "Mein Modell (v2) ü")] == [""] * 4


@pytest.mark.usefixtures("_no_work")
def test_a_place_that_takes_no_folder_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for place in ("/proc/x", tmp_path / "file" / "m", tmp_path / ("m" * 300)):
        line = told(lips_import("x.pth", "--out", place), 4)
        assert line.startswith(f"error: model folder {place}: can't be written in ")
        assert line.endswith("Name a folder elsewhere with --out")
        assert "No such file" not in line
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.usefixtures("_no_work")
def test_looking_at_a_place_leaves_nothing(tmp_path: Path) -> None:
    done = lips_import("x.pth", "--out", tmp_path / "new" / "deep" / "m")
    assert "vcam-talker[prune]" in done.output
    assert not list(tmp_path.iterdir())


def test_too_little_room_is_told_before_the_work(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_export(*_: object, **__: object) -> None:
        pytest.fail("it began to write")

    monkeypatch.setattr(wav2lip_export, "export_wav2lip", no_export)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Disk(10**9, 10**9 - 10**6, 10**6))
    place = tmp_path / "new" / "m"
    done = lips_import(checkpoint, "--plan", checkpoint.with_suffix(".json"), "--out", place)
    line = told(done, 4)
    assert line.startswith(f"error: model folder {place}: needs ")
    assert f"in {tmp_path} are 1 MB free. Make room" in line
    assert done.output.count("\n") == 1


def test_a_disk_that_fills_up_meanwhile_is_told_by_the_users_own_path(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_net: object, folder: Path, *_: object, **__: object) -> dict[str, float]:
        part = folder.with_name(f".{folder.name}.1.part") / "mouth.onnx"
        raise ExportError(f"export {part}", "can't be written") from OSError(errno.ENOSPC, "No space left")

    monkeypatch.setattr(wav2lip_export, "export_wav2lip", full)
    done = lips_import(checkpoint, "--plan", checkpoint.with_suffix(".json"), "--out", tmp_path / "m")
    line = told(done, 4)
    assert line.startswith(
        f"error: model folder {tmp_path / 'm'}: can't be written in {tmp_path} (No space left)"
    )
    assert "--out" in line
    assert ".part" not in line


def test_what_is_no_fault_of_the_place_stays_what_it_is(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ExportError("export m", "differs by 1e+00 in ONNX Runtime")

    monkeypatch.setattr(wav2lip_export, "export_wav2lip", fail)
    done = lips_import(checkpoint, "--plan", checkpoint.with_suffix(".json"), "--out", tmp_path / "m")
    assert "differs by" in told(done, 8)


def test_the_line_to_copy_is_toml(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav2lip_export, "export_wav2lip", lambda *_, **__: {"face": 1e-7})
    plan = checkpoint.with_suffix(".json")
    odd = checkpoint.rename(tmp_path / 'the "best" ü.pth')
    done = lips_import(odd, "--plan", plan)
    assert done.exit_code == 0, done.output
    assert 'model = "the \\"best\\" ü"  under [lips]' in done.output
