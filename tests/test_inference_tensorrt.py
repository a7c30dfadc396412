"""Engines that TensorRT has built: whole or absent, and built again when they are neither."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.small_net import write_onnx
from vcam_talker.core.errors import EngineError
from vcam_talker.inference import ort, tensorrt_cache
from vcam_talker.inference.model import Request, find_model
from vcam_talker.inference.session import Array
from vcam_talker.inference.tensorrt_cache import tensorrt_folder

pytestmark = pytest.mark.unit

WHOLE = b"an engine"


class Gpu:
    """ONNX Runtime with TensorRT, as far as it keeps engines: it reads the one there is, or writes one."""

    def __init__(self) -> None:
        self.built: list[Path] = []
        self.started = ["TensorrtExecutionProvider"]
        self.fault = ""
        self.at_first_run = False
        """Sizes were left open: the engine is built, or read, by the first run."""
        self.meanwhile: Callable[[], None] = lambda: None
        self.module = ModuleType("onnxruntime")
        options = SimpleNamespace(add_session_config_entry=lambda *_: None)
        vars(self.module).update(
            __version__="9.9",
            get_available_providers=lambda: ["TensorrtExecutionProvider", "CUDAExecutionProvider"],
            SessionOptions=lambda: options,
            InferenceSession=self.open,
        )

    def open(self, _path: str, *, providers: Any, enable_fallback: int, **_: Any) -> Any:
        assert not enable_fallback, "a provider that fails must not be replaced in silence"
        folder = Path(providers[0][1]["trt_engine_cache_path"])

        def run(_names: list[str], _feeds: dict[str, Array]) -> list[Array]:
            if self.at_first_run:
                self.engine(folder)
            return [np.zeros((1, 3), np.float32)]

        if not self.at_first_run and "TensorrtExecutionProvider" in self.started:
            self.engine(folder)
        port = SimpleNamespace(name="x", type="tensor(float)", shape=["N", 3])
        return SimpleNamespace(
            get_providers=lambda: self.started,
            get_inputs=lambda: [port],
            get_outputs=lambda: [SimpleNamespace(name="y", type="tensor(float)", shape=["N", 3])],
            run=run,
        )

    def engine(self, folder: Path) -> None:
        file = folder / "graph.engine"
        if file.exists():
            if file.read_bytes() != WHOLE:
                raise RuntimeError(f"TensorRT EP could not deserialize engine from cache: {file}")
        else:
            self.built.append(folder)
            file.write_bytes(WHOLE[:3])
            self.meanwhile()
            if self.fault:
                raise RuntimeError(self.fault)
            file.write_bytes(WHOLE)
        if self.fault:
            raise RuntimeError(self.fault)


@pytest.fixture(params=["when it is loaded", "at the first run"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    made = Gpu()
    made.at_first_run = request.param == "at the first run"
    monkeypatch.setitem(sys.modules, "onnxruntime", made.module)
    return made


@pytest.fixture
def wanted(tmp_path: Path) -> Request:
    return Request(find_model(write_onnx(tmp_path / "net.onnx")), "fp16", 1, None, tmp_path / "cache")


@pytest.fixture
def folder(wanted: Request, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ort, "tensorrt_version", lambda: "10")
    monkeypatch.setattr(ort, "gpu_name", lambda: "Test GPU")
    return tensorrt_folder(wanted, "9.9", "10", "Test GPU")


def engine(folder: Path) -> bytes:
    """What is kept; nothing else lies about."""
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    return (folder / "graph.engine").read_bytes()


def test_an_engine_is_built_once(gpu: Gpu, wanted: Request, folder: Path) -> None:
    ort.open_runner(wanted, "tensorrt")
    assert engine(folder) == WHOLE
    ort.open_runner(wanted, "tensorrt")
    assert len(gpu.built) == 1


def test_it_has_its_name_when_it_is_whole(gpu: Gpu, wanted: Request, folder: Path) -> None:
    """A process that is killed while it builds leaves nothing that another one would read."""
    seen: list[bool] = []
    gpu.meanwhile = lambda: seen.append(folder.exists())
    gpu.fault = "out of memory"
    with pytest.raises(EngineError, match="out of memory"):
        ort.open_runner(wanted, "tensorrt")
    assert seen == [False]
    assert not list(folder.parent.iterdir())


def test_half_an_engine_is_built_again_with_one_line(
    gpu: Gpu, wanted: Request, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ort.open_runner(wanted, "tensorrt")
    (folder / "graph.engine").write_bytes(WHOLE[:4])
    ort.open_runner(wanted, "tensorrt")
    (line,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert "could not deserialize" in line
    assert f"its engine in {folder} is built again" in line
    assert engine(folder) == WHOLE
    ort.open_runner(wanted, "tensorrt")
    assert len(gpu.built) == 2


def test_an_engine_that_is_not_to_blame_stays(gpu: Gpu, wanted: Request, folder: Path) -> None:
    ort.open_runner(wanted, "tensorrt")
    gpu.fault = "out of memory"
    with pytest.raises(EngineError, match="out of memory"):
        ort.open_runner(wanted, "tensorrt")
    assert engine(folder) == WHOLE
    gpu.fault = ""
    ort.open_runner(wanted, "tensorrt")
    assert len(gpu.built) == 2, "for the first time, and in vain"


def test_a_provider_that_does_not_start_builds_nothing(
    gpu: Gpu, wanted: Request, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ort.open_runner(wanted, "tensorrt")
    gpu.started = ["CPUExecutionProvider"]
    with pytest.raises(EngineError, match="can't start"):
        ort.open_runner(wanted, "tensorrt")
    assert engine(folder) == WHOLE
    assert not caplog.records


def test_two_processes_may_build_the_same(gpu: Gpu, wanted: Request, folder: Path) -> None:
    def other() -> None:
        gpu.meanwhile = lambda: None
        ort.open_runner(wanted, "tensorrt")

    gpu.meanwhile = other
    ort.open_runner(wanted, "tensorrt")
    assert len(gpu.built) == 2
    assert engine(folder) == WHOLE


def test_two_processes_may_find_the_same_half(gpu: Gpu, wanted: Request, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "graph.engine").write_bytes(WHOLE[:4])

    def other() -> None:
        gpu.meanwhile = lambda: None
        ort.open_runner(wanted, "tensorrt")

    gpu.meanwhile = other
    ort.open_runner(wanted, "tensorrt")
    assert engine(folder) == WHOLE


def test_what_can_not_be_kept_works_all_the_same(
    gpu: Gpu,
    wanted: Request,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    ort.open_runner(wanted, "tensorrt")
    assert f"can't be kept in {folder} " in caplog.text
    assert not list(folder.parent.iterdir())
    assert gpu.built


@pytest.mark.usefixtures("gpu", "folder")
def test_no_place_for_engines_is_told(wanted: Request) -> None:
    wanted.cache.write_text("a file")
    with pytest.raises(EngineError, match="engine 'tensorrt': there is no room for its engines") as caught:
        ort.open_runner(wanted, "tensorrt")
    assert caught.value.remedy


def test_a_folder_that_goes_while_an_engine_is_built_costs_no_session(
    gpu: Gpu, wanted: Request, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: shutil.rmtree(wanted.cache))
    assert ort.open_runner(wanted, "tensorrt").inputs
    assert gpu.built
    assert f"can't be kept in {folder} (" in caplog.text


def test_what_killed_builds_have_left_goes_before_the_next_one(
    gpu: Gpu, wanted: Request, folder: Path
) -> None:
    """Where each build is killed, none comes to its end."""
    killed = folder.parent / ".killed.part"
    killed.mkdir(parents=True)
    os.utime(killed, (time.time() - 25 * 3600,) * 2)
    seen: list[bool] = []
    gpu.meanwhile = lambda: seen.append(killed.exists())
    ort.open_runner(wanted, "tensorrt")
    assert seen == [False]


@pytest.mark.usefixtures("gpu")
def test_engines_that_nobody_uses_go(wanted: Request, folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    now_s = time.time()
    for number in range(20):
        old = folder.parent / f"{number:032x}"
        old.mkdir()
        (old / "graph.engine").write_bytes(WHOLE)
        os.utime(old, (now_s - 100 + number,) * 2)
    for name, hours in (("part", 25), ("old", 25), ("now.part", 1)):
        (folder.parent / f".killed.{name}").mkdir()
        os.utime(folder.parent / f".killed.{name}", (now_s - 3600 * hours,) * 2)
    ort.open_runner(wanted, "tensorrt")
    left = {path.name for path in folder.parent.iterdir()}
    newest = {f"{number:032x}" for number in range(20 - tensorrt_cache._KEPT + 1, 20)}
    assert left == {folder.name, ".killed.now.part", *newest}
    os.utime(folder, (0, 0))
    ort.open_runner(wanted, "tensorrt")
    assert folder.stat().st_mtime > now_s - 1, "it counts when an engine was used, not when it was built"


def test_tensorrt_has_a_folder_for_whatever_makes_another_engine(tmp_path: Path) -> None:
    model = find_model(write_onnx(tmp_path / "net.onnx"))
    other = find_model(write_onnx(tmp_path / "other.onnx", seed=2))
    request = Request(model, "fp16", 1, {"x": (1, 3)}, tmp_path)
    changed = [
        (request, "1.0", "10.0", "H"),
        (Request(other, "fp16", 1, {"x": (1, 3)}, tmp_path), "1.0", "10.0", "H"),
        (Request(model, "fp32", 1, {"x": (1, 3)}, tmp_path), "1.0", "10.0", "H"),
        (Request(model, "fp16", 1, {"x": (2, 3)}, tmp_path), "1.0", "10.0", "H"),
        (Request(model, "fp16", 1, None, tmp_path), "1.0", "10.0", "H"),
        (request, "1.1", "10.0", "H"),
        (request, "1.0", "10.1", "H"),
        (request, "1.0", "10.0", "L"),
    ]
    folders = {tensorrt_folder(*each) for each in changed}
    assert len(folders) == len(changed)
    assert tensorrt_folder(*changed[0]) in folders
    assert all(folder.is_relative_to(tmp_path) for folder in folders)
