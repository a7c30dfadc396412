"""What the doctor says of who draws the lips."""

from __future__ import annotations

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


def test_a_missing_engine_is_told_with_its_remedy(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = SimpleNamespace(what="engine 'ort'", why="needs onnxruntime", remedy="Install it")
    monkeypatch.setattr(lips, "candidates", lambda *_: ([], [missing]))
    found = lips.check_lips(config(persona="elena", lips__model=str(model)), Machine())
    assert states(found) == ["warn"]
    assert "needs onnxruntime" in found[0].message
    assert found[0].remedy == "Install it"


def test_a_drawn_figure_has_no_lips_to_draw(model: Path) -> None:
    assert lips.check_lips(config(persona="mira", lips__model=str(model)), Machine()) == []
