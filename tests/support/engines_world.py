"""Engines that are installed only by name, and a network to open with them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.small_net import write_onnx
from vcam_talker.core.errors import EngineError
from vcam_talker.inference import Array, Port, Session, engines, open_session, opening
from vcam_talker.inference.candidates import Candidate, Measured
from vcam_talker.inference.model import Request
from vcam_talker.inference.processor import Processor
from vcam_talker.inference.session import Runner

PROCESSOR = Processor("Test", frozenset({"avx2"}), 4)
BF16 = Processor("Test", frozenset({"avx512f", "avx512_bf16"}), 4)
ORT, OV, OV_BF16 = Candidate("ort", "fp32"), Candidate("openvino", "fp32"), Candidate("openvino", "bf16")


class FakeRunner:
    def __init__(self, factor: float = 2.0) -> None:
        self.inputs: tuple[Port, ...] = (Port("x", (None, 3), np.dtype(np.float32)),)
        self.outputs: tuple[Port, ...] = (Port("y", (None, 3), np.dtype(np.float32)),)
        self.factor = factor

    def run(self, feeds: dict[str, Array]) -> dict[str, Array]:
        return {"y": feeds["x"] * np.float32(self.factor)}


class World:
    """Engines that are installed only by name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.installed = {"onnxruntime": "1.0", "openvino": "2.0", "torch": "3.0"}
        self.gpu = ""
        self.broken: set[str] = set()
        self.opened: list[str] = []
        self.threads: list[int] = []
        self.measured: list[list[Candidate]] = []
        self.results: dict[str, tuple[float, str]] = {}
        self.unmeasured: set[str] = set()
        monkeypatch.setattr(engines, "installed_version", lambda name: self.installed.get(name, ""))
        monkeypatch.setattr(engines, "gpu_name", lambda: self.gpu)
        monkeypatch.setattr(opening, "measure", self.measure)
        monkeypatch.setattr(opening, "_beside", lambda work: work())

    def open(self, row: engines.Engine, request: Request) -> Runner:
        if str(Candidate(row.name, request.precision)) in self.broken:
            raise EngineError(f"engine '{row.name}'", "can't start here", "Mend it")
        self.opened.append(f"{row.name} {request.precision}")
        self.threads.append(request.threads)
        return FakeRunner()

    def measure(
        self, _model: object, contenders: list[Candidate], *_: object, **__: object
    ) -> list[Measured]:
        self.measured.append(contenders)
        told = [(c, *self.results.get(str(c), (9.0, ""))) for c in contenders]
        tries = {c: int(str(c) in self.unmeasured) for c in contenders}
        return [Measured(c, run_ms=ms, fault=fault, tries=tries[c]) for c, ms, fault in told]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(monkeypatch)

    def open_it(row: engines.Engine, request: Request) -> Runner:
        return made.open(row, request)

    monkeypatch.setattr(engines.Engine, "open", open_it)
    return made


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return write_onnx(tmp_path / "net.onnx")


@pytest.fixture
def start(net: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Callable[..., Session]:
    """Open with only what is given; lines of an earlier time are gone."""

    def open_it(engine: Any = "auto", precision: Any = "auto", **options: Any) -> Session:
        caplog.clear()
        options = {"threads": 1, "cache": tmp_path / "cache", "processor": BF16, **options}
        return open_session(options.pop("model", net), engine, precision, **options)

    return open_it


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert all("\n" not in line for line in told)
    return told
