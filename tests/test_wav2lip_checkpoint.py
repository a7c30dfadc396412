"""Checkpoints as users have them: published ones load, anything else is one clear error and runs nothing."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.serialization import set_crc32_options

from tests.support.wav2lip_reference import random_state, shapes
from vcam_talker.nets import checkpoint
from vcam_talker.nets.checkpoint import CheckpointError, load_tensors, load_wav2lip, save_tensors
from vcam_talker.nets.wav2lip import Wav2Lip
from vcam_talker.nets.wav2lip_layers import make_plan, scaled_channels

pytestmark = pytest.mark.unit

PLAN = make_plan(96, scaled_channels(96, 1 / 32))
"""A network of 0.1 MB: what is wrong with a file shows as well in it."""
FIRST = "face_encoder_blocks.0.0.conv_block.0.weight"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small_state(seed: int = 1) -> dict[str, Tensor]:
    with torch.device("meta"):
        small = Wav2Lip.from_plan(PLAN)
    return random_state({n: tuple(t.shape) for n, t in small.state_dict().items()}, seed)


def saved(path: Path, content: object, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def picture(net: Wav2Lip) -> Tensor:
    with torch.inference_mode():
        return net(torch.ones(1, 1, 80, 16), torch.full((1, 6, 96, 96), 0.5))


@pytest.mark.parametrize("kind", ["published", "bare", "parallel", "legacy", "safetensors", "half", "old"])
def test_every_way_to_keep_the_same_weights_loads(kind: str, tmp_path: Path) -> None:
    state = small_state()
    file = tmp_path / "net.pth"
    match kind:
        case "published":
            optimiser = {"state": {0: {"step": 3, "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-4}]}
            saved(file, {"state_dict": state, "optimizer": optimiser, "global_step": 7, "global_epoch": 1})
        case "bare":
            saved(file, state)
        case "parallel":
            saved(file, {"state_dict": {f"module.{n}": t for n, t in state.items()}})
        case "legacy":
            saved(file, {"state_dict": state}, _use_new_zipfile_serialization=False)
        case "safetensors":
            save_file(state, file)
        case "half":
            saved(
                file, {"state_dict": {n: t.half() if t.is_floating_point() else t for n, t in state.items()}}
            )
        case "old":
            saved(
                file,
                {"state_dict": {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")}},
            )
    net = load_wav2lip(file, PLAN)
    assert not net.training
    assert all(t.dtype == torch.float32 and not t.is_meta for t in net.parameters())
    with torch.device("cpu"):
        expected = Wav2Lip.from_plan(PLAN).eval()
    expected.load_state_dict(state)
    torch.testing.assert_close(picture(net), picture(expected), rtol=0, atol=5e-3 if kind == "half" else 0)


@pytest.mark.parametrize("size", [96, 256])
def test_the_size_is_found_in_the_checkpoint(size: int, tmp_path: Path) -> None:
    # One value serves all tensors of a file that would otherwise have 150 MB.
    state = {n: torch.full((1,), 0.01).expand(s) if s else torch.tensor(1) for n, s in shapes(size).items()}
    file = saved(tmp_path / "net.pth", {"state_dict": state})
    net = load_wav2lip(file)
    assert net.size == size
    assert net.state_dict()[FIRST].shape == (16, 6, 7, 7)
    assert file.stat().st_size < 2_000_000


def test_weights_are_trainable_and_the_file_may_go(tmp_path: Path) -> None:
    file = saved(tmp_path / "net.pth", small_state())
    net = load_wav2lip(file, PLAN)
    file.unlink()
    assert all(p.requires_grad for p in net.parameters())
    net(torch.ones(1, 1, 80, 16), torch.ones(1, 6, 96, 96)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_what_is_saved_loads(tmp_path: Path) -> None:
    net = Wav2Lip.from_plan(PLAN).eval()
    save_tensors(net, tmp_path / "weights.safetensors")
    torch.testing.assert_close(
        picture(load_wav2lip(tmp_path / "weights.safetensors", net.plan())), picture(net), rtol=0, atol=0
    )
    assert [p.name for p in tmp_path.iterdir()] == ["weights.safetensors"]
    with pytest.raises(CheckpointError, match="can't be written"):
        save_tensors(net, tmp_path / "nowhere" / "weights.safetensors")


class Program:
    """What a hostile checkpoint does when it is unpickled without care."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.mark}",)

    def __init__(self, mark: Path) -> None:
        self.mark = mark


@pytest.mark.parametrize("zipped", [True, False])
def test_a_program_in_a_checkpoint_does_not_run(zipped: bool, tmp_path: Path) -> None:
    mark = tmp_path / "it_ran"
    content = {"state_dict": small_state() | {"x": Program(mark)}}
    file = saved(tmp_path / "net.pth", content, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"posix\.system, not only weights; it was not run"):
        load_wav2lip(file, PLAN)
    assert not mark.exists()


def test_a_plain_pickle_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "it_ran"
    file = tmp_path / "net.pth"
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        file.write_bytes(pickle.dumps({"state_dict": Program(mark)}, protocol=protocol))
        with pytest.raises(CheckpointError, match=r"posix\.system, not only weights; it was not run"):
            load_wav2lip(file)
    assert not mark.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_of_another_protocol_is_not_called_damaged(zipped: bool, tmp_path: Path) -> None:
    options = {"pickle_protocol": 4, "_use_new_zipfile_serialization": zipped}
    expect(saved(tmp_path / "net.pth", small_state(), **options), "is a pickle of protocol 4")


def test_damage_inside_a_tensor_is_found(tmp_path: Path) -> None:
    file = saved(tmp_path / "net.pth", {"state_dict": small_state()})
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 256] = bytes(b ^ 0x55 for b in content[middle : middle + 256])
    file.write_bytes(content)
    expect(file, "is damaged: the checksum of its part 'net/data/", PLAN)


def test_a_file_without_checksums_loads(tmp_path: Path) -> None:
    set_crc32_options(compute_crc32=False)
    try:
        file = saved(tmp_path / "net.pth", {"state_dict": small_state()})
    finally:
        set_crc32_options(compute_crc32=True)
    assert load_wav2lip(file, PLAN).size == 96


def test_what_is_told_of_damage_is_a_reason_and_no_advice(tmp_path: Path) -> None:
    file = saved(tmp_path / "net.pth", {"state_dict": small_state()}, _use_new_zipfile_serialization=False)
    whole = file.read_bytes()
    for length in (40, 200, len(whole) // 2):
        file.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="is damaged or cut short") as error:
            load_wav2lip(file, PLAN)
        assert "weights_only" not in str(error.value)


def expect(file: Path, told: str, plan: dict[str, Any] | None = None) -> None:
    with pytest.raises(CheckpointError) as error:
        load_wav2lip(file, plan)
    line = str(error.value)
    assert told in line
    assert line.startswith(f"checkpoint {file}: ")
    assert "\n" not in line
    assert error.value.remedy


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>Not found", "is a web page, not a checkpoint"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        (b"\x08\x07\x12\x04onnx and so on, for a while", "is of an unknown kind, not a checkpoint"),
        (b"\x80\x02", "is damaged or cut short"),
        (b"PK\x03\x04 and then nothing", "is damaged or cut short"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{not json at all and more", "is damaged or cut short"),
    ],
)
def test_what_is_no_checkpoint(content: bytes, told: str, tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    file.write_bytes(content)
    expect(file, told)


def test_what_is_no_file(tmp_path: Path) -> None:
    expect(tmp_path, "is a folder")
    expect(tmp_path / "absent.pth", "there is no such file")
    os.mkfifo(tmp_path / "pipe")
    expect(tmp_path / "pipe", "is no ordinary file")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    with file.open("wb") as sparse:
        sparse.write(b"PK\x03\x04")
        sparse.truncate(5 * 2**30)
    expect(file, "is 5.0 GB large")


def test_a_small_file_that_unpacks_to_a_huge_one_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_MAX_BYTES", 2**20)
    file = tmp_path / "net.pth"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", bytes(2**22))
    assert file.stat().st_size < 2**16
    expect(file, "unpacks to")


def test_a_torchscript_program_is_told(tmp_path: Path) -> None:
    file = tmp_path / "net.pt"
    with zipfile.ZipFile(file, "w") as archive:  # what `torch.jit.save` puts in first
        archive.writestr("net/data.pkl", b"\x80\x02}.")
        archive.writestr("net/constants.pkl", b"\x80\x02).")
    expect(file, "is a TorchScript program")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([1, 2], "holds no table of weights"),
        ({}, "holds no table of weights"),
        ({"state_dict": {}}, "holds no table of weights"),
        ({"state_dict": [1]}, "holds no table of weights"),
        ({"epoch": 3, "model": {"a": torch.ones(1)}}, "holds no table of weights, but 'epoch', 'model'"),
        ({3: torch.ones(1)}, "holds no table of weights, but 3"),
        ({"x" * 130: 1, "y": 2}, f"holds no table of weights, but '{'x' * 120}...', 'y'"),
        (torch.ones(3), "holds no table of weights"),
        ({"binary_pred.0.weight": torch.ones(1)}, "is the discriminator"),
        ({"state_dict": {"face_encoder.0.conv_block.0.weight": torch.ones(1)}}, "is a SyncNet"),
        ({"conv1.weight": torch.ones(1)}, "is of another network: its first tensor is 'conv1.weight'"),
        ({"face_encoder_blocks.0.0.act.weight": torch.ones(1)}, "is of a variant of Wav2Lip"),
    ],
)
def test_checkpoints_of_something_else(content: object, told: str, tmp_path: Path) -> None:
    expect(saved(tmp_path / "net.pth", content), told)


def _without(name: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda state: state.pop(name)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_without(FIRST), f"lacks '{FIRST}'"),
        (
            lambda s: [s.pop(n) for n in list(s) if n.startswith("output")],
            "lacks 'output_block.0.conv_block.0.bias' and 7 more",
        ),
        (lambda s: s.update(extra=torch.ones(1)), "has 'extra', which the network has not"),
        (lambda s: s.update({FIRST: torch.ones(8, 6, 3, 3)}), f"'{FIRST}' is 8x6x3x3 instead of 8x6x7x7"),
        (lambda s: s[FIRST].view(-1)[3].fill_(float("nan")), f"'{FIRST}' holds values that are not finite"),
        (lambda s: s[FIRST].view(-1)[3].fill_(float("inf")), f"'{FIRST}' holds values that are not finite"),
        (
            lambda s: s.update({FIRST: s[FIRST].long()}),
            f"'{FIRST}' holds torch.int64, no plain decimal numbers",
        ),
        (lambda s: s.update({FIRST: s[FIRST].to_sparse()}), f"'{FIRST}' is stored sparsely (sparse_coo)"),
        (lambda s: s.update({FIRST: "hello"}), f"'{FIRST}' is no tensor, but of type str"),
        (lambda s: s.update({7: torch.ones(1)}), "names one of its tensors 7, which is no text"),
        (lambda s: s.update({FIRST: s[FIRST].to(torch.complex64)}), f"'{FIRST}' holds torch.complex64"),
        (lambda s: s["audio_encoder.3.conv_block.1.running_var"].fill_(-1), "holds a variance below 0"),
    ],
)
def test_wrong_tensors(change: Callable[[dict[str, Tensor]], object], told: str, tmp_path: Path) -> None:
    state = small_state()
    change(state)
    expect(saved(tmp_path / "net.pth", {"state_dict": state}), told, PLAN)


def test_a_pruned_checkpoint_without_its_plan_is_told(tmp_path: Path) -> None:
    expect(
        saved(tmp_path / "net.pth", small_state()),
        "is 8x6x7x7 instead of 16x6x7x7",
    )


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_no_damage_gets_past(kind: str, tmp_path: Path) -> None:
    """Cut anywhere, or with bytes changed in what describes the tensors: an error, or the same tensors."""
    whole = tmp_path / "whole.pth"
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}
    if kind == "safetensors":
        save_file(state, whole)
    else:
        saved(whole, state, _use_new_zipfile_serialization=kind == "zip")
    content = whole.read_bytes()
    rng = np.random.default_rng(4)
    file = tmp_path / "net.pth"
    refused: list[str] = []
    for i in range(300):
        damaged = bytearray(content[: rng.integers(1, len(content))] if i % 3 == 0 else content)
        if i % 3:
            for at in rng.integers(0, len(damaged), 3):
                damaged[at] = rng.integers(0, 256)
        file.write_bytes(damaged)
        try:
            load_tensors(file)
        except CheckpointError as e:
            refused.append(str(e))
    assert len(refused) > 100
    assert max(map(len, refused)) < 600
