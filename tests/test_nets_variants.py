"""Forms of a network entered in a model's folder: whatever happens meanwhile, the model works."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from pathlib import Path

import pytest

from tests.support.tiny_lips import make_pose_model
from vcam_talker.face.neural.package import load_package
from vcam_talker.nets import variants
from vcam_talker.nets.export import ExportError
from vcam_talker.nets.variants import add_variants

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_pose_model(tmp_path / "model")


def form(tmp_path: Path, content: bytes) -> Path:
    file = tmp_path / "trial.onnx"
    file.write_bytes(content)
    return file


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()} - {"face.onnx", "mouth.onnx", "model.json"}


def contents(folder: Path, part: str = "mouth") -> list[bytes]:
    """What the daemon would run beside the part itself."""
    return [file.read_bytes() for file in load_package(folder).network(part)[1]]


def test_a_new_form_takes_the_place_of_the_old_one(folder: Path, tmp_path: Path) -> None:
    first = add_variants(folder, {"mouth": form(tmp_path, b"first")})["mouth"]
    assert load_package(folder).network("mouth") == (folder / "mouth.onnx", (first,))
    for _ in range(2):
        second = add_variants(folder, {"mouth": form(tmp_path, b"second")})["mouth"]
        assert contents(folder) == [b"second"]
        assert names(folder) == {second.name}


def test_what_an_earlier_version_wrote_is_replaced(folder: Path, tmp_path: Path) -> None:
    (folder / "mouth.int8.onnx").write_bytes(b"old")
    model = json.loads((folder / "model.json").read_text())
    half = {"file": "mouth.fp16.onnx", "sha256": "1" * 64}
    model["parts"]["mouth"]["variants"] = [half, {"file": "mouth.int8.onnx", "sha256": "0" * 64}]
    (folder / "model.json").write_text(json.dumps(model))
    (folder / "mouth.fp16.onnx").write_bytes(b"half")
    made = add_variants(folder, {"mouth": form(tmp_path, b"new")})["mouth"]
    assert names(folder) == {made.name, "mouth.fp16.onnx"}, "another form is another matter"
    listed = load_package(folder).spec.parts["mouth"].variants
    assert [each.file for each in listed] == ["mouth.fp16.onnx", made.name]


class KilledError(BaseException):
    pass


@pytest.mark.parametrize("step", ["in a copy", "after a copy", "in model.json", "at the end"])
def test_killed_at_any_step_it_is_a_whole_model(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    step: str,
) -> None:
    both = {"face": form(tmp_path, b"first"), "mouth": form(tmp_path, b"first")}
    add_variants(folder, both)
    first = names(folder)
    both["mouth"] = both["face"] = form(tmp_path, b"second")
    with monkeypatch.context() as patch:
        die(patch, step)
        with pytest.raises(KilledError):
            add_variants(folder, both)
    wanted = b"second" if step == "at the end" else b"first"
    assert contents(folder, "face") == contents(folder) == [wanted]
    assert not caplog.records
    mine = {folder / name for name in names(folder) - first if name.endswith(".part")}
    left = {file.rename(str(file).replace(f".{os.getpid()}.", ".7.")) for file in mine}
    assert len(left) == (step != "at the end")
    made = add_variants(folder, {part: form(tmp_path, b"third") for part in both})
    assert contents(folder, "face") == contents(folder) == [b"third"]
    others = names(folder) - {file.name for file in made.values()}
    assert others == {file.name for file in left}, "a process may be at work on halves that are young"
    for file in left:
        os.utime(file, (time.time() - 3600,) * 2)
    made = add_variants(folder, {part: form(tmp_path, b"fourth") for part in both})
    assert names(folder) == {file.name for file in made.values()}, "what the killed one left is gone"


def die(patch: pytest.MonkeyPatch, step: str) -> None:
    """Let it be as after SIGKILL, when nothing more is cleared up."""
    copy, put_in_place = shutil.copyfile, Path.replace

    def copy_half(_source: Path, to: Path) -> None:
        to.write_bytes(b"sec")
        raise KilledError

    def stop(file: Path, to: Path) -> Path:
        if step == "after a copy" or (step == "in model.json" and to.name == "model.json"):
            raise KilledError
        return put_in_place(file, to)

    def stop_at_the_end(*_: object) -> None:
        raise KilledError

    patch.setattr(shutil, "copyfile", copy_half if step == "in a copy" else copy)
    patch.setattr(Path, "replace", stop)
    if step == "at the end":
        patch.setattr(variants, "_remove_unnamed", stop_at_the_end)
    patch.setattr(Path, "unlink", lambda *_, **__: None)


def test_halves_that_are_not_its_own_stay(folder: Path, tmp_path: Path) -> None:
    others = {".notes.part", ".mouth.onnx.part", "mouth.onnx.7.part", ".mouth.png.7.part"}
    for name in (*others, ".mouth.int8.0123456789ab.onnx.7.part", ".model.json.7.part"):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (0, 0))
    made = add_variants(folder, {"mouth": form(tmp_path, b"int8")})["mouth"]
    assert names(folder) == {made.name, *others}


def test_a_full_disk_leaves_what_was_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_variants(folder, {"mouth": form(tmp_path, b"first")})
    before = names(folder)

    def full(_source: Path, to: Path) -> None:
        to.write_bytes(b"hal")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(ExportError, match="can't be changed \\(No space left"):
            add_variants(folder, {"mouth": form(tmp_path, b"second")})
    assert names(folder) == before
    assert contents(folder) == [b"first"]


def test_one_that_is_gone_or_damaged_is_left_out_and_made_anew(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = add_variants(folder, {"mouth": form(tmp_path, b"int8")})["mouth"]
    for spoil, why in (
        (lambda: made.write_bytes(b"in"), "is not the file that model.json tells of"),
        (made.unlink, "can't be read (No such file"),
    ):
        caplog.clear()
        spoil()
        assert load_package(folder).network("mouth") == (folder / "mouth.onnx", ())
        (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert line.startswith(f"{made}: {why}")
        assert line.endswith(f"vcam-talker models lips quantise {folder}")
    add_variants(folder, {"mouth": form(tmp_path, b"int8")})
    assert contents(folder) == [b"int8"]


def test_folders_that_can_not_take_one(folder: Path, tmp_path: Path) -> None:
    file = form(tmp_path, b"int8")
    with pytest.raises(ExportError, match="lacks one of the parts mouth, teeth"):
        add_variants(folder, {"mouth": file, "teeth": file})
    assert not names(folder)
    with pytest.raises(ExportError, match="can't be changed"):
        add_variants(folder, {"mouth": tmp_path / "absent.onnx"})
    (folder / "model.json").write_text("[]")
    with pytest.raises(ExportError, match="is damaged"):
        add_variants(folder, {"mouth": file})
    (folder / "model.json").unlink()
    with pytest.raises(ExportError, match="can't be changed"):
        add_variants(folder, {"mouth": file})
    assert not names(folder)
