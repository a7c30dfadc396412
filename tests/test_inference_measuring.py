"""Candidates measured in a process of its own, and what runs them: faults, want of memory, providers."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.engines_world import (
    ORT,
    OV,
    OV_BF16,
    FakeRunner,
    World,
    net,
    start,
    warnings,
    world,
)
from vcam_talker.core.errors import EngineError
from vcam_talker.inference import Array, Session, candidates, opening, ort
from vcam_talker.inference import measure as measuring
from vcam_talker.inference.candidates import Candidate, Measured, deviation
from vcam_talker.inference.measure import _Contest, measure
from vcam_talker.inference.memory import lacked_memory
from vcam_talker.inference.model import Request, find_model
from vcam_talker.inference.onnx_file import OnnxFile
from vcam_talker.inference.openvino import OpenVinoRunner
from vcam_talker.inference.session import CheckedSession

__all__ = ["net", "start", "world"]
pytestmark = pytest.mark.unit


def told(folder: Path, *lines: object) -> None:
    (folder / "result.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    ("status", "why"), [(-signal.SIGSEGV, "SIGSEGV"), (None, "takes too long"), (1, "exit status 1")]
)
def test_one_that_takes_its_process_down_is_left_out(
    net: Path, tmp_path: Path, status: int | None, why: str
) -> None:
    jobs: list[list[list[str]]] = []

    def run(folder: Path, _timeout_s: float) -> int | None:
        jobs.append(json.loads((folder / "job.json").read_text())["candidates"])
        if ["openvino", "fp32"] in jobs[-1]:
            told(folder, 0, 1)
            return status
        told(folder, 0, 1, [Measured(Candidate(*pair), 1.0).as_dict() for pair in jobs[-1]])  # type: ignore[arg-type]
        return 0

    measured = measure(find_model(net), [ORT, OV, OV_BF16], 1, None, tmp_path, run=run)
    assert len(jobs) == 2
    assert [m.candidate for m in measured if not m.fault] == [ORT, OV_BF16]
    assert [(m.candidate, why in m.fault) for m in measured if m.fault] == [(OV, True)]
    assert all((m.passing, m.tries) == (True, 1) for m in measured if m.fault)


@pytest.mark.parametrize("lacked", [False, True], ids=["for another reason", "for want of memory"])
def test_one_that_can_not_be_opened_is_tried_again(
    world: World, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacked: bool
) -> None:
    world.broken = {"openvino fp32"}
    monkeypatch.setattr(measuring, "lacked_memory", lambda e: lacked and "can't start here" in str(e))

    def here(folder: Path, _timeout_s: float) -> int:
        _Contest(folder).run()
        return 0

    good, bad = measure(find_model(net), [ORT, OV], 1, None, tmp_path, run=here)
    assert (good.candidate, good.fault, good.passing, good.tries) == (ORT, "", False, 0)
    assert (bad.candidate, bad.passing, bad.tries) == (OV, lacked, 1)
    assert "can't start here" in bad.fault


@pytest.mark.parametrize(
    "reason",
    [
        RuntimeError(
            "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv"
            f" node. Name:'{'x' * 200}' Failed to allocate memory for requested buffer of size 643840"
        ),
        RuntimeError("Available memory of 12 is smaller than requested bytes of 4096"),
        RuntimeError("CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size);"),
        RuntimeError("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; expr=cublasCreate(&handle);"),
        RuntimeError("Requested amount of GPU memory (1024 bytes) could not be allocated."),
        RuntimeError("Exception from src/inference/src/cpp/core.cpp:101: std::bad_alloc"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
    ids=lambda reason: str(reason)[-30:],
)
def test_want_of_memory_is_known_whoever_tells_of_it(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: Exception
) -> None:
    onnxruntime = fake_onnxruntime(["CPUExecutionProvider"], ["CPUExecutionProvider"])

    def fail(*_: object, **__: object) -> None:
        raise reason

    monkeypatch.setitem(vars(onnxruntime), "InferenceSession", fail)
    monkeypatch.setitem(sys.modules, "onnxruntime", onnxruntime)
    with pytest.raises(EngineError) as caught:
        ort.open_runner(Request(find_model(net), "fp32", 1, None, tmp_path), "ort")
    assert lacked_memory(caught.value)


def test_want_of_memory_in_openvino_is_an_error_of_the_engine(tmp_path: Path) -> None:
    """pybind11 makes MemoryError of std::bad_alloc."""

    def infer(*_: object, **__: object) -> None:
        raise MemoryError

    compiled: Any = SimpleNamespace(
        inputs=[], outputs=[], create_infer_request=lambda: SimpleNamespace(infer=infer)
    )
    runner = OpenVinoRunner(compiled, OnnxFile(tmp_path, (), (), "fp32", ""), "model x")
    with pytest.raises(EngineError, match="model x: fails in OpenVINO"):
        runner.run({})


@pytest.mark.parametrize(
    "reason",
    [
        "op not supported: Resize",
        "CUDAExecutionProvider can't start: libraries of its are missing, or made for another version",
        "onnxruntime can't be imported (libcudnn.so.9: cannot open shared object file)",
        "",
    ],
)
def test_other_faults_are_no_want_of_memory(reason: str) -> None:
    assert not lacked_memory(EngineError("engine 'cuda'", reason))


def test_all_of_them_failing_ends(net: Path, tmp_path: Path) -> None:
    measured = measure(find_model(net), [ORT, OV], 1, None, tmp_path, run=lambda *_: -signal.SIGKILL)
    assert len(measured) == 2
    assert all(m.fault for m in measured)


def test_what_can_not_be_measured_at_all_is_an_error(net: Path, tmp_path: Path) -> None:
    def no_more_processes(*_: object) -> int:
        raise OSError(11, "Resource temporarily unavailable")

    for run in (no_more_processes, lambda *_: 1):
        with pytest.raises(EngineError, match="can't be measured"):
            measure(find_model(net), [ORT, OV], 1, None, tmp_path, run=run)


def test_unmeasured_the_most_exact_is_taken_with_one_line(
    world: World,
    start: Callable[..., Session],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object, **__: object) -> list[Measured]:
        raise EngineError("engines", "can't be measured (no room)")

    monkeypatch.setattr(opening, "measure", fail)
    session = start()
    assert (session.engine, session.precision) == ("ort", "fp32")
    (line,) = warnings(caplog)
    assert "no room" in line
    monkeypatch.setattr(opening, "measure", world.measure)
    start()
    assert world.measured, "nothing was remembered"


def test_zeros_in_an_example_are_measured_as_noise(
    world: World, start: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Array]] = []

    def look(
        model: object, contenders: list[Candidate], _threads: int, feeds: Any, *_: object, **__: object
    ) -> Any:
        given.append(feeds)
        return world.measure(model, contenders)

    monkeypatch.setattr(opening, "measure", look)
    picture = np.full((1, 3, 12, 20), 0.5, np.float32)
    start(example={"x": np.zeros((2, 3), np.float32), "picture": picture})
    assert given[0]["x"].any()
    assert given[0]["x"].dtype == np.float32
    assert given[0]["picture"] is picture


def test_deviation_finds_what_differs() -> None:
    reference = {"y": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)}
    assert deviation(reference, reference) == 0
    assert deviation({"y": reference["y"] * 1.01}, reference) == pytest.approx(0.01, rel=1e-3)
    assert deviation({"y": reference["y"][::-1]}, reference) > 0.5
    assert deviation({"y": reference["y"].T}, reference) == float("inf")
    assert deviation({"z": reference["y"]}, reference) == float("inf")
    quiet = {"y": np.zeros((3, 4), np.float32)}
    assert deviation({"y": quiet["y"] + 1e-7}, quiet) < candidates.TOLERANCE["fp32"] * 2


# ONNX Runtime's providers


def fake_onnxruntime(available: list[str], started: list[str]) -> ModuleType:
    session = SimpleNamespace(get_providers=lambda: started, get_inputs=list, get_outputs=list)
    made = ModuleType("onnxruntime")
    options = SimpleNamespace(add_session_config_entry=lambda *_: None)
    vars(made).update(
        __version__="9.9",
        get_available_providers=lambda: available,
        SessionOptions=lambda: options,
        InferenceSession=lambda *_, **__: session,
    )
    return made


@pytest.mark.parametrize(
    ("available", "started", "why"),
    [
        (["CPUExecutionProvider"], [], "has no CUDAExecutionProvider"),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], ["CPUExecutionProvider"], "can't start"),
    ],
    ids=["not built in", "falls back in silence"],
)
def test_a_provider_that_is_not_there_is_an_error(
    net: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    available: list[str],
    started: list[str],
    why: str,
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", fake_onnxruntime(available, started))
    with pytest.raises(EngineError, match=why):
        ort.open_runner(Request(find_model(net), "fp32", 1, None, tmp_path), "cuda")


# Sessions


def test_outputs_that_are_no_numbers_are_named() -> None:
    session = CheckedSession(FakeRunner(np.inf), "ort", "fp32", "model x")
    with pytest.raises(EngineError, match="output 'y' holds NaN or infinity"):
        session.run({"x": np.ones((1, 3), np.float32)})
