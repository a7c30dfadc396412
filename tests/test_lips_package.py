"""A model's folder: what is read of it, and every way in which it can be wrong."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.tiny_lips import make_pose_model
from vcam_talker.config import LipsConfig
from vcam_talker.core.errors import BadInputError, ConfigError, EngineError, VcamTalkerError
from vcam_talker.face.neural import package
from vcam_talker.face.neural.package import choose_model, find_model, load_package
from vcam_talker.persona import FaceSection, load_persona
from vcam_talker.persona_new.options import check_lips

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_pose_model(tmp_path / "model")


def change(folder: Path, **values: Any) -> None:
    path = folder / "model.json"
    data = json.loads(path.read_text())
    data.update(values)
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not None}))


def opened(folder: Path) -> None:
    found = load_package(folder)
    for part in found.spec.parts:
        found.network(part)


def error_of(folder: Path) -> str:
    with pytest.raises(EngineError) as caught:
        opened(folder)
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.remedy
    return text


def test_a_whole_folder_is_read(folder: Path) -> None:
    found = load_package(folder)
    assert found.spec.label == "tiny pose"
    assert found.network("mouth") == (folder / "mouth.onnx", ())
    assert found.spec.region.region().width_mouths == 2.5


def test_another_description_is_another_digest(folder: Path) -> None:
    before = load_package(folder).digest
    change(folder, label="other")
    assert load_package(folder).digest != before


def test_other_number_formats_are_found_and_checked(folder: Path) -> None:
    parts = json.loads((folder / "model.json").read_text())["parts"]
    (folder / "mouth.int8.onnx").write_bytes(b"int8")
    sha256 = hashlib.sha256(b"int8").hexdigest()
    parts["mouth"]["variants"] = [
        {"file": "mouth.int8.onnx", "sha256": sha256},
        {"file": "mouth.fp16.onnx", "sha256": sha256},
    ]
    change(folder, parts=parts)
    path, variants, faults = load_package(folder).look("mouth")
    assert (path, variants) == (folder / "mouth.onnx", (folder / "mouth.int8.onnx",))
    (fault,) = faults
    assert "mouth.fp16.onnx: can't be read" in str(fault)
    assert "\n" not in str(fault)
    (folder / "mouth.onnx").write_bytes(b"something else")
    assert "mouth.onnx: is not the file" in error_of(folder), "the part itself must be right"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"format": 3}, "has format 3, this program reads 2"),
        ({"format": 1}, "is of format 1, whose channels come first; export it anew"),
        ({"format": None}, "format"),
        ({"kind": "magic"}, "kind"),
        ({"condition": "mel"}, "draws from 'pose'"),
        ({"kind": "wav2lip", "condition": "mel"}, "lacks the parts sound"),
        ({"label": ""}, "label"),
        ({"size": [4, 4]}, "size"),
        ({"size": [96]}, "size"),
        ({"region": {"mouth_at": [0.5, 0.3], "width_mouths": 1e9}}, "width_mouths"),
        ({"region": {"mouth_at": [0.5, float("nan")], "width_mouths": 2}}, "mouth_at"),
        ({"parts": {}}, "lacks the parts"),
        ({"parts": {"face": {"file": "../x.onnx", "sha256": "0" * 64}}}, "no plain file name"),
        ({"parts": {"face": {"file": "x.onnx", "sha256": "1"}}}, "no SHA-256"),
    ],
)
def test_a_description_that_is_wrong_is_refused(folder: Path, values: dict[str, Any], why: str) -> None:
    change(folder, **values)
    assert why in error_of(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 50_000, "\x00"])
def test_a_description_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "model.json").write_text(text)
    assert "model.json" in error_of(folder)


def test_a_file_that_is_another_or_missing_is_refused(folder: Path) -> None:
    (folder / "mouth.onnx").write_bytes(b"something else")
    assert "is not the file that model.json tells of" in error_of(folder)
    (folder / "mouth.onnx").unlink()
    assert "mouth.onnx: can't be read" in error_of(folder)
    (folder / "model.json").unlink()
    assert "model.json: can't be read" in error_of(folder)


def test_who_draws_is_chosen_by_configuration_then_persona_then_what_is_shipped(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    persona = load_persona("elena")

    def chosen(lips: str = "", kind: str = "clip", **config: Any) -> Path | None:
        face = FaceSection.model_validate({"kind": kind, "lips": lips})
        return choose_model(persona.model_copy(update={"face": face, "root": tmp_path}), LipsConfig(**config))

    monkeypatch.setattr(package, "_MODELS", tmp_path / "none")
    assert chosen() is None
    monkeypatch.setattr(package, "_MODELS", folder.parent)
    monkeypatch.setattr(package, "SHIPPED", "model")
    assert chosen() == folder
    assert chosen("./mine") == tmp_path / "mine"
    assert chosen("./mine", model=str(folder)) == folder
    assert chosen("model") == folder
    assert chosen("shapes") is None
    assert chosen("shapes", model=str(folder)) is None
    assert chosen(model="shapes") is None
    assert chosen(enabled="off", model=str(folder)) is None
    assert chosen(kind="rig", model=str(folder)) is None


def test_an_unknown_name_is_told_with_those_that_are_known(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "_MODELS", folder.parent)
    with pytest.raises(ConfigError, match="There are: model"):
        find_model("modle", folder)


_IMPOSSIBLE = {
    "x" * 300: "File name too long",
    "./" + "x" * 300: "File name too long",
    "~nosuchuser/x": "Could not determine home directory",
    "./a\0b": "embedded null",
    "./a\ud800": "surrogates not allowed",
    "a\0b": "no such model",
}


@pytest.mark.parametrize("name", _IMPOSSIBLE)
def test_a_name_that_no_file_can_have_is_one_line_that_tells_what_to_do(name: str) -> None:
    with pytest.raises(VcamTalkerError, match=_IMPOSSIBLE[name]) as found:
        load_package(find_model(name, Path()))
    with pytest.raises(BadInputError, match=_IMPOSSIBLE[name]) as told:
        check_lips(name)
    assert found.value.remedy
    assert told.value.remedy
    assert "\n" not in str(found.value) + str(told.value)


def test_a_folder_that_no_file_system_can_have_is_refused() -> None:
    assert "embedded null byte" in error_of(Path("/a\0b"))


def test_a_path_is_looked_for_even_where_the_current_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert find_model(str(folder), Path()) == folder
    persona = load_persona("elena")
    persona = persona.model_copy(update={"face": FaceSection(kind="clip")})
    assert choose_model(persona, LipsConfig(model=str(folder))) == folder
    with pytest.raises(ConfigError, match="can't be looked for"):
        choose_model(persona, LipsConfig(model="./relative"))
