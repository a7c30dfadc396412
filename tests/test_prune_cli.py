"""`vcam-talker prune`: what people type, and what they are told when it can't be."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file

from tests.support.prune_nets import Residual
from vcam_talker.cli import main
from vcam_talker.core.types import Pixels
from vcam_talker.nets.checkpoint import load_tensors
from vcam_talker.nets.lips import LipsNet
from vcam_talker.nets.wav2lip import Wav2Lip
from vcam_talker.nets.wav2lip_layers import make_plan, scaled_channels
from vcam_talker.prune.apply import save_pruned
from vcam_talker.prune.cut import whole
from vcam_talker.prune.importance import Loss
from vcam_talker.prune.networks import read_network
from vcam_talker.prune.pictures import Training
from vcam_talker.prune.plan import ChannelPlan
from vcam_talker.prune.schedule import Round

pytestmark = pytest.mark.unit

_LIPS = {"pose": 16, **{f"{side}{n}.0": 16 for side in "ed" for n in (1, 2, 3, 4)}}


def _save(folder: Path, net: Wav2Lip | LipsNet) -> Path:
    save_pruned(folder, whole(net, net.plan()), net)
    return folder


@pytest.fixture(autouse=True)
def _measured_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is measured in processes of their own, for seconds; `tests/real/test_prune.py` does it."""
    monkeypatch.setattr("vcam_talker.prune.figures._ROUNDS", 3)
    monkeypatch.setattr(
        "vcam_talker.prune.figures.resident_bytes",
        lambda path, _engine: sum(f.stat().st_size for f in path.glob("*.safetensors")),
    )


@pytest.fixture
def lips(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    plan = {"format": 3, "net": "lips", "size": [96, 128], "channels": _LIPS}
    return _save(tmp_path / "lips", LipsNet.from_plan(plan).eval())


@pytest.fixture(scope="module")
def wav2lip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A very narrow one."""
    torch.manual_seed(1)
    net = Wav2Lip.from_plan(make_plan(96, scaled_channels(96, 0.05))).eval()
    return _save(tmp_path_factory.mktemp("wav2lip") / "dense", net)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    chance = np.random.default_rng(1)
    for split in ("train", "test"):
        np.savez(
            folder / f"{split}-0.npz",
            mel=chance.normal(0, 1, (6, 1, 80, 16)).astype(np.float16),
            face=chance.integers(0, 255, (6, 6, 96, 96)).astype(np.uint8),
            target=chance.integers(0, 255, (6, 3, 96, 96)).astype(np.uint8),
        )
    return folder


def _stir(archive: Path) -> None:
    """Other pictures, in as many bytes."""
    with np.load(archive) as arrays:
        content = {**arrays, "target": 255 - arrays["target"]}
    np.savez(archive, **content)


def _prune(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["prune", *map(str, arguments)])


def _refused(said: str, code: int, *arguments: object) -> None:
    result = _prune(*arguments)
    assert result.exit_code == code, result.output
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: ")
    assert said in result.stderr


@pytest.mark.parametrize("verb", ["lipsync", "scan", "apply", "report", "layers"])
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    result = _prune(verb, "--help")
    assert result.exit_code == 0
    assert f"vcam-talker prune {verb}" in result.output


def test_what_is_not_there_yet_is_not_offered() -> None:
    listed = _prune("--help").output
    assert "vocoder" not in listed
    assert "llm" not in listed


def test_pruned_without_data_and_the_report_says_so(lips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = _prune("lipsync", "--model", lips, "--ratio", 0.4, "--round-to", 4, "--out", out, "--json")
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
        _prune(
            "lipsync", "--model", lips, "--importance", "random", "--round-to", 4, "--out", tmp_path / "a"
        ).exit_code
        == 0
    )
    again = _prune("apply", tmp_path / "a" / "plan.json", "--model", lips, "--out", tmp_path / "b", "--json")
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
    result = _prune(*command, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [step["name"] for step in told["steps"]] == ["dense", "round 1", "round 2"]
    assert told["kept"] == "round 2"
    assert told["steps"][2]["metrics"].keys() == {"l1", "psnr"}
    assert {Path(p).name for p in told["report"]} == {"report.html", "pictures.png"}
    plan = ChannelPlan.read(out / "plan.json")
    assert plan.made["importance"] == "taylor"
    assert all(
        plan.net["channels"][n] == c for n, c in plan.dense["channels"].items() if n.startswith("audio")
    )

    begun = (out / "rounds" / "02" / "round.json").stat().st_mtime_ns
    assert _prune(*command).exit_code == 0
    assert (out / "rounds" / "02" / "round.json").stat().st_mtime_ns == begun
    again = _prune("report", out, "--model", wav2lip, "--data", samples)
    assert again.exit_code == 0, again.output
    assert "Report:" in again.stdout
    _refused("other settings", 7, *command, "--seed", 2)
    _refused("not the same: task, data", 7, *command, "--task", f"{__name__}:MouthTask")
    moved, other = (shutil.copytree(samples, tmp_path / n / samples.name) for n in ("moved", "other"))
    _stir(other / "test-0.npz")
    replaced = tuple(other if word is samples else word for word in command)
    _refused("not the same: samples", 7, *replaced)
    assert _prune(*(moved if word is samples else word for word in command)).exit_code == 0


def test_a_bar_that_nothing_meets_leaves_nothing(wav2lip: Path, samples: Path, tmp_path: Path) -> None:
    _refused(
        "nothing could be pruned: round 1 breaks l1<=0", 7,
        "lipsync", "--model", wav2lip, "--data", samples, "--importance", "bn", "--out", tmp_path / "out",
        "--steps", 1, "--rows", 2, "--limit", "l1<=0", "--json",
    )  # fmt: skip
    assert not (tmp_path / "out" / "plan.json").exists()


def test_scan_goes_on_and_is_shown(wav2lip: Path, samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "scan.json"
    command = ("scan", "--model", wav2lip, "--data", samples, "--out", path, "--ratio", 0.4)
    first = _prune(*command, "--minutes", 0)
    assert first.exit_code == 0, first.output
    assert "run it again" in first.stdout or "0 cuts" in first.stdout
    result = _prune(*command, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["complete"]
    assert told["metric"] == "l1"
    assert len(told["rows"]) == 22
    other = shutil.copytree(samples, tmp_path / samples.name)
    _stir(other / "train-0.npz")
    _refused("not the same: samples", 7, *(other if word is samples else word for word in command))
    _refused("not the same: task, data", 7, *command, "--task", f"{__name__}:MouthTask", "--metric", "l1")
    shown = _prune("lipsync", "--model", wav2lip, "--round-to", 4, "--out", tmp_path / "out", "--scan", path)
    assert shown.exit_code == 0, shown.output
    assert "What each layer bears" in (tmp_path / "out" / "report.html").read_text()


class LipsTask:
    """What `--task` may name; learns nothing."""

    def __init__(self, folder: Path, training: Training, announce: Callable[[str], None]) -> None:
        assert folder.is_dir()
        announce("here")
        self._steps = training.steps

    def train(self, student: LipsNet, teacher: LipsNet, step: Round) -> None:
        assert step.of == 1
        assert self._steps == 3
        assert student.plan() == step.plan.net != teacher.plan()

    def evaluate(self, student: LipsNet) -> dict[str, float]:
        return {"mouth_l1": student.plan()["channels"]["pose"] / 32}

    def losses(self, batches: int) -> Sequence[Loss]:
        x = torch.rand(1, 3, 96, 128)
        return [lambda m: m(x, x, torch.rand(1, 7))[2].mean() for _ in range(batches)]

    def pictures(self, _student: LipsNet) -> Sequence[Pixels]:
        return []

    def truth(self) -> Sequence[Pixels]:
        return []


def test_a_task_of_ones_own(lips: Path, tmp_path: Path) -> None:
    task = f"{__name__}:LipsTask"
    result = _prune(
        "lipsync", "--model", lips, "--data", tmp_path, "--task", task, "--steps", 3, "--round-to", 4,
        "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["steps"][1]["metrics"] == {"mouth_l1": 12 / 32}
    for wrong in ("nowhere:Task", f"{__name__}:None_", "no-colon"):
        more = ("--data", tmp_path, "--task", wrong, "--out", tmp_path / "o", "--json")
        _refused("can't be imported", 7, "lipsync", "--model", lips, *more)
    _refused("--task", 7, "lipsync", "--model", lips, "--data", tmp_path, "--out", tmp_path / "o", "--json")


class MouthTask:
    """The program's own, under another name and with nothing behind it."""

    def __init__(self, *_given: object) -> None:
        pass

    def evaluate(self, _student: Wav2Lip) -> dict[str, float]:
        return {"l1": 0.1}

    def losses(self, _batches: int) -> Sequence[Loss]:
        return []


def test_layers_are_listed(lips: Path) -> None:
    told = json.loads(_prune("layers", "--model", lips, "--json").stdout)
    assert {row["layer"] for row in told["groups"]} == {
        "pose.0",
        *(f"{s}{n}.0.conv" for s in "ed" for n in range(1, 5)),
    }
    assert told["whole"] == {"head": "the network's output"}
    assert "head" in _prune("layers", "--model", lips).stdout


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
        ("needs samples", ["--importance", "taylor"]),
        ("need samples", ["--rounds", "2"]),
        ("need samples", ["--limit", "l1<=1"]),
        ("can't be read", ["--limit", "good"]),
        ("no train-*.npz", ["--data", ".", "--task", ""]),
    ],
)
def test_one_clear_line(said: str, more: list[str], lips: Path, wav2lip: Path, tmp_path: Path) -> None:
    model = wav2lip if "--data" in more else lips
    _refused(said, 7, "lipsync", "--model", model, "--out", tmp_path / "out", *more)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf", "1" + "0" * 30])
@pytest.mark.parametrize("option", ["--rounds", "--steps", "--rows", "--rate"])
def test_numbers_that_nobody_can_train_by_are_usage_errors(option: str, value: str, tmp_path: Path) -> None:
    result = _prune("lipsync", "--model", "m", "--data", "d", "--out", tmp_path / "out", option, value)
    assert result.exit_code == 2, result.output
    assert f"Invalid value for '{option}'" in result.stderr


@pytest.mark.parametrize(
    "more", [("lipsync", "--seed", "-1"), ("scan", "--minutes", "nan"), ("scan", "--minutes", "inf")]
)
def test_other_numbers_that_can_not_be(more: tuple[str, ...], tmp_path: Path) -> None:
    verb, option, value = more
    result = _prune(verb, "--model", "m", "--data", "d", "--out", tmp_path / "out", option, value)
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
    _refused(said, 7, "scan", "--model", wav2lip, "--data", samples, "--out", out, *more, "--json")
    assert not out.parent.exists()


@pytest.mark.parametrize("out", ["/proc/nope/x", "/dev/null/x", "x" * 300])
def test_a_place_that_can_not_be_written_is_told_before_any_work(out: str, tmp_path: Path) -> None:
    where = tmp_path / out
    for verb in (("lipsync",), ("lipsync", "--data", "d"), ("scan", "--data", "d"), ("apply", "plan.json")):
        # Neither model nor samples nor plan are there: what is said first is the first thing looked at.
        _refused("can't be written (", 7, *verb, "--model", "no-model", "--out", where)
    _refused("is a folder", 7, "scan", "--model", "no-model", "--data", "d", "--out", tmp_path)


def test_a_disk_that_gets_full_is_one_clear_line(
    lips: Path, wav2lip: Path, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _prune("lipsync", "--model", lips, "--round-to", 4, "--out", tmp_path / "done").exit_code == 0

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
        _refused("can't be written (No space left on device)", 7, *command)
    assert not list(tmp_path.rglob(".*.part"))


def test_a_scan_makes_its_folder_and_a_name_may_be_of_any_bytes(
    wav2lip: Path, samples: Path, tmp_path: Path
) -> None:
    odd = tmp_path / os.fsdecode(b"sampl\xe9s")
    shutil.copytree(samples, odd)
    out = tmp_path / "new" / "er" / "scan.json"
    assert _prune("scan", "--model", wav2lip, "--data", odd, "--out", out, "--ratio", 0.4).exit_code == 0
    assert json.loads(out.read_text())["asked"]["made"]["data"] == odd.name
    command = (
        "lipsync", "--model", wav2lip, "--data", odd, "--out", tmp_path / "out", "--steps", 1, "--rows", 2,
        "--importance", "bn", "--round-to", 4,
    )  # fmt: skip
    assert _prune(*command).exit_code == 0
    assert _prune(*command).exit_code == 0
    assert "samples" in (tmp_path / "out" / "report.html").read_text()


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
            _refused(said, 7, verb, "--model", wrong, *more)
    assert not (tmp_path / "out").exists()


def test_halved_weights_are_read_as_float32(wav2lip: Path, tmp_path: Path) -> None:
    half = shutil.copytree(wav2lip, tmp_path / "half")
    weights = load_tensors(wav2lip / "weights.safetensors")
    halved = {n: t.half() if t.is_floating_point() else t for n, t in weights.items()}
    save_file(halved, half / "weights.safetensors")
    module, _ = read_network(half)
    assert {t.dtype for t in module.parameters()} == {torch.float32}
    out = tmp_path / "out"
    assert _prune("lipsync", "--model", half, "--round-to", 4, "--out", out).exit_code == 0
    written = load_tensors(out / "weights.safetensors")
    assert {t.dtype for t in written.values() if t.is_floating_point()} == {torch.float32}


def test_models_that_are_none(lips: Path, wav2lip: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    _refused("there is no such file", 7, "lipsync", "--model", tmp_path / "none.pth", *out)
    other = tmp_path / "other.pth"
    torch.save({"state_dict": Residual().state_dict()}, other)
    _refused("another network", 7, "lipsync", "--model", other, *out)
    empty = tmp_path / "empty"
    empty.mkdir()
    _refused("No such file", 7, "lipsync", "--model", empty, *out)
    (empty / "plan.json").write_text('{"net": "vocoder"}')
    _refused("Those known are wav2lip, lips", 7, "lipsync", "--model", empty, *out)
    (empty / "plan.json").write_text('{"net": "lips", "format": 1}')
    _refused("plan", 7, "lipsync", "--model", empty, *out)
    assert _prune("lipsync", "--model", lips, "--round-to", 4, *out).exit_code == 0
    _refused("is there already", 7, "lipsync", "--model", lips, "--round-to", 4, *out)
    _refused(
        "the plan is of 'lips'",
        7,
        "apply",
        tmp_path / "out" / "plan.json",
        "--model",
        wav2lip,
        "--out",
        tmp_path / "o",
    )
    _refused("was pruned from", 7, "report", tmp_path / "out", "--model", wav2lip)


def test_a_missing_package_is_named_with_what_to_do(
    lips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    result = _prune("lipsync", "--model", lips, "--out", tmp_path / "out")
    assert result.exit_code == 8
    assert "needs torch-pruning" in result.stderr
    assert "vcam-talker[prune]" in result.stderr


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys, vcam_talker.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
