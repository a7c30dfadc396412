"""`vcam-talker prune`: what can't be is one clear line, told before any work where it can be."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.support.prune_cli import (
    lips,
    measured_at_once,
    refused,
    samples,
    typed,
    wav2lip,
)
from tests.support.prune_nets import Residual
from vcam_talker.nets.checkpoint import load_tensors

__all__ = ["lips", "measured_at_once", "samples", "wav2lip"]
pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("said", "more"),
    [
        ("ratio 1.5", ["--ratio", "1.5"]),
        ("ratio 0:", ["--ratio", "0"]),
        ("more than 40% of the channels in one step. Take 2 rounds", ["--ratio", "0.6"]),
        ("ratio 0.9 of d4", ["--layer", "d4=0.9"]),
        ("Did you mean d4.0", ["--layer", "d4.7=0.1"]),
        ("Did you mean", ["--keep", "e1.9"]),
        ("is no NAME=RATIO", ["--layer", "d4=much"]),
        ("is no NAME=RATIO", ["--layer", "0.3"]),
        ("round-to 0", ["--round-to", "0"]),
        ("no layer left that may be cut. Keep fewer", ["--keep", "*"]),
        ("removes no channel at all", ["--ratio", "0.001"]),
        ("needs samples", ["--importance", "taylor"]),
        ("need samples", ["--rounds", "2"]),
        ("need samples", ["--limit", "l1<=1"]),
        ("can't be read", ["--limit", "good"]),
        ("no train-*.npz", ["--data", ".", "--task", ""]),
        ("task 'os:system': has no train, evaluate", ["--data", ".", "--task", "os:system"]),
    ],
)
def test_one_clear_line(said: str, more: list[str], lips: Path, wav2lip: Path, tmp_path: Path) -> None:
    model = wav2lip if "--data" in more else lips
    refused(said, 7, "lipsync", "--model", model, "--out", tmp_path / "out", *more)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf", "1" + "0" * 30])
@pytest.mark.parametrize("option", ["--rounds", "--steps", "--rows", "--rate"])
def test_numbers_that_nobody_can_train_by_are_usage_errors(option: str, value: str, tmp_path: Path) -> None:
    result = typed("lipsync", "--model", "m", "--data", "d", "--out", tmp_path / "out", option, value)
    assert result.exit_code == 2, result.output
    assert f"Invalid value for '{option}'" in result.stderr


@pytest.mark.parametrize(
    "more", [("lipsync", "--seed", "-1"), ("scan", "--minutes", "nan"), ("scan", "--minutes", "inf")]
)
def test_other_numbers_that_can_not_be(more: tuple[str, ...], tmp_path: Path) -> None:
    verb, option, value = more
    result = typed(verb, "--model", "m", "--data", "d", "--out", tmp_path / "out", option, value)
    assert result.exit_code == 2, result.output
    assert f"Invalid value for '{option}'" in result.stderr


@pytest.mark.parametrize(
    ("said", "more"),
    [
        ("ratio nan", ["--ratio", "nan"]),
        ("ratio inf", ["--ratio", "inf"]),
        ("ratio 0.5", ["--ratio", "0.5"]),
        ("removes no channel", ["--ratio", "1e-9"]),
        ("'psnr': is better the more it is", ["--metric", "psnr"]),
        ("'none': there is no such one", ["--metric", "none"]),
    ],
)
def test_a_scan_of_what_can_not_be(
    said: str, more: list[str], wav2lip: Path, samples: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "scan.json"
    refused(said, 7, "scan", "--model", wav2lip, "--data", samples, "--out", out, *more, "--json")
    assert not out.parent.exists()


@pytest.mark.parametrize("out", ["/proc/nope/x", "/dev/null/x", "x" * 300])
def test_a_place_that_can_not_be_written_is_told_before_any_work(out: str, tmp_path: Path) -> None:
    where = tmp_path / out
    for verb in (("lipsync",), ("lipsync", "--data", "d"), ("scan", "--data", "d"), ("apply", "plan.json")):
        # Neither model nor samples nor plan are there: what is said first is the first thing looked at.
        refused("can't be written (", 7, *verb, "--model", "no-model", "--out", where)
    refused("is a folder", 7, "scan", "--model", "no-model", "--data", "d", "--out", tmp_path)


def test_a_disk_that_gets_full_is_one_clear_line(
    lips: Path, wav2lip: Path, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert typed("lipsync", "--model", lips, "--round-to", 4, "--out", tmp_path / "done").exit_code == 0

    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("vcam_talker.prune.files.os.fsync", full)
    trained = ("--model", wav2lip, "--data", samples, "--steps", 1, "--rows", 2, "--json")
    for command in (
        ("lipsync", "--model", lips, "--round-to", 4, "--out", tmp_path / "a"),
        ("lipsync", *trained, "--importance", "bn", "--out", tmp_path / "b"),
        ("scan", *trained[:4], "--out", tmp_path / "c" / "scan.json", "--json"),
        ("apply", tmp_path / "done" / "plan.json", "--model", lips, "--out", tmp_path / "d"),
        ("report", tmp_path / "done", "--model", lips, "--json"),
    ):
        refused("can't be written (No space left on device)", 7, *command)
    assert not list(tmp_path.rglob(".*.part"))


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        ("values that are not finite", lambda t: t * float("nan")),
        ("holds torch.int8", lambda t: t.to(torch.int8)),
        ("instead of", lambda t: t[..., :1].contiguous()),
    ],
)
def test_weights_that_can_not_be_used_are_refused(
    said: str, changed: Callable[[torch.Tensor], torch.Tensor], lips: Path, wav2lip: Path, tmp_path: Path
) -> None:
    for folder in (lips, wav2lip):
        wrong = shutil.copytree(folder, tmp_path / f"wrong-{folder.name}")
        weights = load_tensors(folder / "weights.safetensors")
        name = next(n for n, t in weights.items() if t.ndim == 4)
        save_file({**weights, name: changed(weights[name])}, wrong / "weights.safetensors")
        for verb in ("layers", "lipsync"):
            more = ("--out", tmp_path / "out") if verb == "lipsync" else ()
            refused(said, 7, verb, "--model", wrong, *more)
    assert not (tmp_path / "out").exists()


def test_models_that_are_none(lips: Path, wav2lip: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    refused("there is no such file", 7, "lipsync", "--model", tmp_path / "none.pth", *out)
    other = tmp_path / "other.pth"
    torch.save({"state_dict": Residual().state_dict()}, other)
    refused("another network", 7, "lipsync", "--model", other, *out)
    empty = tmp_path / "empty"
    empty.mkdir()
    refused("No such file", 7, "lipsync", "--model", empty, *out)
    (empty / "plan.json").write_text('{"net": "vocoder"}')
    refused("Those known are wav2lip, lips", 7, "lipsync", "--model", empty, *out)
    (empty / "plan.json").write_text('{"net": "lips", "format": 1}')
    refused("plan", 7, "lipsync", "--model", empty, *out)
    assert typed("lipsync", "--model", lips, "--round-to", 4, *out).exit_code == 0
    refused("is there already", 7, "lipsync", "--model", lips, "--round-to", 4, *out)
    refused(
        "the plan is of 'lips'",
        7,
        "apply",
        tmp_path / "out" / "plan.json",
        "--model",
        wav2lip,
        "--out",
        tmp_path / "o",
    )
    refused("was pruned from", 7, "report", tmp_path / "out", "--model", wav2lip)


def test_a_missing_package_is_named_with_what_to_do(
    lips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    result = typed("lipsync", "--model", lips, "--out", tmp_path / "out")
    assert result.exit_code == 8
    assert "needs torch-pruning" in result.stderr
    assert "vcam-talker[prune]" in result.stderr
