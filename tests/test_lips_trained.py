"""The networks that are kept: the teacher of what ships, and the reader of mouths that judges both."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from studio.lips.keep import PLACE, READER, cli
from studio.lips.picture.__main__ import _widened
from studio.lips.picture.evaluate import read, reader_of
from studio.lips.picture.train import load
from studio.lips.sync.net import Expert
from studio.lips.sync.train import Recipe
from studio.lips.sync.train import load as expert_of
from studio.pack import StudioError
from vcam_talker.core.types import MOUTH_PARAMS
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.neural.crops import Crops, to_rgb
from vcam_talker.face.neural.region import REGION
from vcam_talker.inference import open_session
from vcam_talker.nets.checkpoint import save_tensors
from vcam_talker.nets.lips import SIZE, TEACHER, LipsNet, LipsPlan, composed
from vcam_talker.nets.reader import MouthReader
from vcam_talker.persona import load_persona

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "vcam_talker" / "models" / "lips"
NARROW = {"pose": 8, **{f"{side}{level}.0": 8 for side in "ed" for level in (1, 2, 3, 4)}}
JAWS = (0.0, 0.2, 0.4, 0.6, 0.8)


@pytest.fixture(scope="module")
def face() -> Tensor:
    """Elena's mouth at rest, float32[1, 3, 96, 128]."""
    scene = ClipScene(load_persona("elena"), 1280, 720)
    crop = Crops(scene.assets, REGION, SIZE).cut(scene.still().pixels, scene.to_patch(0))
    small = cv2.resize(to_rgb(crop), SIZE[::-1], interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255


def drawn(net: LipsNet, face: Tensor) -> Tensor:
    poses = torch.zeros(len(JAWS), len(MOUTH_PARAMS))
    poses[:, MOUTH_PARAMS.index("jaw")] = torch.tensor(JAWS)
    rest = face.expand(len(JAWS), -1, -1, -1)
    with torch.inference_mode():
        return composed(rest, rest, *net(rest, rest, poses))


def test_what_ships_draws_as_its_teacher_does_with_a_fifteenth_of_the_numbers(face: Tensor) -> None:
    teacher, student = load(ROOT / PLACE / "teacher"), load(SHIPPED)
    assert teacher.plan()["channels"] == TEACHER
    sizes = [sum(p.numel() for p in net.parameters()) for net in (teacher, student)]
    assert sizes[0] >= 15 * sizes[1]
    taught, learnt = drawn(teacher, face), drawn(student, face)
    assert float((taught - learnt).abs().mean()) < 0.3 * float((taught[1:] - face).abs().mean())


def test_the_reader_sees_how_far_they_open_a_mouth(face: Tensor) -> None:
    reader = reader_of(ROOT / PLACE / READER)
    for folder in (ROOT / PLACE / "teacher", SHIPPED):
        pictures = drawn(load(folder), face).permute(0, 2, 3, 1).numpy()
        heights = read(reader, np.ascontiguousarray(pictures))[:, 0]
        assert heights[0] < 1.0
        assert (np.diff(heights) > 0.5).all(), heights


def test_what_ships_computes_in_onnx_as_its_weights_do(face: Tensor, tmp_path: Path) -> None:
    net, poses = load(SHIPPED), torch.rand(2, len(MOUTH_PARAMS))
    sessions = {
        part: open_session(SHIPPED / f"{part}.onnx", "ort", "fp32", 1, cache=tmp_path)
        for part in ("face", "mouth")
    }
    picture = face.permute(0, 2, 3, 1).numpy()
    features = sessions["face"].run({"rest": picture, "other": picture[:, :, ::-1]})
    fed = {name: np.repeat(values, 2, 0) for name, values in features.items()}
    maps = sessions["mouth"].run({**fed, "pose": poses.numpy()})["maps"]
    with torch.inference_mode():
        wanted = torch.cat(net(face.expand(2, -1, -1, -1), face.flip(3).expand(2, -1, -1, -1), poses), 1)
    np.testing.assert_allclose(maps, wanted.permute(0, 2, 3, 1).numpy(), atol=1e-4)


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    torch.manual_seed(5)
    net, reader, expert = LipsNet(LipsPlan(NARROW)).eval(), MouthReader(), Expert()
    teacher, training = tmp_path / "teacher", tmp_path / "training"
    for folder in (teacher, training):
        folder.mkdir()
    (teacher / "plan.json").write_text(json.dumps(net.plan()))
    save_tensors(net, teacher / "weights.safetensors")
    torch.save(reader.state_dict(), tmp_path / "reader.pt")
    recipe = asdict(Recipe(steps=3))
    torch.save({"net": expert.state_dict(), "recipe": recipe}, training / "expert.pt")
    (training / "expert.json").write_text(json.dumps({"recipe": recipe}))
    out = tmp_path / "kept"
    named = ["--teacher", teacher, "--reader", tmp_path / "reader.pt", "--expert", training, "--out", out]
    assert CliRunner().invoke(cli, [str(each) for each in named]).exit_code == 0
    again, (expert_again, read_recipe) = load(out / "teacher"), expert_of(out / "expert")
    assert read_recipe == Recipe(steps=3)
    assert again.plan() == net.plan()
    for ours, theirs in ((again, net), (reader_of(out / READER), reader), (expert_again, expert)):
        for name, tensor in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)


def test_keeping_nothing_or_the_wrong_file_is_one_clear_line(tmp_path: Path) -> None:
    assert "nothing is named" in CliRunner().invoke(cli, ["--out", str(tmp_path / "kept")]).output
    with pytest.raises(StudioError, match="weights of a MouthReader"):
        reader_of(SHIPPED / "weights.safetensors")


def test_a_net_is_not_widened_to_a_narrower_plan() -> None:
    with pytest.raises(click.BadParameter, match="fewer channels"):
        _widened(load(ROOT / PLACE / "teacher"), "student")
