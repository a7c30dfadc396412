"""`vcam-talker prune`: what people type, and what they are told when it can't be."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.support.prune_cli import (
    lips,
    measured_at_once,
    refused,
    samples,
    stir,
    typed,
    wav2lip,
)
from vcam_talker.cli.prune import prune
from vcam_talker.core.types import Pixels
from vcam_talker.nets.checkpoint import load_tensors
from vcam_talker.nets.lips import LipsNet
from vcam_talker.nets.wav2lip import Wav2Lip
from vcam_talker.prune.importance import Loss
from vcam_talker.prune.networks import read_network
from vcam_talker.prune.plan import ChannelPlan

__all__ = ["lips", "measured_at_once", "samples", "wav2lip"]
pytestmark = pytest.mark.unit


@pytest.mark.parametrize("verb", ["lipsync", "scan", "apply", "report", "layers"])
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    result = typed(verb, "--help")
    assert result.exit_code == 0
    assert f"vcam-talker prune {verb}" in result.output


@pytest.mark.parametrize("verb", [None, "lipsync", "scan", "apply", "report", "layers"])
def test_examples_can_be_copied(verb: str | None) -> None:
    text = typed(*([verb] if verb else []), "--help").output.replace("\\\n", " ")
    shown = [line for line in text.splitlines() if line.strip().startswith("vcam-talker prune")]
    assert shown
    for line in shown:
        _, _, name, *arguments = shlex.split(line)
        prune.commands[name].make_context(name, arguments)


def test_what_is_not_there_yet_is_not_offered() -> None:
    listed = typed("--help").output
    assert "vocoder" not in listed
    assert "llm" not in listed


def test_pruned_without_data_and_the_report_says_so(lips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = typed("lipsync", "--model", lips, "--ratio", 0.4, "--round-to", 4, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["trained"] is False
    assert told["ratios"]["parameters"] < 0.6
    assert told["ratios"]["macs"] < 0.6
    assert [step["name"] for step in told["steps"]] == ["dense", "pruned"]
    assert "Nothing was retrained" in (out / "report.html").read_text()
    plan = ChannelPlan.read(out / "plan.json")
    assert told["digest"] == plan.digest()
    assert plan.made == {
        "importance": "magnitude", "ratio": 0.4, "round_to": 4, "ranking": "uniform", "trained": False,
    }  # fmt: skip
    shapes = {n: t.shape for n, t in load_tensors(out / "weights.safetensors").items()}
    assert shapes == {n: t.shape for n, t in LipsNet.from_plan(plan.net).state_dict().items()}


def test_the_same_cut_again_and_in_another_checkpoint(lips: Path, tmp_path: Path) -> None:
    assert (
        typed(
            "lipsync", "--model", lips, "--importance", "random", "--round-to", 4, "--out", tmp_path / "a"
        ).exit_code
        == 0
    )
    again = typed("apply", tmp_path / "a" / "plan.json", "--model", lips, "--out", tmp_path / "b", "--json")
    assert again.exit_code == 0, again.output
    one, two = (load_tensors(tmp_path / n / "weights.safetensors") for n in "ab")
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert json.loads(again.stdout)["digest"] == ChannelPlan.read(tmp_path / "a" / "plan.json").digest()


def test_pruned_trained_exported_told(wav2lip: Path, samples: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = (
        "lipsync", "--model", wav2lip, "--data", samples, "--ratio", 0.2, "--round-to", 4, "--out", out,
        "--rounds", 2, "--steps", 2, "--rows", 2, "--limit", "l1<=9*dense", "--keep", "audio_encoder",
    )  # fmt: skip
    result = typed(*command, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [step["name"] for step in told["steps"]] == ["dense", "round 1", "round 2"]
    assert told["kept"] == "round 2"
    assert told["steps"][2]["metrics"].keys() == {"l1", "psnr"}
    assert {Path(p).name for p in told["report"]} == {"report.html", "pictures.png"}
    plan = ChannelPlan.read(out / "plan.json")
    assert plan.made["importance"] == "taylor"
    assert plan.made["data"] == samples.name
    assert all(
        plan.net["channels"][n] == c for n, c in plan.dense["channels"].items() if n.startswith("audio")
    )

    begun = (out / "rounds" / "02" / "round.json").stat().st_mtime_ns
    assert typed(*command).exit_code == 0
    assert (out / "rounds" / "02" / "round.json").stat().st_mtime_ns == begun
    again = typed("report", out, "--model", wav2lip, "--data", samples)
    assert again.exit_code == 0, again.output
    assert "Report:" in again.stdout
    unseen = typed("report", out, "--model", wav2lip, "--json")
    assert json.loads(unseen.stdout)["trained"] is True
    assert "Nothing was retrained" not in (out / "report.html").read_text()
    refused("other settings", 7, *command, "--seed", 2)
    refused("not the same: task, data", 7, *command, "--task", f"{__name__}:MouthTask")
    renamed, other = (shutil.copytree(samples, tmp_path / n) for n in ("renamed", "other"))
    stir(other / "test-0.npz")
    replaced = tuple(other if word is samples else word for word in command)
    refused("not the same: samples", 7, *replaced)
    again = typed(*(renamed if word is samples else word for word in command))
    assert again.exit_code == 0, again.output
    assert (out / "rounds" / "02" / "round.json").stat().st_mtime_ns == begun


def test_a_bar_that_nothing_meets_leaves_nothing(wav2lip: Path, samples: Path, tmp_path: Path) -> None:
    refused(
        "nothing could be pruned: round 1 breaks l1<=0", 7,
        "lipsync", "--model", wav2lip, "--data", samples, "--importance", "bn", "--out", tmp_path / "out",
        "--steps", 1, "--rows", 2, "--limit", "l1<=0", "--json",
    )  # fmt: skip
    assert not (tmp_path / "out" / "plan.json").exists()


def test_scan_goes_on_and_is_shown(wav2lip: Path, samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "scan.json"
    command = ("scan", "--model", wav2lip, "--data", samples, "--out", path, "--ratio", 0.4)
    first = typed(*command, "--minutes", 0)
    assert first.exit_code == 0, first.output
    assert "run it again" in first.stdout or "0 cuts" in first.stdout
    result = typed(*command, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["complete"]
    assert told["metric"] == "l1"
    assert len(told["rows"]) == 22
    renamed, other = (shutil.copytree(samples, tmp_path / n) for n in ("renamed", "other"))
    again = typed(*(renamed if word is samples else word for word in command), "--json")
    assert json.loads(again.stdout) == told, again.output
    stir(other / "train-0.npz")
    refused("not the same: samples", 7, *(other if word is samples else word for word in command))
    refused("not the same: task, data", 7, *command, "--task", f"{__name__}:MouthTask", "--metric", "l1")
    shown = typed("lipsync", "--model", wav2lip, "--round-to", 4, "--out", tmp_path / "out", "--scan", path)
    assert shown.exit_code == 0, shown.output
    assert "What each layer bears" in (tmp_path / "out" / "report.html").read_text()


class MouthTask:
    """The program's own, under another name and with nothing behind it."""

    def __init__(self, *_given: object) -> None:
        pass

    def evaluate(self, _student: Wav2Lip) -> dict[str, float]:
        return {"l1": 0.1}

    def losses(self, _batches: int) -> Sequence[Loss]:
        return []

    def nothing(self, *_given: object) -> Sequence[Pixels]:
        return []

    train = pictures = truth = nothing


def test_layers_are_listed(lips: Path) -> None:
    told = json.loads(typed("layers", "--model", lips, "--json").stdout)
    assert {row["layer"] for row in told["groups"]} == {
        "pose.0",
        *(f"{s}{n}.0.conv" for s in "ed" for n in range(1, 5)),
    }
    assert told["whole"] == {"head": "the network's output"}
    assert "head" in typed("layers", "--model", lips).stdout


def test_a_scan_makes_its_folder_and_a_name_may_be_of_any_bytes(
    wav2lip: Path, samples: Path, tmp_path: Path
) -> None:
    odd = tmp_path / os.fsdecode(b"sampl\xe9s")
    shutil.copytree(samples, odd)
    out = tmp_path / "new" / "er" / "scan.json"
    assert typed("scan", "--model", wav2lip, "--data", odd, "--out", out, "--ratio", 0.4).exit_code == 0
    assert json.loads(out.read_text())["told"] == {"data": odd.name}
    command = (
        "lipsync", "--model", wav2lip, "--data", odd, "--out", tmp_path / "out", "--steps", 1, "--rows", 2,
        "--importance", "bn", "--round-to", 4,
    )  # fmt: skip
    assert typed(*command).exit_code == 0
    assert typed(*command).exit_code == 0
    assert "samples" in (tmp_path / "out" / "report.html").read_text()


def test_halved_weights_are_read_as_float32(wav2lip: Path, tmp_path: Path) -> None:
    half = shutil.copytree(wav2lip, tmp_path / "half")
    weights = load_tensors(wav2lip / "weights.safetensors")
    halved = {n: t.half() if t.is_floating_point() else t for n, t in weights.items()}
    save_file(halved, half / "weights.safetensors")
    module, _ = read_network(half)
    assert {t.dtype for t in module.parameters()} == {torch.float32}
    out = tmp_path / "out"
    assert typed("lipsync", "--model", half, "--round-to", 4, "--out", out).exit_code == 0
    written = load_tensors(out / "weights.safetensors")
    assert {t.dtype for t in written.values() if t.is_floating_point()} == {torch.float32}


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys, vcam_talker.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
