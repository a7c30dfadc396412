"""What the doctor says of who draws the lips."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.doctor import config, own_folders, states
from tests.support.tiny_lips import make_pose_model
from vcam_talker.doctor import Machine, lips

__all__ = ["own_folders"]
pytestmark = pytest.mark.unit


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_pose_model(tmp_path / "model")


def test_a_network_that_can_run_is_named(model: Path) -> None:
    found = lips.check_lips(config(persona="elena", lips__model=str(model)), Machine())
    assert states(found) == ["ok"]
    assert "'tiny pose' draws those of elena" in found[0].message


def test_shapes_by_choice_are_in_order(model: Path) -> None:
    found = lips.check_lips(config(persona="elena", lips__model=str(model), lips__enabled="off"), Machine())
    assert states(found) == ["ok"]
    assert "shapes draw those of elena" in found[0].message


def test_a_damaged_model_is_told(model: Path) -> None:
    (model / "face.onnx").write_bytes(b"")
    found = lips.check_lips(config(persona="elena", lips__model=str(model)), Machine())
    assert states(found) == ["warn"]
    assert "face.onnx" in found[0].message


def test_a_form_that_is_gone_is_told_and_its_model_still_draws(model: Path) -> None:
    described = json.loads((model / "model.json").read_text())
    described["parts"]["mouth"]["variants"] = [{"file": "mouth.int8.onnx", "sha256": "0" * 64}]
    (model / "model.json").write_text(json.dumps(described))
    found = lips.check_lips(config(persona="elena", lips__model=str(model)), Machine())
    assert states(found) == ["ok", "warn"]
    assert "'tiny pose' draws" in found[0].message
    assert "mouth.int8.onnx: can't be read" in found[1].message
    assert "models lips quantise" in found[1].remedy


def test_a_missing_engine_is_told_with_its_remedy(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = SimpleNamespace(what="engine 'ort'", why="needs onnxruntime", remedy="Install it")
    monkeypatch.setattr(lips, "candidates", lambda *_: ([], [missing]))
    found = lips.check_lips(config(persona="elena", lips__model=str(model)), Machine())
    assert states(found) == ["warn"]
    assert "needs onnxruntime" in found[0].message
    assert found[0].remedy == "Install it"


def test_a_drawn_figure_has_no_lips_to_draw(model: Path) -> None:
    assert lips.check_lips(config(persona="mira", lips__model=str(model)), Machine()) == []
