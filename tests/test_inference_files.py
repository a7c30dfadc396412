"""ONNX files that are damaged or point elsewhere; what is read from whole ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from tests.support.small_net import make_model, write_folder, write_int8, write_onnx
from vcam_talker.core.errors import EngineError
from vcam_talker.inference.model import find_model
from vcam_talker.inference.onnx_file import look_through

pytestmark = pytest.mark.unit

WHOLE = make_model().SerializeToString()


def fault(path: Path) -> str:
    with pytest.raises(EngineError) as caught:
        look_through(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return caught.value.why


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def with_external_weights(path: Path, location: str) -> Path:
    model = make_model()
    tensor = model.graph.initializer[1]
    (path.parent / "there.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return write(path, model.SerializeToString())


def test_a_whole_file_tells_names_format_and_hash(tmp_path: Path) -> None:
    found = look_through(write_onnx(tmp_path / "net.onnx"))
    assert found.inputs == ("picture", "pose")
    assert found.outputs == ("drawn", "shares")
    assert found.precision == "fp32"
    assert found.sha256 == look_through(write_onnx(tmp_path / "same.onnx")).sha256
    assert found.sha256 != look_through(write_onnx(tmp_path / "other.onnx", seed=2)).sha256


def test_number_formats_are_told_apart(tmp_path: Path) -> None:
    exact = write_onnx(tmp_path / "net.onnx")
    assert look_through(write_int8(tmp_path / "int8.onnx", exact)).precision == "int8"
    assert look_through(write_onnx(tmp_path / "half.onnx", half=True)).precision == "fp16"


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    # What follows the graph is the version of the operators: without it the structure is whole.
    for length in range(0, len(WHOLE) - 40, 41):
        assert "is no ONNX file" in fault(write(tmp_path / "net.onnx", WHOLE[:length]))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\xff" * 64,
        b"a letter to the reader, of no use to a network",
        b"\x08\x08",
        b"\x80\x02}q\0.",
    ],
    ids=["empty", "zero", "ones", "text", "version only", "pickle"],
)
def test_what_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "is no ONNX file" in fault(write(tmp_path / "net.onnx", content))


@given(st.binary(max_size=400), st.integers(0, len(WHOLE)))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_end_in_a_file_or_one_error(tmp_path: Path, content: bytes, place: int) -> None:
    path = write(tmp_path / "net.onnx", WHOLE[:place] + content + WHOLE[place + len(content) :])
    try:
        look_through(path)
    except EngineError as e:
        assert "\n" not in str(e)  # noqa: PT017


def test_nesting_without_an_end_is_refused(tmp_path: Path) -> None:
    graph = helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "g", [], [])
    for _ in range(15):
        graph = helper.make_graph([helper.make_node("If", ["c"], ["b"], then_branch=graph)], "g", [], [])
    path = write(tmp_path / "net.onnx", helper.make_model(graph).SerializeToString())
    assert "nested too deeply" in fault(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert fault(tmp_path / "net.onnx") == "there is no such file"


def test_weights_in_the_models_folder_count_to_it(tmp_path: Path) -> None:
    path = with_external_weights(tmp_path / "net.onnx", "there.bin")
    before = look_through(path).sha256
    (tmp_path / "there.bin").write_bytes(b"other weights")
    assert look_through(path).sha256 != before


@pytest.mark.parametrize(
    "location", ["../there.bin", "/etc/hostname", "sub/../../there.bin", "link.bin", "", "."]
)
def test_weights_from_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "there.bin").write_bytes(b"secret")
    (folder / "link.bin").symlink_to(tmp_path / "there.bin")
    why = fault(with_external_weights(folder / "net.onnx", location))
    assert "outside its folder" in why or "lacks the file" in why


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    assert "'gone.bin'" in fault(with_external_weights(tmp_path / "net.onnx", "gone.bin"))


def test_weights_hidden_in_a_branch_are_found(tmp_path: Path) -> None:
    """In a constant of a branch of an If: neither stands in the graph's list of weights."""
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "hidden")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../secret"
    branch = helper.make_graph([helper.make_node("Constant", [], ["b"], value=tensor)], "branch", [], [])
    graph = helper.make_graph([helper.make_node("If", ["c"], ["b"], then_branch=branch)], "g", [], [])
    path = write(tmp_path / "net.onnx", helper.make_model(graph).SerializeToString())
    assert "outside its folder" in fault(path)


def test_forms_of_one_network_are_collected(tmp_path: Path) -> None:
    exact = write_onnx(tmp_path / "net.onnx")
    int8 = write_int8(tmp_path / "int8.onnx", exact)
    folder = write_folder(tmp_path / "torch")
    model = find_model(exact, [int8, folder])
    assert model.forms == ["ONNX in fp32", "ONNX in int8", "plan and weights"]
    assert model.sha256 == find_model(exact, [folder, int8]).sha256
    assert model.sha256 != find_model(exact, [int8]).sha256


def test_a_folder_needs_both_of_its_files(tmp_path: Path) -> None:
    (write_folder(tmp_path / "torch") / "plan.json").unlink()
    with pytest.raises(EngineError, match=r"lacks plan\.json"):
        find_model(tmp_path / "torch")
