"""Types `vcam-talker prune`, and makes what it is given: narrow networks and samples of chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from vcam_talker.cli import main
from vcam_talker.nets.lips import LipsNet
from vcam_talker.nets.wav2lip import Wav2Lip
from vcam_talker.nets.wav2lip_layers import make_plan, scaled_channels
from vcam_talker.prune.apply import save_pruned
from vcam_talker.prune.cut import whole
from vcam_talker.prune.plan import ChannelPlan

_LIPS = {"pose": 16, **{f"{side}{n}.0": 16 for side in "ed" for n in (1, 2, 3, 4)}}


def _save(folder: Path, net: Wav2Lip | LipsNet) -> Path:
    save_pruned(folder, whole(net, net.plan()), net)
    return folder


def save_lips(folder: Path) -> Path:
    """A narrow one."""
    torch.manual_seed(1)
    plan = {"format": 3, "net": "lips", "size": [96, 128], "channels": _LIPS}
    return _save(folder, LipsNet.from_plan(plan).eval())


def save_wav2lip(folder: Path) -> Path:
    """A very narrow one."""
    torch.manual_seed(1)
    return _save(folder, Wav2Lip.from_plan(make_plan(96, scaled_channels(96, 0.05))).eval())


def save_samples(folder: Path) -> Path:
    """Six of Wav2Lip's for each split, of chance."""
    folder.mkdir()
    chance = np.random.default_rng(1)
    for split in ("train", "test"):
        np.savez(
            folder / f"{split}-0.npz",
            mel=chance.normal(0, 1, (6, 1, 80, 16)).astype(np.float16),
            face=chance.integers(0, 255, (6, 6, 96, 96)).astype(np.uint8),
            target=chance.integers(0, 255, (6, 3, 96, 96)).astype(np.uint8),
        )
    return folder


def stir(archive: Path) -> None:
    """Other pictures, in as many bytes."""
    with np.load(archive) as arrays:
        content = {**arrays, "target": 255 - arrays["target"]}
    np.savez(archive, **content)


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["prune", *map(str, arguments)])


def with_wrong_index(
    plan: ChannelPlan, layer: str, side: Literal["in", "out"], last: ChannelPlan | None = None
) -> ChannelPlan:
    """The plan with one index of one layer wrong: a kept channel is taken for one that went since `last`."""
    cut = plan.layers[layer]
    kept, count = (cut.keep_in, cut.dense_in) if side == "in" else (cut.keep_out, cut.dense_out)
    there = last.layers[layer] if last else None
    known = range(count) if there is None else there.keep_in if side == "in" else there.keep_out
    gone = sorted(set(known) - set(kept))
    taken = gone[len(gone) // 2]
    other = min(kept, key=lambda index: abs(index - taken))
    swapped = tuple(sorted({*kept, taken} - {other}))
    changed = replace(cut, keep_in=swapped) if side == "in" else replace(cut, keep_out=swapped)
    return ChannelPlan(plan.dense, {**plan.layers, layer: changed}, plan.made)


def refused(said: str, code: int, *arguments: object) -> None:
    result = typed(*arguments)
    assert result.exit_code == code, result.output
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: ")
    assert said in result.stderr


@pytest.fixture(autouse=True)
def measured_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is measured in processes of their own, for seconds; `tests/real/test_prune.py` does it."""
    monkeypatch.setattr("vcam_talker.prune.figures._ROUNDS", 3)
    monkeypatch.setattr(
        "vcam_talker.prune.figures.resident_bytes",
        lambda path, _engine: sum(f.stat().st_size for f in path.glob("*.safetensors")),
    )


@pytest.fixture
def lips(tmp_path: Path) -> Path:
    return save_lips(tmp_path / "lips")


@pytest.fixture(scope="module")
def wav2lip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_wav2lip(tmp_path_factory.mktemp("wav2lip") / "dense")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_samples(tmp_path_factory.mktemp("samples") / "samples")
