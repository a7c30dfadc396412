"""Every engine that is installed here keeps the promises of `Session`, in every number format it has."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.small_net import PLAN, ROW, feeds, make_model, write_folder, write_int8, write_onnx
from tests.support.small_torch_net import HEIGHT, POSE, WIDTH
from vcam_talker.core.errors import EngineError
from vcam_talker.inference import Array, EngineName, Precision, Session, open_session
from vcam_talker.inference import torch as torch_engine
from vcam_talker.inference.candidates import TOLERANCE, deviation
from vcam_talker.inference.engines import ENGINES
from vcam_talker.inference.processor import this_processor
from vcam_talker.inference.session import noise

pytestmark = pytest.mark.contract

HERE: list[tuple[EngineName, Precision]] = [
    ("ort", "fp32"),
    ("ort", "int8"),
    ("openvino", "fp32"),
    ("openvino", "int8"),
    ("torch", "fp32"),
]
if this_processor().computes_bfloat16:
    HERE.append(("openvino", "bf16"))


@dataclass(frozen=True)
class Forms:
    exact: Path
    int8: Path
    folder: Path

    def open(self, engine: EngineName, precision: Precision, cache: Path, **options: object) -> Session:
        return open_session(
            self.exact,
            engine,
            precision,
            1,
            variants=[self.int8, self.folder],
            cache=cache,
            **options,  # type: ignore[arg-type]
        )


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Forms:
    folder = tmp_path_factory.mktemp("net")
    exact = write_onnx(folder / "net.onnx")
    return Forms(exact, write_int8(folder / "net.int8.onnx", exact), write_folder(folder / "torch"))


@pytest.fixture(scope="module")
def reference(forms: Forms) -> Array:
    """What ONNX's own, slow reference makes of `feeds()`."""
    from onnx.reference import ReferenceEvaluator

    made: Sequence[Any] = ReferenceEvaluator(str(forms.exact)).run(["drawn"], feeds())  # type: ignore[assignment]
    drawn: Array = made[0]
    return drawn


@pytest.fixture(scope="module", params=HERE, ids=" ".join)
def session(
    request: pytest.FixtureRequest, forms: Forms, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(torch_engine.NETS, str(PLAN["net"]), ROW)
        engine, precision = request.param
        made = forms.open(engine, precision, tmp_path_factory.mktemp("cache"))
    assert (made.engine, made.precision) == request.param
    yield made
    made.close()


def test_all_engines_that_run_on_a_processor_are_held_to_this() -> None:
    installed = {e.name for e in ENGINES if e.package and not e.on_gpu}
    assert {engine for engine, _ in HERE} >= installed - {"ort-openvino"}


def test_ports_are_those_of_the_network(session: Session) -> None:
    assert [(p.name, p.shape, str(p.dtype)) for p in session.inputs] == [
        ("picture", (None, 3, HEIGHT, WIDTH), "float32"),
        ("pose", (None, POSE), "float32"),
    ]
    assert [(p.name, p.shape, str(p.dtype)) for p in session.outputs] == [
        ("drawn", (None, 3, HEIGHT, WIDTH), "float32"),
        ("shares", (None, 8), "float32"),
    ]


def test_outputs_are_those_of_the_reference(session: Session, reference: Array) -> None:
    made = session.run(feeds())
    assert list(made) == ["drawn", "shares"]
    assert deviation(made, {"drawn": reference}) <= TOLERANCE[session.precision]
    if session.precision == "fp32":
        assert np.abs(made["drawn"] - reference).max() <= 1e-4


@pytest.mark.parametrize("batch", [1, 3, 2])
def test_sizes_left_open_may_change(session: Session, batch: int) -> None:
    made = session.run(feeds(batch))
    assert made["drawn"].shape == (batch, 3, HEIGHT, WIDTH)
    alone = session.run({name: array[-1:] for name, array in feeds(batch).items()})
    assert deviation(alone, {n: a[-1:] for n, a in made.items()}) <= TOLERANCE[session.precision]


def test_outputs_are_the_callers_own(session: Session) -> None:
    first = session.run(feeds(seed=1))
    kept = {name: array.copy() for name, array in first.items()}
    session.run(feeds(seed=2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, kept[name])
        array[...] = 0  # and may be written to
    again = session.run(feeds(seed=1))
    assert deviation(again, kept) < 1e-6


def test_feeds_may_be_read_only_or_strided_and_are_left_alone(session: Session) -> None:
    given = feeds()
    wanted = session.run(given)
    strided = {n: np.repeat(a, 2, axis=-1)[..., ::2] for n, a in given.items()}
    for array in strided.values():
        array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = session.run(strided)
    assert deviation(made, wanted) < 1e-6
    for name, array in feeds().items():
        np.testing.assert_array_equal(strided[name], array)


MISFED: dict[str, Callable[[dict[str, Array]], dict[str, Array]]] = {
    "missing": lambda f: {"picture": f["picture"]},
    "unknown": lambda f: {**f, "sound": f["pose"]},
    "renamed": lambda f: {"picture": f["picture"], "Pose": f["pose"]},
    "float64": lambda f: {**f, "pose": f["pose"].astype(np.float64)},
    "bytes": lambda f: {**f, "picture": (f["picture"] * 255).astype(np.uint8)},
    "turned": lambda f: {**f, "picture": f["picture"].transpose(0, 1, 3, 2)},
    "flat": lambda f: {**f, "picture": f["picture"][0]},
    "empty": lambda _: {},
}


@pytest.mark.parametrize("how", MISFED)
def test_feeds_that_do_not_fit_are_one_clear_error(session: Session, how: str) -> None:
    with pytest.raises(EngineError) as caught:
        session.run(MISFED[how](feeds()))
    assert "\n" not in str(caught.value)
    assert "'picture' float32[?, 3, 12, 20]" in str(caught.value)
    assert session.run(feeds()), "it goes on"


def test_a_number_that_is_none_is_an_error(session: Session) -> None:
    broken = feeds()
    broken["pose"][0, 3] = np.nan
    if session.precision == "int8":  # quantising makes a number of it
        assert np.isfinite(session.run(broken)["drawn"]).all()
        return
    with pytest.raises(EngineError, match="holds NaN"):
        session.run(broken)


def test_it_can_be_used_from_another_thread(session: Session) -> None:
    made: list[Array] = []
    thread = threading.Thread(target=lambda: made.append(session.run(feeds())["drawn"]))
    thread.start()
    thread.join(timeout=60)
    np.testing.assert_allclose(made[0], session.run(feeds())["drawn"], atol=1e-6)


def test_warming_up_takes_any_shape_that_fits(session: Session) -> None:
    session.warm_up()
    session.warm_up({"picture": (2, 3, HEIGHT, WIDTH), "pose": (2, POSE)})
    with pytest.raises(EngineError, match="can't have the shape"):
        session.warm_up({"picture": (1, 4, HEIGHT, WIDTH)})


@pytest.fixture(params=HERE, ids=" ".join)
def fresh(
    request: pytest.FixtureRequest, forms: Forms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Session]:
    """With an example: for two pictures at a time."""
    monkeypatch.setitem(torch_engine.NETS, str(PLAN["net"]), ROW)
    engine, precision = request.param
    made = forms.open(engine, precision, tmp_path, example=feeds(2))
    yield made
    made.close()


def test_an_example_fixes_the_shapes(fresh: Session) -> None:
    assert [p.shape for p in fresh.inputs] == [(2, 3, HEIGHT, WIDTH), (2, POSE)]
    assert [p.shape for p in fresh.outputs] == [(2, 3, HEIGHT, WIDTH), (2, 8)]
    assert fresh.run(feeds(2))["drawn"].shape == (2, 3, HEIGHT, WIDTH)
    with pytest.raises(EngineError, match="was given float32"):
        fresh.run(feeds(1))


def test_closing_ends_it(fresh: Session) -> None:
    fresh.close()
    fresh.close()
    with pytest.raises(EngineError, match="closed"):
        fresh.run(feeds(2))


@pytest.mark.parametrize("engine", ["ort", "openvino"])
def test_a_file_that_only_looks_like_a_network_is_one_clear_error(engine: EngineName, tmp_path: Path) -> None:
    model = make_model()
    model.graph.node[0].op_type = "Convolute"
    path = tmp_path / "odd.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EngineError) as caught:
        open_session(path, engine, "fp32", 1, cache=tmp_path)
    assert "\n" not in str(caught.value)
    assert "odd.onnx" in str(caught.value)


DAMAGE = {
    "plan of no net": ("plan.json", b'{"net": "elsewhere"}'),
    "plan of nothing": ("plan.json", b"[]"),
    "plan cut short": ("plan.json", b'{"net": "sma'),
    "weights of nothing": ("weights.safetensors", b""),
    "weights cut short": ("weights.safetensors", b"\x40\x00\x00\x00\x00\x00\x00\x00{"),
    "weights of a pickle": ("weights.safetensors", b"\x80\x02}q\x00."),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_folder_is_one_clear_error(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(torch_engine.NETS, str(PLAN["net"]), ROW)
    folder = write_folder(tmp_path / "net")
    name, content = DAMAGE[how]
    (folder / name).write_bytes(content)
    with pytest.raises(EngineError) as caught:
        open_session(folder, threads=1, cache=tmp_path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_weights_of_another_plan_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(torch_engine.NETS, str(PLAN["net"]), ROW)
    folder = write_folder(tmp_path / "net")
    (folder / "plan.json").write_text('{"net": "small", "channels": 9}')
    with pytest.raises(EngineError, match=r"weights\.safetensors can't be loaded"):
        open_session(folder, threads=1, cache=tmp_path)


def test_nothing_heavy_is_imported_early_and_nothing_that_reports_home(forms: Forms, tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from vcam_talker.inference import open_session
heavy = {{"onnxruntime", "openvino", "torch", "onnx"}}
print(sorted(heavy & set(sys.modules)))
open_session(Path({str(forms.exact)!r}), "openvino", "fp32", 1, cache=Path({str(tmp_path)!r}))
print(sorted(m for m in sys.modules if m == "torch" or "openvino_telemetry" in m))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.splitlines() == ["[]", "[]"]


def test_onnx_runtime_keeps_no_device_id_and_reports_nothing(forms: Forms, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from vcam_talker.inference import open_session
open_session(Path({str(forms.exact)!r}), "ort", "fp32", 1, cache=Path({str(tmp_path / "cache")!r})).warm_up()
"""
    home = tmp_path / "home"
    home.mkdir()
    env = {k: v for k, v in os.environ.items() if "TELEMETRY" not in k and not k.startswith("XDG_")}
    subprocess.run([sys.executable, "-c", code], env={**env, "HOME": str(home)}, timeout=120, check=True)
    assert list(home.rglob("*")) == []


def test_a_pruned_wav2lip_runs_from_its_folder(tmp_path: Path) -> None:
    """Names and shapes in the torch engine's table are those of the real network."""
    import torch

    from vcam_talker.nets.checkpoint import save_tensors
    from vcam_talker.nets.wav2lip import Wav2Lip
    from vcam_talker.nets.wav2lip_layers import dense_channels

    torch.manual_seed(1)
    net = Wav2Lip(96, dict.fromkeys(dense_channels(96), 8)).eval()
    save_tensors(net, tmp_path / "weights.safetensors")
    (tmp_path / "plan.json").write_text(json.dumps(net.plan()))
    session = open_session(tmp_path, threads=1, cache=tmp_path)
    assert [(p.name, p.shape) for p in session.inputs] == [
        ("mel", (None, 1, 80, 16)),
        ("face", (None, 6, 96, 96)),
    ]
    assert [(p.name, p.shape) for p in session.outputs] == [("picture", (None, 3, 96, 96))]
    given = noise(session.inputs)
    with torch.inference_mode():
        wanted = net(*(torch.from_numpy(array) for array in given.values())).numpy()
    np.testing.assert_allclose(session.run(given)["picture"], wanted, atol=1e-6)


def test_a_net_for_lips_runs_from_its_folder(tmp_path: Path) -> None:
    from vcam_talker.nets.checkpoint import save_tensors
    from vcam_talker.nets.lips import TEACHER, LipsNet, LipsPlan

    net = LipsNet(LipsPlan(dict.fromkeys(TEACHER, 8))).eval()
    save_tensors(net, tmp_path / "weights.safetensors")
    (tmp_path / "plan.json").write_text(json.dumps(net.plan()))
    session = open_session(tmp_path, threads=1, cache=tmp_path)
    assert [p.name for p in session.inputs] == ["rest", "other", "pose"]
    assert [(p.name, p.shape) for p in session.outputs] == [
        ("flow", (None, 4, 48, 64)),
        ("shade", (None, 3, 48, 64)),
        ("alpha", (None, 8, 48, 64)),
        ("paint", (None, 12, 48, 64)),
    ]


@pytest.mark.parametrize(
    "plan",
    [
        {"net": "wav2lip"},
        {"format": 1, "net": "wav2lip", "size": 97, "channels": {}},
        {"net": "lips", "channels": []},
    ],
    ids=str,
)
def test_a_plan_of_another_kind_is_one_clear_error(tmp_path: Path, plan: dict[str, object]) -> None:
    folder = write_folder(tmp_path / "net")
    (folder / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(EngineError, match=r"plan\.json") as caught:
        open_session(folder, threads=1, cache=tmp_path)
    assert "\n" not in str(caught.value)


def test_auto_measures_once_and_takes_one_that_agrees(forms: Forms, tmp_path: Path) -> None:
    first = open_session(forms.exact, threads=1, variants=[forms.int8], cache=tmp_path)
    made = first.run(feeds())
    exact = open_session(forms.exact, "ort", "fp32", 1, cache=tmp_path).run(feeds())
    assert deviation(made, exact) <= TOLERANCE[first.precision]

    def measured_again(*_: object) -> int:
        raise AssertionError

    again = open_session(forms.exact, threads=1, variants=[forms.int8], cache=tmp_path, run=measured_again)
    assert (again.engine, again.precision) == (first.engine, first.precision)


def test_a_form_that_is_another_network_is_never_taken(
    forms: Forms, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = write_int8(tmp_path / "other.onnx", write_onnx(tmp_path / "source.onnx", seed=2))
    caplog.clear()
    session = open_session(forms.exact, threads=1, variants=[other], cache=tmp_path / "cache")
    assert session.precision != "int8"
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1
    assert "results are wrong" in caplog.text
