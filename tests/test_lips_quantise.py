"""A model of lips in 8 bits: calibrated on a presenter that speaks, near enough to the one in float."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from studio.lips.picture.export import export
from vcam_talker.cli import main
from vcam_talker.config import LipsConfig
from vcam_talker.face.neural.model import open_model
from vcam_talker.face.neural.package import load_package
from vcam_talker.face.neural.sitting import sit
from vcam_talker.nets.lips import TEACHER, LipsNet, LipsPlan
from vcam_talker.nets.quantise import QuantiseError, quantise, quantise_within
from vcam_talker.persona import load_persona
from vcam_talker.prune.calibrate import quantise_lips

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that moves and paints something, whatever it is."""
    torch.set_num_threads(1)
    torch.manual_seed(7)
    net = LipsNet(LipsPlan(dict.fromkeys(TEACHER, 8)))
    torch.nn.init.normal_(net.head.weight, 0, 0.1)
    made = tmp_path_factory.mktemp("lips") / "model"
    export(net, made, "some lips", "nothing")
    return made


def test_a_presenter_speaks_and_the_model_is_quantised(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(folder, model)
    persona = load_persona("elena")
    done = quantise_lips(model, persona, count=6, limit=0.2)
    assert set(done.parts) == {"face", "mouth"}
    assert all(0 < part.error <= 0.2 for part in done.parts.values())
    assert 0 < done.difference < 8
    package = load_package(model)
    assert package.network("mouth")[1] == (model / "mouth.int8.onnx",)
    config = LipsConfig(engine="ort", precision="int8")
    lips = open_model(package, config, sit(persona, package, (640, 360)).rest)
    assert lips.label.endswith("int8")
    lips.close()


def test_layers_stay_in_float_until_the_limit_holds(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "mouth.onnx"
    shutil.copy(folder / "mouth.onnx", source)
    rng = np.random.default_rng(3)
    sizes = {
        "pose": (1, 7),
        "f1": (1, 48, 64, 8),
        "f2": (1, 24, 32, 8),
        "f3": (1, 12, 16, 8),
        "f4": (1, 6, 8, 8),
    }
    batches = [{name: rng.random(size).astype(np.float32) for name, size in sizes.items()} for _ in range(4)]
    plain = quantise(source, batches)
    finer = quantise_within(source, batches, 0.6 * plain.error)
    assert finer.error <= 0.6 * plain.error
    assert len(finer.in_float) > len(plain.in_float)
    assert quantise_within(source, batches, plain.error).in_float == plain.in_float
    with pytest.raises(QuantiseError, match=r"deviate by .* Allow more"):
        quantise_within(source, batches, 1e-9)
    assert not (tmp_path / "mouth.int8.onnx").exists(), "what is too far off is not left behind"


def test_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(folder, model)
    runner = CliRunner()
    done = runner.invoke(
        main, ["models", "lips", "quantise", str(model), "--count", "4", "--limit", "0.3", "--json"]
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert set(told["parts"]) == {"face", "mouth"}
    assert Path(told["parts"]["mouth"]["file"]).exists()
    lost = runner.invoke(main, ["models", "lips", "quantise", "nobody"])
    assert lost.exit_code != 0
    assert "no such model" in lost.output
