"""The picture net: its layout is its plan's, its parts are the whole, and composing does what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from studio.lips.picture.widen import widened
from vcam_talker.face.neural import pose_model
from vcam_talker.face.neural.pose_model import unfolded as unfolded_here
from vcam_talker.nets.lips import MAPS, SIZE, TEACHER, LipsNet, LipsPlan, composed, squashed, unfolded
from vcam_talker.nets.lips_parts import FacePart, MouthPart
from vcam_talker.nets.reader import MouthReader, opening

pytestmark = pytest.mark.unit

SMALL = LipsPlan(
    {"pose": 8, **{f"{side}{level}.0": 8 for side in "ed" for level in (1, 2, 3, 4)}, "d4.1": 16, "e2.1": 8}
)
PLANS = Path(__file__).parents[1] / "studio" / "lips" / "picture" / "plans"


@pytest.fixture(scope="module")
def net() -> LipsNet:
    torch.manual_seed(1)
    made = LipsNet(SMALL)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.5)
    nn.init.normal_(made.head.weight, 0, 0.1)
    return made.eval()


def test_parts_are_the_whole(net: LipsNet) -> None:
    rest, other, pose = torch.rand(2, 3, *SIZE), torch.rand(2, 3, *SIZE), torch.rand(2, 7)
    with torch.inference_mode():
        flow, shade, alpha, paint = net(rest, other, pose)
        features = net.encode(rest, other)
        again = net.decode(pose, *features)
        answer = MouthPart(net)(pose, *FacePart(net)(rest.permute(0, 2, 3, 1), other.permute(0, 2, 3, 1)))
    assert flow.shape == (2, 4, 48, 64)
    assert shade.shape == (2, 3, 48, 64)
    assert alpha.shape == (2, 8, 48, 64)
    assert paint.shape == (2, 12, 48, 64)
    assert [f.shape[2:] for f in features] == [(48, 64), (24, 32), (12, 16), (6, 8)]
    assert torch.equal(torch.cat((flow, shade, alpha, paint), 1), again)
    torch.testing.assert_close(answer, again.permute(0, 2, 3, 1), rtol=0, atol=1e-6)


def test_pose_face_and_other_picture_all_count(net: LipsNet) -> None:
    rest, other, pose = torch.rand(1, 3, *SIZE), torch.rand(1, 3, *SIZE), torch.rand(1, 7)
    with torch.inference_mode():
        first = net(rest, other, pose)
        for changed in ((1 - rest, other, pose), (rest, 1 - other, pose), (rest, other, pose * 0.5)):
            assert not torch.equal(first[2], net(*changed)[2])


def test_at_first_it_leaves_the_face_as_it_is() -> None:
    torch.manual_seed(2)
    rest, pose = torch.rand(1, 3, *SIZE), torch.rand(1, 7)
    with torch.inference_mode():
        made = composed(rest, rest, *LipsNet(SMALL).eval()(rest, rest, pose))
    assert float((made - rest).abs().mean()) < 0.06


def test_flow_says_where_to_fetch_from() -> None:
    picture = torch.zeros(1, 3, 40, 80)
    picture[..., 10:20, 30:40] = 1
    flow = torch.zeros(1, 4, 20, 40)
    flow[:, 0], flow[:, 1] = 10 / 80, -5 / 40
    flow[:, 2], flow[:, 3] = -10 / 80, 5 / 40
    shade = torch.zeros(1, 3, 20, 40)
    alpha, paint = torch.zeros(1, 8, 20, 40), torch.zeros(1, 12, 20, 40)
    made = composed(picture, 1 - picture, flow, shade, alpha, paint)
    assert torch.allclose(made[..., 15:25, 20:30], torch.ones(1, 3, 10, 10), atol=1e-5)
    assert float(made.sum()) == pytest.approx(float(picture.sum()), rel=1e-4)
    alpha[:, :4] = 1
    other = composed(1 - picture, picture, flow, shade, alpha, paint)
    assert torch.allclose(other[..., 5:15, 40:50], torch.ones(1, 3, 10, 10), atol=1e-5)
    assert float(other.sum()) == pytest.approx(float(picture.sum()), rel=1e-4)


def test_paint_covers_where_alpha_is() -> None:
    picture = torch.rand(1, 3, 40, 80)
    alpha = torch.zeros(1, 8, 20, 40)
    alpha[..., 5:10] = 1
    flow, shade = torch.zeros(1, 4, 20, 40), torch.zeros(1, 3, 20, 40)
    made = composed(picture, 1 - picture, flow, shade, alpha, torch.full((1, 12, 20, 40), 0.25))
    assert torch.allclose(made[..., 10:20], torch.full((1, 3, 40, 10), 0.25))
    assert torch.allclose(made[..., 20:], picture[..., 20:], atol=1e-5)


def test_a_plan_builds_the_same_net_again(net: LipsNet) -> None:
    again = LipsNet.from_plan(json.loads(json.dumps(net.plan())))
    again.load_state_dict(net.state_dict())
    assert again.plan() == net.plan()


@pytest.mark.parametrize("name", ["teacher", "student"])
def test_plans_that_are_kept_are_read(name: str) -> None:
    plan = json.loads((PLANS / f"{name}.json").read_text())
    found = LipsNet.from_plan(plan)
    assert found.plan() == plan
    if name == "teacher":
        assert plan["channels"] == TEACHER


def test_the_student_has_a_fifteenth_of_its_teachers_parameters_at_most() -> None:
    plans = [json.loads((PLANS / f"{name}.json").read_text()) for name in ("teacher", "student")]
    sizes = [sum(p.numel() for p in LipsNet.from_plan(plan).parameters()) for plan in plans]
    assert sizes[0] >= 15 * sizes[1]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": 2}, "format 3"),
        ({"net": "wav2lip"}, "format 3"),
        ({"size": [128, 128]}, "format 3"),
        ({"channels": []}, "whole numbers"),
        ({"channels": {**TEACHER, "e1.0": 0}}, "whole numbers"),
        ({"channels": {**TEACHER, "e1.0": 1.5}}, "whole numbers"),
        ({"channels": {k: v for k, v in TEACHER.items() if k != "d3.0"}}, "lack d3.0"),
    ],
)
def test_a_plan_that_is_none_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        LipsNet.from_plan(LipsPlan().to_json() | change)


def test_an_opening_is_measured_softly() -> None:
    logits = torch.full((1, 3, 32, 48), -8.0)
    logits[:, 0] = 0
    logits[:, 2, 10:16, 12:32] = 8
    high, wide = opening(logits)[0].tolist()
    assert high == pytest.approx(6, abs=0.1)
    assert wide == pytest.approx(20, abs=0.5)
    shut = opening(torch.stack([torch.zeros(32, 48), torch.zeros(32, 48), torch.full((32, 48), -8.0)])[None])
    assert float(shut.max()) < 0.5
    assert MouthReader()(torch.rand(1, 3, *SIZE)).shape == (1, 3, *SIZE)


def test_shade_takes_light_from_the_face_alone() -> None:
    picture, other = torch.rand(1, 3, 40, 80), torch.rand(1, 3, 40, 80)
    flow, paint = torch.zeros(1, 4, 20, 40), torch.zeros(1, 12, 20, 40)
    shade, alpha = torch.zeros(1, 3, 20, 40), torch.zeros(1, 8, 20, 40)
    shade[:, 0], shade[:, 2] = -0.5, 0.5
    made = composed(picture, other, flow, shade, alpha, paint)
    wanted = picture * torch.tensor([0.5, 1.0, 1.5])[None, :, None, None]
    assert torch.allclose(made, wanted.clamp(max=1), atol=1e-5)
    alpha[:, :4] = 1
    assert torch.allclose(composed(picture, other, flow, shade, alpha, paint), other, atol=1e-5)


def test_pixels_that_lie_behind_each_other_are_unfolded_alike_everywhere() -> None:
    folded = torch.rand(1, 12, 5, 7)
    wanted = unfolded(folded)[0].numpy()
    here = unfolded_here(folded[0].permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(here, wanted.transpose(1, 2, 0))
    assert wanted.shape == (3, 10, 14)
    assert wanted[1, 3, 4] == folded[0, 1 * 4 + 1 * 2 + 0, 1, 2]


def test_the_daemon_expects_the_maps_that_the_net_makes() -> None:
    assert list(pose_model._CHANNELS.items()) == list(MAPS.items())


def test_maps_keep_to_their_ranges() -> None:
    far = torch.tensor([-1e4, 0.0, 1e4])[:, None, None, None].expand(3, sum(MAPS.values()), 1, 1)
    low, middle, high = squashed(far)[:, :, 0, 0]
    reach = torch.tensor([0.25] * 4 + [0.5] * 23)
    assert torch.allclose(middle, torch.tensor([0.0] * 7 + [0.5] * 20))
    assert torch.allclose(high - middle, reach, atol=1e-4)
    assert torch.allclose(middle - low, reach, atol=1e-4)


def test_a_widened_net_answers_as_before(net: LipsNet) -> None:
    wide = widened(net, LipsPlan({name: 2 * n for name, n in SMALL.channels.items()}))
    assert wide.plan()["channels"]["d4.1"] == 32
    rest, other, pose = torch.rand(2, 3, *SIZE), torch.rand(2, 3, *SIZE), torch.rand(2, 7)
    with torch.inference_mode():
        for ours, theirs in zip(wide(rest, other, pose), net(rest, other, pose), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "why"), [({"d4.1": 8}, "fewer channels in d4.1"), ({"d4.2": 8}, "layers")]
)
def test_a_net_is_not_widened_to_less(net: LipsNet, changed: dict[str, int], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        widened(net, LipsPlan({**SMALL.channels, **changed}))
