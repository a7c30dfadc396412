"""A model of lips in 8 bits: calibrated on a presenter that speaks, near enough to the one in float."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner

from studio.lips.picture.export import export
from tests.support.small_net import feeds, make_model
from vcam_talker.cli import main
from vcam_talker.config import LipsConfig
from vcam_talker.face.neural.model import open_model
from vcam_talker.face.neural.package import load_package
from vcam_talker.face.neural.sitting import sit
from vcam_talker.nets.lips import TEACHER, LipsNet, LipsPlan
from vcam_talker.nets.quantise import quantise, quantise_within
from vcam_talker.nets.quantise_graph import QuantiseError
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
    assert package.network("mouth")[1] == (done.parts["mouth"].path,)
    assert done.parts["mouth"].path.parent == model
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
    before = (tmp_path / "mouth.int8.onnx").read_bytes()
    with pytest.raises(QuantiseError, match=r"mouth\.onnx: outputs deviate by .* Allow more"):
        quantise_within(source, batches, 1e-9)
    assert (tmp_path / "mouth.int8.onnx").read_bytes() == before, "what is too far off takes no place"
    with pytest.raises(QuantiseError, match="deviate by"):
        quantise_within(source, batches, 1e-9, out=tmp_path / "other.onnx")
    assert {file.name for file in tmp_path.iterdir()} == {"mouth.onnx", "mouth.int8.onnx"}


def test_a_limit_that_can_not_be_held_changes_no_model(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(folder, model)
    persona = load_persona("elena")
    quantise_lips(model, persona, count=4, limit=0.3)
    before = {file.name: file.read_bytes() for file in model.iterdir()}
    with pytest.raises(QuantiseError, match=str(model)):
        quantise_lips(model, persona, count=4, limit=1e-6)
    assert {file.name: file.read_bytes() for file in model.iterdir()} == before
    found = load_package(model)
    assert all(len(found.network(part)[1]) == 1 for part in found.spec.parts)


def test_a_network_too_small_for_it_is_told_by_its_own_name(tmp_path: Path) -> None:
    """Nothing lies between its first layers and its last one."""
    source = tmp_path / "small.onnx"
    network = make_model()
    for number, node in enumerate(network.graph.node):
        node.name = f"layer{number}"
    onnx.save(network, source)
    with pytest.raises(QuantiseError, match=r"small\.onnx: its first and last layers .* Leave it in float"):
        quantise(source, [feeds()])
    with pytest.raises(QuantiseError, match=r"small\.onnx: its first and last layers .* Leave it in float"):
        quantise_within(source, [feeds()], 0.1)
    with pytest.raises(QuantiseError, match=r"small\.onnx: failed"):
        quantise(source, [{"wrong": np.zeros(1, np.float32)}], keep_ends=False)
    assert [file.name for file in tmp_path.iterdir()] == ["small.onnx"]


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
