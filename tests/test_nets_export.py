"""Networks as ONNX files and folders: equal to torch, whole or absent, quantised with a known loss."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor, nn

from tests.support.wav2lip_nets import inputs, net
from vcam_talker.cli import main
from vcam_talker.face.neural.package import load_package
from vcam_talker.nets import export
from vcam_talker.nets.checkpoint import load_wav2lip
from vcam_talker.nets.export import ExportError, Part, export_folder, export_module
from vcam_talker.nets.plan import plan_hash
from vcam_talker.nets.quantise import quantise, sensitivity
from vcam_talker.nets.quantise_graph import QuantiseError, layer_names
from vcam_talker.nets.variants import add_variants
from vcam_talker.nets.wav2lip import Wav2Lip
from vcam_talker.nets.wav2lip_layers import scaled_channels

pytestmark = pytest.mark.real

Array = npt.NDArray[Any]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run(path: Path, **feeds: Tensor | Array) -> list[Array]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: list[Array] = session.run(None, {n: np.asarray(x) for n, x in feeds.items()})
    return found


class Small(nn.Module):
    """Two inputs, two outputs, a batch norm apart from its convolution's Sequential, a resize."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.mouth = nn.Linear(4, 8)
        self.head = nn.Conv2d(8, 3, 1)
        with torch.no_grad():
            self.norm.running_mean = torch.randn(8)
            self.norm.running_var = torch.rand(8) + 0.5

    def forward(self, picture: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.norm(self.conv(picture)) + self.mouth(pose)[:, :, None, None])
        x = torch.relu(self.second(nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")))
        return torch.sigmoid(self.head(x)), x.mean((2, 3))


def small_inputs(count: int = 1) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(2)
    return torch.rand(count, 3, 10, 12, generator=g), torch.rand(count, 4, generator=g)


def export_small(path: Path, module: nn.Module | None = None, **options: Any) -> float:
    return export_module(
        module or Small(), small_inputs(), ["picture", "pose"], ["out", "mean"], path, **options
    )


@pytest.fixture(scope="module")
def generator() -> Wav2Lip:
    """A narrow one with few residual blocks: tracing takes as long as a network is deep."""
    channels = scaled_channels(96, 1 / 16)
    absent = {n for n in channels if n.startswith("face") and n[-1] in "23"}
    return net(96, channels | dict.fromkeys(absent, 0))


@pytest.fixture(scope="module")
def folder(generator: Wav2Lip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `vcam-talker models lips import` makes of a checkpoint as people have them."""
    place = tmp_path_factory.mktemp("models")
    state = {f"module.{n}": t for n, t in generator.state_dict().items()}
    torch.save({"state_dict": state, "global_step": 3}, place / "narrow.pth")
    (place / "narrow.json").write_text(json.dumps(generator.plan()))
    done = lips_import(place / "narrow.pth", "--plan", place / "narrow.json", "--out", place / "narrow")
    assert done.exit_code == 0, done.output
    assert "M parameters, 96x96 pixels" in done.output
    assert f'model = "{place / "narrow"}"' in done.output
    assert sorted(p.name for p in place.iterdir()) == ["narrow", "narrow.json", "narrow.pth"]
    return place / "narrow"


def lips_import(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["models", "lips", "import", *map(str, arguments)])


def test_a_wrong_import_is_one_line(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = folder.with_suffix(".pth")
    plan = tmp_path / "plan.json"

    def told(*arguments: str | Path) -> tuple[int, str]:
        done = lips_import(*arguments)
        assert done.output.startswith("error: ")
        assert done.output.count("\n") == 1
        return done.exit_code, done.output

    code, line = told(checkpoint, "--out", folder)
    assert (code, "is there already" in line) == (7, True)
    code, line = told(tmp_path / "absent.pth", "--out", tmp_path / "x")
    assert (code, "there is no such file" in line) == (7, True)
    code, line = told(checkpoint, "--out", tmp_path / "x")  # without its plan
    assert (code, "a pruned one needs its plan" in line) == (7, True)
    for content, why in ((b"{", "is no JSON"), (b"[1]", "is no JSON object"), (b"{}", "is format 'None'")):
        plan.write_bytes(content)
        code, line = told(checkpoint, "--plan", plan, "--out", tmp_path / "x")
        assert (code, why in line) == (7, True)
    code, line = told(checkpoint, "--plan", tmp_path / "absent.json", "--out", tmp_path / "x")
    assert (code, "can't be read" in line) == (7, True)
    monkeypatch.setitem(sys.modules, "vcam_talker.nets.checkpoint", None)
    code, line = told(checkpoint, "--out", tmp_path / "x")
    assert (code, "vcam-talker[prune]" in line) == (8, True)
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]


def test_a_generator_s_parts_together_are_its_lower_half(folder: Path, generator: Wav2Lip) -> None:
    mel, face = inputs(96, 2)
    with torch.inference_mode():
        expected = generator(mel, face)[:, :, 48:].numpy()
    (code,) = run(folder / "sound.onnx", mel=mel)
    features = {f"feature_{i}": x for i, x in enumerate(run(folder / "face.onnx", face=face))}
    (lower,) = run(folder / "mouth.onnx", code=code, **features)
    assert lower.shape == (2, 3, 48, 96)
    assert expected.std() > 0.03
    np.testing.assert_allclose(lower, expected, atol=1e-4)


def test_the_folder_is_one_that_the_daemon_reads(folder: Path, generator: Wav2Lip) -> None:
    assert sorted(p.name for p in folder.iterdir()) == [
        "face.onnx",
        "model.json",
        "mouth.onnx",
        "plan.json",
        "sound.onnx",
        "weights.safetensors",
    ]
    package = load_package(folder)
    assert (package.spec.kind, package.spec.condition, package.spec.label) == (
        "wav2lip",
        "mel",
        "narrow",
    )
    assert package.spec.size == (96, 96)
    assert package.spec.plan == plan_hash(generator.plan())
    for name in ("sound", "face", "mouth"):
        assert package.network(name) == (folder / f"{name}.onnx", ())
    told = json.loads((folder / "model.json").read_text())
    content = (folder / "mouth.onnx").read_bytes()
    assert told["parts"]["mouth"]["sha256"] == hashlib.sha256(content).hexdigest()
    again = load_wav2lip(folder / "weights.safetensors", json.loads((folder / "plan.json").read_text()))
    mel, face = inputs(96)
    with torch.inference_mode():
        torch.testing.assert_close(again(mel, face), generator(mel, face), rtol=0, atol=0)


def test_nothing_is_left_for_the_engines_to_fold(folder: Path) -> None:
    graph = onnx.load(str(folder / "mouth.onnx")).graph
    kinds = {n.op_type for n in graph.node}
    assert kinds <= {"Conv", "ConvTranspose", "Relu", "Add", "Concat", "Slice", "Sigmoid"}
    assert [i.type.tensor_type.shape.dim[0].dim_param for i in graph.input] == ["batch"] * len(graph.input)
    assert layer_names(folder / "mouth.onnx")[-1] == "net.output_block.1"


def test_files_tell_nothing_of_the_machine_that_made_them(folder: Path) -> None:
    here = [
        str(Path(torch.__file__).parent.parent),
        str(Path(export.__file__).parents[2]),
        str(Path.home()),
    ]
    for file in folder.iterdir():
        content = file.read_bytes()
        assert not [place for place in here if place.encode() in content], file.name


def test_any_module_can_be_written(tmp_path: Path) -> None:
    module = Small().train()
    assert export_small(tmp_path / "net.onnx", module) <= 1e-4
    assert module.training
    assert isinstance(module.norm, nn.BatchNorm2d)
    picture, pose = small_inputs(5)
    with torch.inference_mode():
        expected = module.eval()(picture, pose)
    for found, one in zip(run(tmp_path / "net.onnx", picture=picture, pose=pose), expected, strict=True):
        np.testing.assert_allclose(found, one.numpy(), atol=1e-4)
    model = onnx.load(str(tmp_path / "net.onnx"))
    assert [o.name for o in model.graph.output] == ["out", "mean"]
    assert [o.version for o in model.opset_import if not o.domain] == [export.OPSET]


def test_a_fixed_batch_stays_fixed(tmp_path: Path) -> None:
    export_small(tmp_path / "net.onnx", dynamic_batch=False)
    shapes = [
        [d.dim_value for d in i.type.tensor_type.shape.dim]
        for i in onnx.load(str(tmp_path / "net.onnx")).graph.input
    ]
    assert shapes == [[1, 3, 10, 12], [1, 4]]


def test_what_computes_otherwise_is_not_written(tmp_path: Path) -> None:
    class Restless(Small):
        """Computes otherwise while it is exported."""

        def forward(self, picture: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
            drift = 0.0 if torch.compiler.is_exporting() else 0.5
            out, mean = super().forward(picture, pose)
            return out + drift, mean

    with pytest.raises(ExportError, match=r"differs by [\d.e+-]+ in ONNX Runtime"):
        export_small(tmp_path / "net.onnx", Restless())
    assert list(tmp_path.iterdir()) == []
    part = Part(Restless(), dict(zip(["picture", "pose"], small_inputs(), strict=True)), ["out", "mean"])
    with pytest.raises(ExportError, match="differs by"):
        export_folder(tmp_path / "model", {"kind": "pose"}, {"mouth": part})
    assert list(tmp_path.iterdir()) == []


def test_what_gives_no_numbers_is_not_written(tmp_path: Path) -> None:
    module = Small()
    with torch.no_grad():
        module.head.weight.fill_(float("nan"))
    with pytest.raises(ExportError, match="differs by inf"):
        export_small(tmp_path / "net.onnx", module)
    assert list(tmp_path.iterdir()) == []


def test_what_can_t_be_traced_is_one_clear_error(tmp_path: Path) -> None:
    class Undecided(Small):
        def forward(self, picture: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
            return super().forward(picture if picture.sum() > 3 else -picture, pose)

    with pytest.raises(ExportError, match="can't be written") as error:
        export_small(tmp_path / "net.onnx", Undecided())
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    parts = {
        "mouth": Part(Small(), dict(zip(["picture", "pose"], small_inputs(), strict=True)), ["out", "mean"])
    }
    model = tmp_path / "model"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    export_folder(model, {"label": "one"}, parts)
    (model / "left.over").touch()
    with pytest.raises(ExportError, match="is there already"):
        export_folder(model, {"label": "two"}, parts)
    with pytest.raises(ExportError, match="is there already"):
        export_folder(tmp_path / "mine", {"label": "two"}, parts, replace=True)
    assert json.loads((model / "model.json").read_text())["label"] == "one"
    export_folder(model, {"label": "two"}, parts, replace=True)
    assert json.loads((model / "model.json").read_text())["label"] == "two"
    assert sorted(p.name for p in model.iterdir()) == ["model.json", "mouth.onnx"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "model"]
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


class KilledError(BaseException):
    """While a folder is put in its place."""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> dict[str, Part]:
    """Return parts that are written without being traced."""

    def write(_module: object, _examples: object, _inputs: object, _outputs: object, path: Path) -> float:
        path.write_bytes(b"network")
        return 0.0

    monkeypatch.setattr(export, "export_module", write)
    return {"mouth": Part(nn.Identity(), {}, ["out"])}


def kill_at(patch: pytest.MonkeyPatch, step: str) -> None:
    """Let it be as after SIGKILL, when nothing more is cleared up."""
    put_in_place = Path.replace

    def stop(path: Path, to: Path) -> Path:
        moved = path.name.endswith(".part") and to.name == "model"
        if (step == "writing" and to.name == "model.json") or (step == "between the names" and moved):
            raise KilledError
        put_in_place(path, to)
        if step == "at the end" and moved:
            raise KilledError
        return to

    patch.setattr(Path, "replace", stop)
    patch.setattr(shutil, "rmtree", lambda *_, **__: None)


def label(model: Path) -> str:
    return str(json.loads((model / "model.json").read_text())["label"])


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("step", ["writing", "between the names", "at the end"])
def test_a_model_is_never_lost_whenever_it_is_killed(
    quick: dict[str, Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, replace: bool
) -> None:
    model = tmp_path / "model"
    export_folder(model, {"label": "one"}, quick)
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with pytest.raises(KilledError):
            export_folder(model, {"label": "two"}, quick, replace=True)
    assert model.exists() == (step != "between the names")
    if replace:
        export_folder(model, {"label": "three"}, quick, replace=True)
    else:
        with pytest.raises(ExportError, match="is there already"):
            export_folder(model, {"label": "three"}, quick)
    assert label(model) == ("three" if replace else "two" if step == "at the end" else "one")
    for half in tmp_path.glob(".model.*.part"):
        os.utime(half, (time.time() - 7200,) * 2)
    export_folder(model, {"label": "four"}, quick, replace=True)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_what_is_half_removed_is_not_put_back(
    quick: dict[str, Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    export_folder(model, {"label": "one"}, quick)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        export_folder(model, {"label": "two"}, quick, replace=True)
    shutil.rmtree(model)
    export_folder(model, {"label": "three"}, quick)
    assert (label(model), [p.name for p in tmp_path.iterdir()]) == ("three", ["model"])


def test_halves_of_others_stay(quick: dict[str, Part], tmp_path: Path) -> None:
    young = {f".model.{os.getpid()}.part", ".model.0123abcd.part"}
    others = {".notes.part", ".model.part", ".model.a.1.part", ".models.1.part", "model.1.old"}
    for name in (*young, *others, ".model.7.part", ".model.89abcdef.part", ".model.7.old"):
        (tmp_path / name).mkdir()
        if name not in young:
            os.utime(tmp_path / name, (0, 0))
    export_folder(tmp_path / "model", {"label": "one"}, quick)
    assert {p.name for p in tmp_path.iterdir()} == {"model", *young, *others}


def test_an_old_model_stays_while_something_else_has_its_name(quick: dict[str, Part], tmp_path: Path) -> None:
    export_folder(tmp_path / ".model.7.old", {"label": "one"}, quick)
    (tmp_path / "model").mkdir()
    for place in (".model.7.old", "model"):
        with pytest.raises(ExportError, match="is there already"):
            export_folder(tmp_path / "model", {"label": "two"}, quick, replace=place != "model")
        assert label(tmp_path / place) == "one"
        if place != "model":
            (tmp_path / "model").rmdir()


def test_a_link_is_replaced_and_what_it_leads_to_is_left(quick: dict[str, Part], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    model, other = tmp_path / "model", tmp_path / "elsewhere" / "other"
    export_folder(other, {"label": "one"}, quick)
    model.symlink_to(other)
    export_folder(model, {"label": "two"}, quick, replace=True)
    assert (label(model), label(other), model.is_symlink()) == ("two", "one", False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["elsewhere", "model"]


@pytest.mark.parametrize("replace", [True, False])
def test_a_folder_gets_its_name_when_all_of_it_is_on_the_disk(
    quick: dict[str, Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    model = tmp_path / "model"
    if replace:
        export_folder(model, {"label": "one"}, quick)
    synced: list[int] = []
    missing: list[str] = []
    sync, put_in_place = os.fsync, Path.replace

    def note(handle: int) -> None:
        sync(handle)
        synced.append(os.fstat(handle).st_ino)

    def look(path: Path, to: Path) -> Path:
        if to == model:
            missing.extend(p.name for p in (path, *path.iterdir()) if p.stat().st_ino not in synced)
            synced.clear()
        return put_in_place(path, to)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Path, "replace", look)
    export_folder(model, {"label": "two"}, quick, net=nn.Linear(2, 2), plan={"a": 1}, replace=replace)
    assert len(list(model.iterdir())) == 4
    assert not missing
    assert synced == [tmp_path.stat().st_ino], "and the names after it"


def batches(folder: Path, count: int = 6) -> Sequence[dict[str, Array]]:
    """Return feeds of `mouth.onnx`, as sound and face give them."""
    g = torch.Generator().manual_seed(11)
    found = []
    for _ in range(count):
        mel = torch.rand(1, 1, 80, 16, generator=g) * 8 - 4
        face = nn.functional.interpolate(torch.rand(1, 6, 8, 8, generator=g), (96, 96), mode="bilinear")
        features = run(folder / "face.onnx", face=face)
        found.append(
            {"code": run(folder / "sound.onnx", mel=mel)[0]}
            | {f"feature_{i}": x for i, x in enumerate(features)}
        )
    return found


def test_int8_is_small_and_close_and_its_ends_are_float(folder: Path, tmp_path: Path) -> None:
    fed = batches(folder)
    source = folder / "mouth.onnx"
    done = quantise(source, fed, out=tmp_path / "mouth.int8.onnx")
    assert done.path == tmp_path / "mouth.int8.onnx"
    assert done.in_float == ("net.face_decoder_blocks.0.0.conv_block.0", "net.output_block.1")
    assert 0 < done.error < 0.1
    assert done.greatest < 0.3
    for feeds in fed[:2]:
        found, exact = run(done.path, **feeds)[0], run(source, **feeds)[0]
        assert np.abs(found - exact).max() <= done.greatest
    graph = onnx.load(str(done.path)).graph
    makers = {o: n for n in graph.node for o in n.output}
    for node in graph.node:
        if node.op_type in {"Conv", "ConvTranspose"}:
            weights = makers.get(node.input[1])
            assert (weights is None) == (node.name in done.in_float), node.name
            assert weights is None or weights.op_type == "DequantizeLinear"
    # Behind a convolution in 8 bits the ReLU is in the quantisation; the only one left is the float layer's.
    assert sum(n.op_type == "Relu" for n in graph.node) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["mouth.int8.onnx"]


def test_what_is_kept_in_float_is_chosen_by_a_scan(folder: Path, tmp_path: Path) -> None:
    fed = batches(folder, 2)
    source = folder / "mouth.onnx"
    scan = sensitivity(source, fed)
    assert sorted(n for n, _ in scan) == sorted(layer_names(source))
    assert [e for _, e in scan] == sorted((e for _, e in scan), reverse=True)
    worst = [n for n, _ in scan[:6]]
    plain = quantise(source, fed, out=tmp_path / "plain.onnx")
    kept = quantise(source, fed, worst, out=tmp_path / "kept.onnx")
    assert set(worst) <= set(kept.in_float)
    assert kept.error < plain.error
    everything = quantise(source, fed, keep_ends=False, out=tmp_path / "all.onnx")
    assert everything.in_float == ()


def test_a_quantised_part_is_a_variant_of_its_folder(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(folder, model)
    done = quantise(model / "mouth.onnx", batches(folder, 2), out=tmp_path / "mouth.int8.onnx")
    placed = add_variants(model, {"mouth": done.path})["mouth"]
    assert load_package(model).network("mouth") == (model / "mouth.onnx", (placed,))
    assert {p.name for p in model.iterdir()} - {p.name for p in folder.iterdir()} == {placed.name}


def test_wrong_orders_to_quantise(folder: Path, tmp_path: Path) -> None:
    source = folder / "mouth.onnx"
    fed = batches(folder, 1)
    target = tmp_path / "out.onnx"
    with pytest.raises(QuantiseError, match=r"no layer is called '\*teeth\*'"):
        quantise(source, fed, ["*teeth*"], out=target)
    with pytest.raises(QuantiseError, match="every layer is to stay in float"):
        quantise(source, fed, ["*"], out=target)
    with pytest.raises(QuantiseError, match="nothing to calibrate on"):
        quantise(source, [], out=target)
    with pytest.raises(QuantiseError, match="failed"):
        quantise(source, [{"wrong": np.zeros(1, np.float32)}], out=target)
    (tmp_path / "text.onnx").write_text("no network at all")
    with pytest.raises(QuantiseError, match="is no ONNX file"):
        quantise(tmp_path / "text.onnx", fed)
    with pytest.raises(QuantiseError, match="can't be read"):
        quantise(tmp_path / "absent.onnx", fed)
    assert [p.name for p in tmp_path.iterdir()] == ["text.onnx"]
