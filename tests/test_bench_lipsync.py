"""`bench lipsync`: its arithmetic, what it says when something is missing, and its small parts for real."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.small_net import feeds, write_onnx
from tests.support.tiny_lips import make_pose_model
from vcam_talker.bench import lipsync, lipsync_gpu, lipsync_memory, lipsync_student
from vcam_talker.bench.lipsync_made import Made
from vcam_talker.bench.lipsync_race import Race
from vcam_talker.bench.options import Options
from vcam_talker.bench.report import Report
from vcam_talker.cli import main
from vcam_talker.core.errors import EngineError
from vcam_talker.face.neural import package
from vcam_talker.inference import Array, Port, open_session
from vcam_talker.inference.candidates import Candidate
from vcam_talker.inference.session import CheckedSession

ORT, OPENVINO = Candidate("ort", "fp32"), Candidate("openvino", "bf16")


class Runner:
    def __init__(self, value: float) -> None:
        self.inputs: tuple[Port, ...] = ()
        self.outputs: tuple[Port, ...] = ()
        self.value = value

    def run(self, _feeds: Mapping[str, Array]) -> dict[str, Array]:
        return {"y": np.full(4, self.value, np.float32)}


def entered(race: Race, net: str, candidate: Candidate, value: float = 1.0) -> None:
    race.enter(net, CheckedSession(Runner(value), candidate.engine, candidate.precision, "model"), {})


@pytest.mark.unit
def test_ratios_are_of_rounds_and_not_of_medians() -> None:
    race = Race()
    race.times_ms = {
        ("dense", ORT): [10, 100, 30],
        ("pruned", ORT): [5, 50, 10],
        ("pruned", OPENVINO): [1, 9, 4],
    }
    assert race.ratio(("dense", ORT), ("pruned", ORT)) == 2
    assert race.best("pruned") == OPENVINO
    assert race.p50_ms("dense", ORT) == 30
    assert not race.has("student")


@pytest.mark.unit
def test_all_run_equally_often() -> None:
    race = Race()
    entered(race, "dense", ORT)
    entered(race, "pruned", OPENVINO, 1.02)
    race.run(0)
    assert race.rounds == 5
    assert {len(times) for times in race.times_ms.values()} == {5}
    entered(race, "pruned", ORT)
    assert race.deviation("pruned", OPENVINO, ORT) == pytest.approx(0.02, rel=1e-3)


@pytest.mark.unit
def test_what_is_made_of_several_networks_counts_each_as_often_as_it_runs() -> None:
    race = Race()
    race.times_ms = {("mouth", ORT): [2, 4], ("face", ORT): [10, 20], ("mouth", OPENVINO): [1, 1]}
    race.processor_ms = {entry: [2 * t for t in times] for entry, times in race.times_ms.items()}
    race.combine("student", {"mouth": 1.0, "face": 0.1})
    assert race.times_ms["student", ORT] == [3, 6]
    assert race.processor_ms["student", ORT] == [6, 12]
    assert ("student", OPENVINO) not in race.times_ms, "a part is missing there"
    race.combine("none", {"nose": 1.0, "mouth": 1.0})
    assert not race.has("none")


@pytest.mark.unit
def test_bars_are_held() -> None:
    race, report = Race(), Report("lipsync")
    race.times_ms = {("dense", ORT): [30.0], ("pruned", ORT): [16.0], ("pruned", OPENVINO): [3.0]}
    race.processor_ms = dict(race.times_ms)
    lipsync._add_race(report, race, amx=True)
    bars = {f.name: (f.value, f.met) for f in report.figures if f.bar}
    assert bars == {
        "pruned against dense, ort fp32": (1.875, False),
        "pruned, openvino bf16, against dense, ort fp32": (10.0, False),
    }
    report = Report("lipsync")
    race.times_ms["student", OPENVINO] = race.processor_ms["student", OPENVINO] = [0.5]
    lipsync._add_race(report, race, amx=False)
    bars = {f.name: (f.value, f.met) for f in report.figures if f.bar}
    assert bars["student, openvino bf16, against dense, ort fp32"] == (60.0, True)
    assert len(bars) == 2
    assert "for AMX, not for this one" in report.notes[0]


@pytest.mark.unit
def test_missing_packages_are_one_line_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lipsync, "find_spec", lambda name: None if name in {"torch", "onnx"} else name)
    with pytest.raises(EngineError, match="needs torch, onnx") as caught:
        lipsync.run(Options())
    assert "vcam-talker[prune]" in caught.value.remedy


@pytest.mark.unit
def test_no_gpu_is_one_line_and_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vcam_talker.inference.engines.gpu_name", lambda: "")
    with pytest.raises(EngineError, match="engine 'cuda'"):
        lipsync.run(Options(gpu=True))
    done = CliRunner().invoke(main, ["bench", "pacing", "--gpu"])
    assert done.exit_code == 2
    assert "--gpu is for lipsync" in done.output


@pytest.mark.real
def test_an_engine_of_the_gpu_that_steps_aside_is_noted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where CUDA does not start, the processor steps in: its figures must not stand under the GPU's name."""
    exact = write_onnx(tmp_path / "net.onnx")
    made = Made(exact, exact, feeds(), 0, 0, 0, 0.0, 0.0)
    monkeypatch.setattr(lipsync_gpu, "_used_mb", lambda: 0.0)
    report = Report("lipsync")
    lipsync_gpu.add(report, {"dense": made}, tmp_path)
    assert not report.figures
    assert len(report.notes) == 5
    assert "cuda fp32 does not run here" in report.notes[1]


@pytest.mark.unit
def test_what_is_measured_is_what_the_prune_tool_leaves(tmp_path: Path) -> None:
    from vcam_talker.bench.lipsync_nets import SHARE, pruned_channels
    from vcam_talker.nets.wav2lip import Wav2Lip
    from vcam_talker.nets.wav2lip_layers import dense_channels, macs
    from vcam_talker.prune.allot import CutSettings
    from vcam_talker.prune.apply import save_pruned
    from vcam_talker.prune.cut import whole
    from vcam_talker.prune.job import Job
    from vcam_talker.prune.pipeline import prune

    pruned, dense = pruned_channels(), dense_channels(96)
    assert pruned.keys() == dense.keys()
    assert all(width % 16 == 0 and 0 < width <= dense[name] for name, width in pruned.items())
    assert 0.69 <= sum(pruned.values()) / sum(dense.values()) <= 0.71
    assert sum(macs(96, pruned).values()) / sum(macs(96, dense).values()) == pytest.approx(0.40, abs=0.005)
    net = Wav2Lip().eval()
    save_pruned(tmp_path / "dense", whole(net, net.plan()), net)
    made = prune(Job(tmp_path / "dense", tmp_path / "out", CutSettings(SHARE), "random", seed=7))
    assert made.plan.net["channels"] == pruned


@pytest.mark.unit
def test_the_note_tells_the_true_shares() -> None:
    dense = Made(Path(), Path(), {}, 36_300_000, 3_970_000_000, 3_000_000_000, 0.0, 0.0, 11_376)
    pruned = Made(Path(), Path(), {}, 18_160_000, 1_590_000_000, 1_200_000_000, 0.0, 0.0, 7_952)
    assert pruned.told(dense) == (
        "7,952 of 11,376 channels (69.9%), 18.2 M parameters (0.50 of dense), 1.59 GMAC a frame (0.40), "
        "1.20 for the lower half; random weights"
    )
    assert dense.told(dense).startswith("11,376 channels, 36.3 M parameters, 3.97 GMAC a frame, 3.00 for")


@pytest.mark.unit
def test_the_process_that_measures_has_no_torch() -> None:
    """What comes back from the one that makes the networks must not bring it along."""
    code = (
        "import pickle, sys; from pathlib import Path; import vcam_talker.bench.lipsync, %s as home;"
        "made = home.Made(Path(), Path(), {}, 0, 0, 0, 0.0, 0.0);"
        "pickle.loads(pickle.dumps(made)); sys.exit('torch' in sys.modules)"
    )
    argv = [sys.executable, "-c", code % Made.__module__]
    assert subprocess.run(argv, check=False).returncode == 0


@pytest.mark.real
def test_memory_is_that_of_a_fresh_process(tmp_path: Path) -> None:
    net = write_onnx(tmp_path / "net.onnx")
    found = lipsync_memory.measure(net, net, ORT, 1)
    assert 10 < found.library <= found.running + 5
    assert found.peak >= found.running
    with pytest.raises(EngineError, match="its memory can't be measured") as caught:
        lipsync_memory.measure(tmp_path / "none.onnx", net, ORT, 1)
    assert "there is no such file" in str(caught.value)


@pytest.mark.real
def test_the_networks_file_forms_agree(tmp_path: Path) -> None:
    """A narrow network of the same layers: exported, quantised and halved as the measured ones are."""
    from vcam_talker.bench.lipsync_nets import make
    from vcam_talker.inference.candidates import deviation
    from vcam_talker.nets.wav2lip_layers import dense_channels

    made = make(tmp_path, "narrow", {name: min(16, width) for name, width in dense_channels(96).items()})
    assert made.onnx_off <= 1e-4
    assert made.lower_off <= 1e-4
    exact = open_session(made.exact, "ort", "fp32", 1).run(made.example)
    int8 = open_session(made.int8, "ort", "int8", 1)
    assert int8.precision == "int8"
    assert deviation(int8.run(made.example), exact) < 0.15
    assert made.macs_lower < made.macs


@pytest.mark.real
def test_a_composed_frame_is_measured_with_the_model_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(package, "_MODELS", tmp_path)
    report = Report("lipsync")
    lipsync_student.add_composed(report, Options())
    assert not report.figures
    assert "left out" in report.notes[0]
    assert list(lipsync_student.open_parts(Options(), 1)) == []
    make_pose_model(tmp_path / package.SHIPPED)
    monkeypatch.setattr(lipsync_student, "_FRAMES", 6)
    monkeypatch.setattr(lipsync_student, "_WARM_FRAMES", 2)
    monkeypatch.setattr(lipsync_student, "SENTENCES", ("Hello there.",))
    looks = lipsync_student.add_composed(report, Options())
    assert [f.unit for f in report.figures] == ["frames/s", "frames/s", "%"]
    assert 0 < looks < 1, "of a clip whose frames look alike"
    assert "6 frames of speech, 1280x720" in report.notes[-1]
    opened = list(lipsync_student.open_parts(Options(), 1))
    assert {name for name, _ in opened} == {lipsync_student.MOUTH, lipsync_student.FACE}
    assert "ort" in {session.engine for _, session in opened}
