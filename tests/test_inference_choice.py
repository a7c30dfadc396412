"""Which engine is taken, what is remembered of it, and what is said when one is missing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.engines_world import (
    BF16,
    ORT,
    OV,
    OV_BF16,
    PROCESSOR,
    FakeRunner,
    World,
    net,
    start,
    warnings,
    world,
)
from tests.support.small_net import write_folder, write_onnx
from vcam_talker.core.errors import EngineError
from vcam_talker.inference import Session, candidates, engines, open_session, opening
from vcam_talker.inference.candidates import Measured, ranked
from vcam_talker.inference.choice import Answer, Question, recall, recall_all, remember
from vcam_talker.inference.model import Request, find_model
from vcam_talker.inference.processor import Processor
from vcam_talker.inference.session import Runner

__all__ = ["net", "start", "world"]
pytestmark = pytest.mark.unit


def test_the_fastest_is_taken_and_remembered(
    world: World, start: Callable[..., Session], caplog: pytest.LogCaptureFixture
) -> None:
    world.results = {"openvino fp32": (5.0, ""), "openvino bf16": (2.0, "")}
    session = start()
    assert (session.engine, session.precision) == ("openvino", "bf16")
    assert not warnings(caplog)
    assert start().precision == "bf16"
    assert len(world.measured) == 1


def test_what_a_choice_depends_on_makes_it_measured_again(
    world: World, start: Callable[..., Session], tmp_path: Path
) -> None:
    start()
    start(threads=2)
    start(processor=Processor("Other", BF16.flags, 4))
    start(model=write_onnx(tmp_path / "other.onnx", seed=2))
    world.installed["openvino"] = "2.1"
    start()
    assert len(world.measured) == 5
    start()
    assert len(world.measured) == 5


def test_nearly_as_fast_and_more_exact_wins() -> None:
    measured = [Measured(ORT, 1.08), Measured(OV_BF16, 1.0), Measured(OV, 3.0)]
    assert ranked(measured) == [ORT, OV_BF16, OV]
    assert ranked([Measured(ORT, 1.2), Measured(OV_BF16, 1.0)]) == [OV_BF16, ORT]
    assert ranked([Measured(ORT, 1.0, fault="wrong"), Measured(OV, 9.0)]) == [OV]
    assert ranked([]) == []


def test_an_engine_that_is_not_installed_is_replaced_with_one_line(
    world: World, start: Callable[..., Session], caplog: pytest.LogCaptureFixture
) -> None:
    del world.installed["openvino"]
    assert start("openvino").engine == "ort"
    (line,) = warnings(caplog)
    assert "engine 'openvino': needs openvino, which is not installed" in line
    assert "vcam-talker[openvino]" in line
    assert "with ort fp32" in line


@pytest.mark.parametrize(("engine", "word"), [("cuda", "vcam-talker[gpu]"), ("tensorrt", "vcam-talker[gpu]")])
def test_a_gpu_that_is_not_there_is_replaced_with_one_line(
    world: World, start: Callable[..., Session], caplog: pytest.LogCaptureFixture, engine: str, word: str
) -> None:
    assert start(engine).engine == "ort"
    assert word in warnings(caplog)[0]
    world.installed["onnxruntime-gpu"] = "1.0"
    assert start(engine).engine == "ort"
    assert warnings(caplog) == [
        line
        for line in warnings(caplog)
        if line.startswith(f"engine '{engine}': there is no NVIDIA GPU here")
    ]


def test_a_gpu_that_is_there_is_a_candidate(world: World, start: Callable[..., Session]) -> None:
    world.installed["onnxruntime-gpu"], world.gpu = "1.0", "Test GPU"
    world.results = {"tensorrt fp16": (0.5, ""), "cuda fp32": (1.0, "")}
    assert start().engine == "tensorrt"
    assert {c.engine for c in world.measured[0]} == {"ort", "openvino", "cuda", "tensorrt"}


def test_an_engine_that_fails_is_replaced_with_one_line(
    world: World, start: Callable[..., Session], caplog: pytest.LogCaptureFixture
) -> None:
    world.broken = {"openvino bf16"}
    world.results = {"openvino fp32": (5.0, ""), "openvino bf16": (2.0, "")}
    session = start()
    assert (session.engine, session.precision) == ("openvino", "fp32")
    (line,) = warnings(caplog)
    assert "can't start here. Mend it" in line
    start()
    assert len(world.measured) == 2, "what did not work is not relied upon again"


@pytest.mark.usefixtures("world")
def test_one_that_fails_only_on_its_first_run_is_replaced(
    start: Callable[..., Session],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad = FakeRunner(float("nan"))
    monkeypatch.setattr(bad, "run", lambda _feeds: {"y": np.full((1, 3), np.nan, np.float32)})

    def open_it(row: engines.Engine, _request: Request) -> Runner:
        return bad if row.name == "openvino" else FakeRunner()

    monkeypatch.setattr(engines.Engine, "open", open_it)
    assert start("openvino", "fp32").engine == "ort"
    (line,) = warnings(caplog)
    assert "output 'y' holds NaN" in line


def test_wrong_results_are_told_once_and_never_taken(
    world: World, start: Callable[..., Session], caplog: pytest.LogCaptureFixture
) -> None:
    world.results = {"openvino bf16": (0.1, "its results are wrong"), "openvino fp32": (5.0, "")}
    assert start().precision == "fp32"
    assert len(warnings(caplog)) == 1
    assert start().precision == "fp32"
    assert not warnings(caplog)


def test_a_number_format_that_nobody_has_is_replaced_with_one_line(
    world: World, start: Callable[..., Session], caplog: pytest.LogCaptureFixture
) -> None:
    assert start(precision="int8").precision == "fp32"
    assert "precision 'int8': no engine computes in it here" in warnings(caplog)[0]
    assert start("openvino", "bf16", processor=PROCESSOR).precision == "fp32"
    assert "engine 'openvino' in bf16: can't run" in warnings(caplog)[0] or "bf16" in warnings(caplog)[0]
    assert world.opened


def test_what_is_named_is_opened_without_measuring(world: World, start: Callable[..., Session]) -> None:
    assert start("openvino", "bf16").precision == "bf16"
    assert start("ort").engine == "ort"
    assert not world.measured


def test_torch_is_a_candidate_only_alone(world: World, start: Callable[..., Session], tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "torch")
    start(variants=[folder])
    assert "torch" not in {c.engine for c in world.measured[0]}
    assert start("torch", variants=[folder]).engine == "torch"
    assert start(model=folder).engine == "torch"


def test_nothing_installed_is_one_error_with_a_remedy(
    world: World, start: Callable[..., Session], tmp_path: Path
) -> None:
    world.installed.clear()
    with pytest.raises(EngineError, match="needs ONNX Runtime or OpenVINO") as caught:
        start()
    assert "vcam-talker[lips]" in caught.value.remedy
    with pytest.raises(EngineError) as caught:
        start(model=write_folder(tmp_path / "torch"))
    assert "vcam-talker[prune]" in caught.value.remedy


def test_nothing_that_works_is_one_error(world: World, start: Callable[..., Session]) -> None:
    world.broken = {"ort fp32", "openvino fp32", "openvino bf16"}
    with pytest.raises(EngineError, match="no engine here can run it") as caught:
        start()
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("Mend it") == 2, "each fault is told once"


# What is remembered


@pytest.fixture
def question(net: Path) -> Question:
    return Question.about(find_model(net), [ORT, OV], 1, {"x": (1, 3)}, PROCESSOR)


def test_a_memory_is_read_back(question: Question, tmp_path: Path) -> None:
    measured = [Measured(ORT, 1.5, 0.0), Measured(OV, 0.5, 0.001, "wrong")]
    remember(tmp_path / "new", question, measured)
    assert recall(tmp_path / "new", question) == measured
    assert [file.suffix for file in (tmp_path / "new").iterdir()] == [".json"]
    (answer,) = recall_all(tmp_path / "new", PROCESSOR)
    assert (answer.question.name, answer.measured, answer.again_s) == (question.name, measured, None)
    assert recall_all(tmp_path / "new", BF16) == []


def age(folder: Path, hours: float) -> None:
    (file,) = folder.glob("*.json")
    at = time.time() - 3600 * hours
    os.utime(file, (at, at))


def test_what_fails_is_tried_again_ever_more_rarely(question: Question, tmp_path: Path) -> None:
    slow = [Measured(ORT, 1.5), Measured(OV, fault="takes too long", passing=True, tries=1)]
    for tries, days in enumerate((1, 2, 4, 8, 16, 16, 16), 1):
        remember(tmp_path, question, slow)
        age(tmp_path, 24 * days - 0.5)
        counted = [slow[0], replace(slow[1], tries=tries)]
        assert recall(tmp_path, question) == counted, "until then no start is slowed down by it"
        age(tmp_path, 24 * days + 0.5)
        assert recall(tmp_path, question) == []
        age(tmp_path, -24 * days - 0.5)
        assert recall(tmp_path, question) == [], "a clock that was put back keeps no fault"
    (answer,) = recall_all(tmp_path, PROCESSOR)
    assert answer.measured == counted, "it is still told of"
    remember(tmp_path, question, [Measured(ORT, 1.5), Measured(OV, 0.5)])
    age(tmp_path, 24 * 365)
    assert recall(tmp_path, question)
    remember(tmp_path, question, slow)
    age(tmp_path, 25)
    assert recall(tmp_path, question) == [], "the count begins anew"


def test_how_rarely_has_a_bound(question: Question) -> None:
    answer = Answer(question, [Measured(OV, fault="takes too long", tries=10**6)], 0.0)
    assert answer.again_s == 16 * 24 * 3600


def test_one_that_always_fails_does_not_put_off_one_that_failed_once(
    world: World, start: Callable[..., Session], tmp_path: Path
) -> None:
    """As when the GPU has no memory for a moment, on the day that another engine is tried in vain again."""
    never = {"openvino fp32": (0.0, "op not supported")}
    world.results, world.unmeasured = {**never, "openvino bf16": (1.0, "")}, set(never)
    for days in (1, 2, 4, 8):
        assert start().precision == "bf16"
        age(tmp_path / "cache", 24 * days + 0.5)
    world.results = {**never, "openvino bf16": (0.0, "out of memory")}
    world.unmeasured = set(world.results)
    assert start().precision == "bf16"
    assert len(world.measured) == 5
    assert start().precision == "bf16", "what worked is not given up for a moment's fault"
    world.broken = {"openvino bf16"}
    assert start().engine == "ort", "but when it can't be opened"
    world.broken, world.results = set(), {**never, "openvino bf16": (1.0, "")}
    world.unmeasured = set(never)
    assert start().precision == "bf16"


def test_wrong_results_are_remembered_for_good(question: Question, tmp_path: Path) -> None:
    measured = [Measured(ORT, 1.5), Measured(OV, 0.5, 0.3, "its results are wrong")]
    remember(tmp_path, question, measured)
    age(tmp_path, 24 * 365)
    assert recall(tmp_path, question) == measured


def test_one_that_was_too_slow_once_is_taken_when_it_is_not(
    world: World, start: Callable[..., Session], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world.results = {"openvino fp32": (0.0, "takes too long"), "openvino bf16": (0.0, "takes too long")}
    world.unmeasured = set(world.results)
    assert start().engine == "ort"
    assert "takes too long" in warnings(caplog)[0]
    world.results, world.unmeasured = {"openvino fp32": (1.0, "")}, set()
    assert start().engine == "ort"
    assert len(world.measured) == 1, "not at each start"
    age(tmp_path / "cache", 25)
    assert start().engine == "ort", "nobody waits for what failed"
    assert start().engine == "openvino", "it was measured beside, for the next time"
    assert len(world.measured) == 2
    assert not warnings(caplog)


def test_who_is_killed_while_measuring_again_does_not_begin_anew_at_every_start(
    world: World, start: Callable[..., Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.results = {"openvino fp32": (0.0, "takes too long"), "openvino bf16": (0.0, "takes too long")}
    world.unmeasured = set(world.results)
    start()
    age(tmp_path / "cache", 25)

    def killed(*_: object, **__: object) -> list[Measured]:
        raise KeyboardInterrupt

    monkeypatch.setattr(opening, "measure", killed)
    with pytest.raises(KeyboardInterrupt):
        start()
    assert start().engine == "ort"


@pytest.mark.real
def test_engines_are_measured_again_in_a_process_that_gives_way(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work: list[Callable[[], None]] = []
    monkeypatch.setattr(opening, "_beside", work.append)
    cache, model = tmp_path / "cache", find_model(net)
    contenders = candidates.candidates(model, "auto", "auto", BF16)[0]
    question = Question.about(model, contenders, 1, None, BF16)
    last = Measured(contenders[-1], fault="takes too long", passing=True, tries=1)
    remember(cache, question, [*(Measured(c, 5.0 + n) for n, c in enumerate(contenders[:-1])), last])
    age(cache, 25)
    open_session(net, threads=1, cache=cache, processor=BF16).close()
    assert len(work) == 1
    work[0]()
    assert not any(m.fault for m in recall(cache, question)), recall(cache, question)


def test_what_worked_before_is_taken_when_a_later_measurement_fails(
    world: World, start: Callable[..., Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = {"openvino fp32": (0.0, "takes too long"), "openvino bf16": (3.0, "")}
    world.results, world.unmeasured = slow, {"openvino fp32"}
    assert start().precision == "bf16"
    age(tmp_path / "cache", 25)
    world.results = dict.fromkeys(("ort fp32", *slow), (0.0, "takes too long"))
    world.unmeasured = set(world.results)
    assert start().precision == "bf16"

    def fail(*_: object, **__: object) -> list[Measured]:
        raise EngineError("engines", "can't be measured (no room)")

    age(tmp_path / "cache", 49)
    monkeypatch.setattr(opening, "measure", fail)
    assert start().precision == "bf16"
    monkeypatch.setattr(opening, "measure", world.measure)
    assert start().precision == "bf16"
    assert len(world.measured) == 2, "nor is that tried again at each start"


def damage(text: str) -> Iterator[str]:
    told = json.loads(text)
    yield ""
    yield text[: len(text) // 2]
    yield "[]"
    yield "null"
    yield "[" * 50_000
    yield json.dumps({**told, "format": 99})
    yield json.dumps({**told, "facts": {**told["facts"], "cores": 99}})
    yield json.dumps({**told, "measured": [{"engine": "os", "precision": "fp32"}]})
    yield json.dumps({**told, "measured": [{**told["measured"][0], "engine": ["ort"]}]})
    yield json.dumps({**told, "measured": [{**told["measured"][0], "run_ms": "fast"}]})
    yield json.dumps({**told, "measured": 3})
    yield json.dumps({**told, "measured": [{**told["measured"][0], "tries": "many"}]})
    yield json.dumps({**told, "measured": [{**told["measured"][0], "tries": float("inf")}]})
    yield json.dumps({**told, "format": 1})
    yield text + " " * 200_000


def test_a_damaged_memory_is_none(question: Question, tmp_path: Path) -> None:
    remember(tmp_path, question, [Measured(ORT, 1.5)])
    file = tmp_path / question.file
    for text in damage(file.read_text(encoding="utf-8")):
        file.write_text(text, encoding="utf-8")
        assert recall(tmp_path, question) == []
        recall_all(tmp_path, PROCESSOR)
    file.write_bytes(b"\xff\xfe\x00")
    assert recall(tmp_path, question) == []
    file.unlink()
    file.mkdir()
    assert recall(tmp_path, question) == []


def test_a_memory_is_written_whole_or_not_at_all(
    question: Question, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = [Measured(ORT, 1.5)]
    remember(tmp_path, question, before)

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    remember(tmp_path, question, [Measured(OV, 0.5)])
    assert recall(tmp_path, question) == before
    assert "No space left" in caplog.text
    assert len(list(tmp_path.glob(f"{question.file}*"))) == 1, "no half of a file stays"


def test_only_so_many_are_kept(net: Path, tmp_path: Path) -> None:
    model = find_model(net)
    for threads in range(1, 80):
        question = Question.about(model, [ORT], threads, None, PROCESSOR)
        remember(tmp_path / "kept", question, [Measured(ORT, 1.0)])
    assert len(list((tmp_path / "kept").glob("*.json"))) == 64
    assert recall(tmp_path / "kept", question)
