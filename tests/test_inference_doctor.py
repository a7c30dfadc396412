"""What the doctor says of the engines that run networks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.doctor import own_folders, states
from tests.support.small_net import write_onnx
from vcam_talker.config import Config
from vcam_talker.core.paths import cache_dir
from vcam_talker.doctor import CHECKS, Finding, Machine
from vcam_talker.doctor import inference as doctor
from vcam_talker.inference import engines
from vcam_talker.inference.candidates import Candidate, Measured
from vcam_talker.inference.choice import Question, remember
from vcam_talker.inference.model import find_model
from vcam_talker.inference.processor import this_processor

__all__ = ["own_folders"]

pytestmark = pytest.mark.unit


class Installed:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.packages: dict[str, str] = {}
        self.gpu = ""
        for module in (engines, doctor):
            monkeypatch.setattr(module, "installed_version", lambda name: self.packages.get(name, ""))
            monkeypatch.setattr(module, "gpu_name", lambda: self.gpu)

    def look(self) -> list[Finding]:
        return doctor.check_inference(Config(), Machine())


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    return Installed(monkeypatch)


def test_it_is_one_of_the_checks() -> None:
    assert doctor.check_inference in CHECKS


def test_nothing_installed_is_a_warning(installed: Installed) -> None:
    found = installed.look()
    assert states(found) == ["warn"]
    assert "interpolated shapes" in found[0].message
    assert "vcam-talker[lips]" in found[0].remedy


def test_engines_are_told_with_their_versions(installed: Installed) -> None:
    installed.packages = {"onnxruntime": "1.31", "openvino": "2026.4"}
    found = installed.look()
    assert states(found) == ["ok", "ok"]
    assert "ort (onnxruntime 1.31), openvino (openvino 2026.4)" in found[0].message
    assert "measured when a network is first opened" in found[1].message


def test_what_would_be_faster_is_told(installed: Installed) -> None:
    installed.packages = {"onnxruntime": "1.31"}
    assert any("vcam-talker[openvino]" in finding.message for finding in installed.look())
    installed.gpu = "Test GPU"
    found = installed.look()
    assert states(found) == ["ok", "warn", "ok"]
    assert "Test GPU is there" in found[1].message
    installed.packages = {"onnxruntime-gpu": "1.31"}
    assert states(installed.look()) == ["ok", "ok"]


def test_two_builds_of_one_module_are_a_warning(installed: Installed) -> None:
    installed.packages = {"onnxruntime": "1.31", "onnxruntime-gpu": "1.31", "openvino": "1"}
    found = installed.look()
    assert states(found) == ["ok", "warn", "ok"]
    assert "onnxruntime and onnxruntime-gpu overwrite" in found[1].message


def test_what_was_measured_is_told(installed: Installed, tmp_path: Path) -> None:
    installed.packages = {"onnxruntime": "1.31", "openvino": "2026.4"}
    model = find_model(write_onnx(tmp_path / "net.onnx"))
    ort, openvino = Candidate("ort", "fp32"), Candidate("openvino", "bf16")
    question = Question.about(model, [ort, openvino], 1, None, this_processor())
    folder = cache_dir() / "inference"
    remember(folder, question, [Measured(ort, 3.0), Measured(openvino, 1.25)])
    (folder / "damaged.json").write_text("{")
    assert f"{tmp_path.name}/net.onnx with openvino bf16, 1.2 ms" in installed.look()[-1].message
    installed.packages["openvino"] = "2026.5"
    assert "is measured when" in installed.look()[-1].message


def test_what_was_left_out_is_told(installed: Installed, tmp_path: Path) -> None:
    installed.packages = {"onnxruntime": "1.31", "openvino": "2026.4"}
    model = find_model(write_onnx(tmp_path / "net.onnx"))
    ort, fp32, bf16 = Candidate("ort", "fp32"), Candidate("openvino", "fp32"), Candidate("openvino", "bf16")
    question = Question.about(model, [ort, fp32, bf16], 1, None, this_processor())
    folder = cache_dir() / "inference"
    slow = Measured(fp32, fault="takes too long", passing=True, tries=1)
    remember(folder, question, [Measured(ort, 3.0), Measured(bf16, 1.0, 0.3, "its results are wrong"), slow])
    found = installed.look()
    assert states(found) == ["ok", "ok", "ok", "warn"]
    name = f"{tmp_path.name}/net.onnx"
    assert found[1].message.endswith(f"{name} with ort fp32, 3.0 ms")
    assert found[2].message == f"{name} without openvino bf16: its results are wrong"
    assert found[3].message == (
        f"{name} without openvino fp32, which a start tries again in 24 h: takes too long"
    )
    assert found[3].remedy.endswith(f"rm {folder}/*.json")
    (file,) = folder.glob("*.json")
    os.utime(file, (0, 0))
    assert "which the next start tries again" in installed.look()[-1].message


def test_only_what_a_rest_may_mend_is_a_warning(installed: Installed, tmp_path: Path) -> None:
    installed.packages = {"onnxruntime": "1.31", "openvino": "2026.4"}
    model = find_model(write_onnx(tmp_path / "net.onnx"))
    ort, openvino = Candidate("ort", "fp32"), Candidate("openvino", "fp32")
    question = Question.about(model, [ort, openvino], 1, None, this_processor())
    folder = cache_dir() / "inference"
    remember(folder, question, [Measured(ort, 3.0), Measured(openvino, fault="op not supported", tries=1)])
    found = installed.look()[-1]
    assert (found.state, found.remedy) == ("ok", "")
    assert found.message.endswith("openvino fp32, which a start tries again in 24 h: op not supported")
    slow = [Measured(ort, 3.0), Measured(openvino, fault="takes too long", passing=True, tries=1)]
    told = []
    for _ in range(5):
        remember(folder, question, slow)
        told.append(installed.look()[-1].state)
    assert told == ["warn", "warn", "ok", "ok", "ok"], "the fourth time in a row it was not by chance"
