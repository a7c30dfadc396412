"""The same networks on an NVIDIA GPU, with CUDA and with TensorRT. Nothing is told where there is none."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from vcam_talker.bench.report import Report, percentile
from vcam_talker.core.errors import EngineError
from vcam_talker.inference import Session, open_session
from vcam_talker.inference.candidates import Candidate
from vcam_talker.inference.engines import find_engine
from vcam_talker.inference.gpu import gpu_name

if TYPE_CHECKING:
    from vcam_talker.bench.lipsync_made import Made

_WAYS: Final = (
    Candidate("cuda", "fp32"),
    Candidate("cuda", "fp16"),
    Candidate("tensorrt", "fp32"),
    Candidate("tensorrt", "fp16"),
)
_BATCHES: Final = (1, 16)
_RUN_S: Final = 5.0
_WARM_RUNS: Final = 10
_FPS: Final = 30
_MIB: Final = 2**20 / 1e6


def check() -> None:
    """Raise EngineError unless there is a GPU and a build of ONNX Runtime for it."""
    if fault := find_engine("cuda").lacks():
        raise fault


def add(report: Report, made: Mapping[str, Made], folder: Path) -> None:
    """Measure frames a second and memory of each network, number format and batch. Raises EngineError."""
    report.notes.append(f"on {gpu_name()}; copies to and from the GPU are counted")
    for name, net in made.items():
        half = _halved(net.exact, folder / f"{name}.half.onnx")
        for way in _WAYS:
            for batch in _BATCHES:
                feeds = {port: np.repeat(array, batch, 0) for port, array in net.example.items()}
                before_mb = _used_mb()
                session = open_session(
                    net.exact,
                    way.engine,
                    way.precision,
                    variants=[half],
                    example=feeds,
                    cache=folder / "engines",
                )
                with closing(session):
                    if (session.engine, session.precision) != (way.engine, way.precision):
                        report.notes.append(f"{way} does not run here, see the log")
                        break
                    times_ms = _times_ms(session, feeds)
                    memory_mb = _used_mb() - before_mb
                frames_per_s = 1000 * batch / percentile(times_ms, 50)
                row = f"{name}, {way}, batch {batch}"
                report.add(f"{row}: p50", frames_per_s, "frames/s")
                report.add(f"{row}: p95 of a run", percentile(times_ms, 95), "ms")
                report.add(f"{row}: faces at {_FPS} fps", frames_per_s // _FPS, "faces")
                report.add(f"{row}: memory of the GPU", memory_mb, "MB")


def _halved(exact: Path, half: Path) -> Path:
    """Write a network with weights and arithmetic in fp16, its inputs and outputs as they are."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(exact), keep_io_types=True), half)
    return half


def _times_ms(session: Session, feeds: Mapping[str, np.ndarray]) -> list[float]:
    for _ in range(_WARM_RUNS):
        session.run(feeds)
    times_ms = []
    end_s = time.monotonic() + _RUN_S
    while time.monotonic() < end_s:
        begun_ns = time.perf_counter_ns()
        session.run(feeds)
        times_ms.append((time.perf_counter_ns() - begun_ns) / 1e6)
    return times_ms


def _used_mb() -> float:
    """Return the memory in use on the first GPU. Raises EngineError."""
    query = ["nvidia-smi", "--id=0", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
        return int(told.strip()) * _MIB
    except (OSError, subprocess.SubprocessError, ValueError) as e:
        raise EngineError("nvidia-smi", f"does not tell the GPU's memory ({e})") from e
