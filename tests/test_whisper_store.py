"""Which folder is a model, and what is said of one that is none."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from vcam_talker.asr import models
from vcam_talker.asr.models import find_model, installed, is_there, models_dir, nearest_name
from vcam_talker.core.errors import EngineError

pytestmark = pytest.mark.unit

REAL_TABLE = models.known_models


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(models, "known_models", lambda: {"base": "a/b", "small": "a/c", "tiny": "a/d"})


def make(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "vocabulary.json").write_text("[]")
    (folder / "model.bin").write_bytes(b"weights")
    return folder


def test_a_name_is_looked_up_among_the_users_models() -> None:
    assert not is_there("base")
    folder = make(models_dir() / "base")
    assert is_there("base")
    assert find_model("base") == folder
    (found,) = installed()
    assert (found.name, found.repository, found.problem) == ("base", "", "")
    assert found.size_bytes == 13


def test_a_folder_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "my model")
    assert find_model(str(folder)) == folder
    monkeypatch.chdir(tmp_path)
    assert find_model("./my model") == Path("my model")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_model("~/my model") == folder


def test_hidden_folders_are_no_models() -> None:
    make(models_dir() / ".base.part")
    assert installed() == []
    assert not is_there(".base.part")


def message(model: str) -> str:
    with pytest.raises(EngineError) as caught:
        find_model(model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_that_is_not_here_names_the_command() -> None:
    assert message("base").endswith("is not on this machine. Fetch it: vcam-talker models get base")
    assert "Did you mean 'base'? Then: vcam-talker models get base" in message("bass")
    assert "There are: base, small, tiny" in message("zzzzzz")


@pytest.mark.parametrize("name", ["..", ".hidden", "a b", "x" * 100, "ba\nse", "base;rm"])
def test_what_can_be_no_name(name: str) -> None:
    assert "is neither a name nor a folder" in message(name)
    assert not is_there(name)


def test_no_such_folder(tmp_path: Path) -> None:
    assert "no such folder" in message(str(tmp_path / "nothing"))


NAMES = ("config.json", "tokenizer.json", "vocabulary.json", "model.bin")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        *((n, None, "is missing in") for n in NAMES),
        *((n, b"", "is empty") for n in NAMES),
        *((n, b"<html>", "is damaged") for n in NAMES if n.endswith(".json")),
        ("preprocessor_config.json", b'"text"', "is damaged"),
    ],
)
def test_a_file_that_is_missing_or_damaged_is_named(
    tmp_path: Path, name: str, data: bytes | None, says: str
) -> None:
    folder = make(tmp_path / "model")
    if data is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(data)
    told = message(str(folder))
    assert name in told
    assert says in told
    assert "vcam-talker models get base" in told


def test_a_vocabulary_of_either_kind_will_do(tmp_path: Path) -> None:
    folder = make(tmp_path / "model")
    (folder / "vocabulary.json").rename(folder / "vocabulary.txt")
    assert find_model(str(folder)) == folder


def test_a_transformers_folder_is_told_how_to_convert(tmp_path: Path) -> None:
    folder = tmp_path / "hf"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"x")
    assert "model.bin is missing" in message(str(folder))
    assert "ct2-transformers-converter" in message(str(folder))


def test_deep_json_is_damaged_not_a_crash(tmp_path: Path) -> None:
    folder = make(tmp_path / "model")
    (folder / "config.json").write_text("[" * 200_000)
    assert "config.json" in message(str(folder))


def test_a_note_of_another_version_is_ignored() -> None:
    folder = make(models_dir() / "base")
    (folder / models.MANIFEST).write_text(json.dumps({"version": 2}))
    assert find_model("base") == folder


def test_without_faster_whisper_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "known_models", REAL_TABLE)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert "Install it: pip install 'vcam-talker[asr]'" in message("nobody-has-this")


def test_nearest_name() -> None:
    assert nearest_name("Basee", ["base", "small"]) == "base"
    assert nearest_name("qqq", ["base", "small"]) == ""
