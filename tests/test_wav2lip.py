"""The Wav2Lip generator: its names, shapes, costs and outputs, whole, in parts and pruned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.wav2lip_nets import inputs, net, one_thread
from tests.support.wav2lip_reference import shapes
from vcam_talker.nets.fold import fold_batch_norm
from vcam_talker.nets.plan import PlanError, plan_hash
from vcam_talker.nets.wav2lip import Wav2Lip
from vcam_talker.nets.wav2lip_layers import dense_channels, macs, make_plan, scaled_channels

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.mark.parametrize(("size", "tensors"), [(96, 352), (256, 380)])
def test_tensors_are_those_of_the_published_checkpoints(size: int, tensors: int) -> None:
    with torch.device("meta"):
        state = Wav2Lip(size).state_dict()
    assert {n: tuple(t.shape) for n, t in state.items()} == shapes(size)
    assert len(state) == tensors


def test_size_and_cost_of_the_dense_network() -> None:
    with torch.device("meta"):
        dense = Wav2Lip()
    convs = [m for m in dense.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convs) == 51
    assert round(sum(p.numel() for p in dense.parameters()) / 1e6, 2) == 36.30
    assert round(sum(macs(96, dense.channels).values()) / 1e9, 2) == 3.97


def counted(network: nn.Module, *arguments: Tensor) -> int:
    """Return the multiply-accumulates of the convolutions that really ran, by their arguments."""
    total = 0

    def count(conv: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        nonlocal total
        assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d)
        at = given[0] if isinstance(conv, nn.ConvTranspose2d) else made
        total += at.shape[2] * at.shape[3] * conv.weight.numel()

    hooks = [
        m.register_forward_hook(count)
        for m in network.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]
    network(*arguments)
    for hook in hooks:
        hook.remove()
    return total


def test_the_counted_cost_is_what_runs() -> None:
    network = net(96, scaled_channels(96, 0.25))
    assert counted(network, *inputs(96)) == sum(macs(96, network.channels).values())


def test_the_sound_and_both_faces_matter() -> None:
    network = net(96, scaled_channels(96, 0.25))
    mel, face = inputs(96)
    whole = network(mel, face)
    for other in (network(mel.flip(3), face), network(mel, face.flip(1)), network(mel, face.roll(1, 3))):
        assert float((other - whole).abs().max()) > 1e-3


@pytest.mark.parametrize("size", [96, 256])
@pytest.mark.parametrize("kind", ["narrow", "without residual blocks", "uneven"])
def test_the_lower_half_alone_equals_that_of_the_whole(size: int, kind: str) -> None:
    channels = scaled_channels(size, 1 / 16)
    if kind == "without residual blocks":
        channels |= dict.fromkeys(residual_names(size), 0)
    elif kind == "uneven":
        channels |= dict.fromkeys(residual_names(size)[1::2], 0)
    network = net(size, channels).double()
    mel, face = inputs(size, 1, torch.float64)
    whole = network(mel, face)
    lower = network.decode_lower(network.encode_sound(mel), network.encode_face(face))
    assert lower.shape == (1, 3, size // 2, size)
    torch.testing.assert_close(lower, whole[:, :, size // 2 :], rtol=0, atol=1e-12)


def test_no_row_is_computed_that_the_lower_half_does_not_need() -> None:
    """Were one row fewer read anywhere, some output would change: every row of the cut features matters."""
    network = net(96, scaled_channels(96, 1 / 16)).double()
    mel, face = inputs(96, 1, torch.float64)
    code, cut = network.encode_sound(mel), network.lower_rows(network.encode_face(face))
    lower = network.decode_lower_rows(code, cut)
    for level, feature in enumerate(cut):
        changed = list(cut)
        changed[level] = feature.clone()
        changed[level][:, :, 0] += 1.0
        other = network.decode_lower_rows(code, tuple(changed))
        assert float((other - lower).abs().max()) > 1e-9, level


@pytest.mark.parametrize(("size", "saved"), [(96, 1.64), (256, 1.84)])
def test_what_the_lower_half_saves_of_the_decoder(size: int, saved: float) -> None:
    channels = dense_channels(size)
    whole, lower = (
        sum(n for name, n in macs(size, channels, row).items() if name.startswith(("face_decoder", "output")))
        for row in (0, size // 2)
    )
    assert round(whole / lower, 2) == saved


def residual_names(size: int) -> list[str]:
    with torch.device("meta"):
        blocks = {n: m for n, m in Wav2Lip(size).named_modules() if hasattr(m, "block")}
    return [n for n, m in blocks.items() if m.block.residual]  # type: ignore[union-attr]


def test_a_plan_builds_the_network_that_it_came_from() -> None:
    channels = scaled_channels(96, 0.5) | {"face_decoder_blocks.6.0": 24, "audio_encoder.12": 100}
    del channels["face_decoder_blocks.6.1"], channels["face_decoder_blocks.6.2"]
    with torch.device("meta"):
        pruned = Wav2Lip.from_plan(json.loads(json.dumps(make_plan(96, channels))))
        again = Wav2Lip.from_plan(pruned.plan())
    shapes_of = {n: t.shape for n, t in pruned.state_dict().items()}
    assert shapes_of["face_decoder_blocks.6.2.conv_block.0.weight"] == (24, 24, 3, 3)
    assert shapes_of["face_decoder_blocks.0.0.conv_block.0.weight"] == (256, 100, 1, 1)
    assert shapes_of["output_block.0.conv_block.0.weight"] == (16, 24 + 8, 3, 3)
    assert {n: t.shape for n, t in again.state_dict().items()} == shapes_of
    with torch.device("meta"):
        assert Wav2Lip.from_plan(Wav2Lip().plan()).plan() == Wav2Lip().plan()


def test_a_plan_s_hash_is_that_of_its_content() -> None:
    plan = make_plan(96, dense_channels(96))
    backwards = dict(reversed(plan.items())) | {"channels": dict(reversed(plan["channels"].items()))}
    assert plan_hash(plan) == plan_hash(backwards)
    assert len(plan_hash(plan)) == 64
    other = make_plan(96, dense_channels(96) | {"audio_encoder.12": 256})
    assert plan_hash(plan) != plan_hash(other)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 2}, "format '2' of net 'wav2lip' instead of 1"),
        ({"net": "lips"}, "of net 'lips'"),
        ({"size": 100}, "neither 96 nor 256"),
        ({"size": True}, "lacks a size"),
        ({"channels": [1, 2]}, "lacks a size in pixels or its channels"),
        ({"channels": {}}, "face_encoder_blocks.0.0 is missing"),
        ({"channels": {"face_encoder_blocks.9.9": 4}}, "names 'face_encoder_blocks.9.9', which"),
        ({"more": {"face_encoder_blocks.0.0": 0}}, "face_encoder_blocks.0.0 has '0' channels"),
        ({"more": {"face_encoder_blocks.0.0": -4}}, "has '-4' channels"),
        ({"more": {"face_encoder_blocks.0.0": 10**9}}, "has '1000000000' channels"),
        ({"more": {"face_encoder_blocks.0.0": "16"}}, "has '16' channels"),
        ({"more": {"face_encoder_blocks.0.0": 16.0}}, "has '16.0' channels"),
        ({"more": {"face_encoder_blocks.1.1": 8}}, "has 8 channels, but what it adds has 32"),
        ({"more": {"output_block.1": 3}}, "names 'output_block.1'"),
    ],
)
def test_a_wrong_plan_is_one_clear_error(change: dict[str, Any], told: str) -> None:
    plan = make_plan(96, dense_channels(96))
    plan["channels"] |= change.pop("more", {})
    with pytest.raises(PlanError) as error:
        Wav2Lip.from_plan(plan | change)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_batch_norms_are_folded_exactly() -> None:
    network = net(96, scaled_channels(96, 0.25))
    folded = fold_batch_norm(network)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 50
    mel, face = inputs(96)
    torch.testing.assert_close(folded(mel, face), network(mel, face), rtol=0, atol=1e-5)
    lower = folded.decode_lower(folded.encode_sound(mel), folded.encode_face(face))
    torch.testing.assert_close(lower, network(mel, face)[:, :, 48:], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (nn.Conv1d(6, 8, 3, bias=False, groups=2), nn.BatchNorm1d(8), (2, 6, 9)),
        (nn.ConvTranspose1d(6, 8, 3, groups=2), nn.BatchNorm1d(8, affine=False), (2, 6, 9)),
        (nn.ConvTranspose2d(6, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), (2, 6, 5, 4)),
        (nn.Linear(6, 8), nn.BatchNorm1d(8), (2, 6)),
    ],
)
def test_every_kind_of_layer_folds(layer: nn.Module, norm: nn.BatchNorm1d, shape: tuple[int, ...]) -> None:
    norm.running_mean, norm.running_var = torch.randn(8), torch.rand(8) + 0.5
    module = nn.Sequential(layer, norm).eval()
    x = torch.randn(shape)
    folded = fold_batch_norm(module)
    assert isinstance(folded[1], nn.Identity)
    torch.testing.assert_close(folded(x), module(x), rtol=0, atol=1e-5)


def test_a_batch_norm_that_follows_nothing_is_left() -> None:
    module = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 8, 1), nn.ReLU(), nn.BatchNorm2d(8))
    assert [type(m) for m in fold_batch_norm(module)] == [nn.BatchNorm2d, nn.Conv2d, nn.ReLU, nn.BatchNorm2d]
