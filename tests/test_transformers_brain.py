"""The local brain: what it says of a folder that is not whole, what it keeps, how it stops."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.stall import StallMeter
from tests.support.tiny_llm import CHATML, FAMILIES, NO_SYSTEM, byte_level_tokenizer, save_model
from vcam_talker.config import BrainConfig, TransformersConfig
from vcam_talker.core.errors import DeclinedError, EngineError
from vcam_talker.core.types import Exchange, Question
from vcam_talker.inference.processor import this_processor
from vcam_talker.llm.chat_format import ChatFormat
from vcam_talker.llm.gate import AnswerCutError
from vcam_talker.llm.prompt import build_messages
from vcam_talker.llm.transformers import TransformersResponder
from vcam_talker.persona import BrainSection, Persona, VoiceSection

pytestmark = pytest.mark.contract

PERSONA = Persona(title="Mira", fallback=("Hm.",), voice=VoiceSection(engine="flite", name="slt"))
BOUND_S = 60.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A folder of its own, to be damaged."""
    return save_model(tmp_path / "model")


def brain_config(folder: Path | str, **changes: Any) -> BrainConfig:
    wanted = {"folder": str(folder), "device": "cpu", "dtype": "float32", "temperature": 0, "threads": 1}
    wanted |= {"max_new_tokens": 16}
    return BrainConfig(transformers=TransformersConfig.model_validate({**wanted, **changes}))


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., TransformersResponder]]:
    made: list[TransformersResponder] = []

    def build(folder: Path | str, persona: Persona = PERSONA, **changes: Any) -> TransformersResponder:
        made.append(TransformersResponder(persona, brain_config(folder, **changes), seed=1))
        return made[-1]

    yield build
    for responder in made:
        await responder.close()


Make = Callable[..., TransformersResponder]


def respond(responder: TransformersResponder, question: Question) -> AsyncGenerator[str, None]:
    return cast("AsyncGenerator[str, None]", responder.respond(question))


async def said(responder: TransformersResponder, question: Question) -> str:
    text = ""
    async with asyncio.timeout(BOUND_S):
        try:
            async for delta in responder.respond(question):
                text += delta
        except AnswerCutError:
            pass
    return text


# -- a folder that is not whole


def _remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _write(name: str, content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return write


def _edit_config(**changes: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return edit


def _truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def _shards_missing(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _index_leads_out(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../../x"}}))


def _pickles_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _weights_missing(folder: Path) -> None:
    _edit_config(num_hidden_layers=3, layer_types=["full_attention"] * 3)(folder)


_DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (_remove("config.json"), r"config\.json: is missing"),
    "no tokenizer": (_remove("tokenizer.json"), r"tokenizer\.json: is missing"),
    "no weights": (_remove("model.safetensors"), r"holds no weights"),
    "config is no JSON": (_write("config.json", b"<html>"), r"config\.json: is damaged"),
    "config is a list": (_write("config.json", b"[]"), r"config\.json: is damaged"),
    "tokenizer is no JSON": (_write("tokenizer.json", b"{"), r"tokenizer\.json: is damaged"),
    "tokenizer is another JSON": (_write("tokenizer.json", b"{}"), r"tokenizer\.json: can't be used"),
    "weights cut off": (_truncate, r"model\.safetensors: has [\d,]+ bytes where its header tells of"),
    "weights empty": (_write("model.safetensors", b""), r"model\.safetensors: is no safetensors file"),
    "weights are a pointer": (
        _write("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0"),
        r"model\.safetensors: is no safetensors file",
    ),
    "weights' header is damaged": (
        _write("model.safetensors", b"\x04\0\0\0\0\0\0\0[1] x"),
        r"model\.safetensors: is no safetensors file",
    ),
    "a shard is missing": (_shards_missing, r"model-00002-of-00002\.safetensors: is missing"),
    "an index that leads out": (_index_leads_out, r"index\.json: names a file outside"),
    "pickles only": (_pickles_only, r"pytorch_model\.bin: is a Python pickle"),
    "unknown architecture": (_edit_config(model_type="mamba"), r'config\.json: model_type is "mamba"'),
    "positions that depend on the length": (
        _edit_config(rope_parameters={"rope_type": "longrope", "rope_theta": 1e4}),
        r"config\.json: positions are scaled by 'longrope'",
    ),
    "weights' header nests without end": (
        _write("model.safetensors", (100_000).to_bytes(8, "little") + b"[" * 100_000),
        r"model\.safetensors: is no safetensors file",
    ),
    "quantized": (_edit_config(quantization_config={"quant_method": "gptq"}), r"quantized"),
    "weights missing": (_weights_missing, r"lacks \d+ weights, model\.layers\.2"),
    "shapes that don't fit": (_edit_config(intermediate_size=48), r"can't be used"),
    "a config that makes no sense": (_edit_config(hidden_size="x"), r"config\.json: can't be used"),
    "a template that fails": (_write("chat_template.jinja", b"{{ x.y.z }}"), r"chat template .* can't make"),
    "a template with an error": (_write("chat_template.jinja", b"{% if %}"), r"chat template .* can't make"),
}


@pytest.mark.parametrize("name", _DAMAGES)
async def test_a_folder_that_is_not_whole_is_one_clear_error(damaged: Path, make: Make, name: str) -> None:
    damage, expected = _DAMAGES[name]
    damage(damaged)
    with pytest.raises(EngineError, match=expected) as caught:
        await make(damaged).warm_up()
    assert "\n" not in str(caught.value)
    assert caught.value.remedy
    assert len(str(caught.value)) < 600


async def test_a_folder_that_has_been_repaired_is_loaded(damaged: Path, make: Make) -> None:
    good = (damaged / "config.json").read_bytes()
    (damaged / "config.json").unlink()
    responder = make(damaged)
    with pytest.raises(EngineError):
        await responder.warm_up()
    (damaged / "config.json").write_bytes(good)
    assert await said(responder, Question("hello"))


@pytest.mark.parametrize(
    ("folder_name", "expected"),
    [("", r"brain\.transformers\.folder: is not set"), ("/nowhere", "/nowhere: is no folder")],
)
async def test_no_folder(make: Make, folder_name: str, expected: str) -> None:
    with pytest.raises(EngineError, match=expected):
        await make(folder_name).warm_up()


async def test_without_the_packages_it_tells_how_to_get_them(
    folder: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "vcam_talker.llm.local_model", raising=False)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(EngineError, match=r"pip install 'vcam-talker\[llm\]'"):
        await make(folder).warm_up()


async def test_a_torch_that_does_not_load_is_told_with_its_reason(
    folder: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "vcam_talker.llm.local_model":
                raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.delitem(sys.modules, "vcam_talker.llm.local_model", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(EngineError, match=r"libgomp.*pip install"):
        await make(folder).warm_up()


async def test_no_cuda_device(folder: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(EngineError, match="there is no CUDA device"):
        await make(folder, device="cuda").warm_up()


# -- answers


@pytest.mark.parametrize("family", FAMILIES)
async def test_answers_of_a_conversation_equal_those_of_a_cold_start(
    tmp_path: Path, make: Make, family: str
) -> None:
    template = NO_SYSTEM if family == "mistral" else CHATML
    saved = save_model(tmp_path, family, template=template)
    warm = make(saved)
    history: tuple[Exchange, ...] = ()
    reused: list[float] = []
    for text in ("hello", "how are you?", "你好", "what is the price?"):
        question = Question(text, "Ann", history=history)
        answer = await said(warm, question)
        assert warm.stats is not None
        reused.append(warm.stats.reused_tokens / warm.stats.prompt_tokens)
        await warm.forget()
        assert answer == await said(warm, question)
        cut = text == "你好"
        history += (Exchange("Ann", text, answer[: len(answer) // 2] if cut else answer, cut),)
    assert min(reused[1:]) > 0.7


async def test_the_persona_is_computed_once_before_anybody_asks(folder: Path, make: Make) -> None:
    responder = make(folder)
    await responder.warm_up()
    await said(responder, Question("hello"))
    assert responder.stats is not None
    assert responder.stats.reused_tokens > 300
    assert responder.stats.prompt_tokens - responder.stats.reused_tokens < 40


async def test_closing_stops_the_model_soon(folder: Path, make: Make) -> None:
    responder = make(folder, max_new_tokens=2500)
    async with aclosing(respond(responder, Question("hello"))) as answer:
        await anext(answer)
    await responder.forget()  # stands in line behind what was stopped
    assert responder.stats is not None
    assert responder.stats.new_tokens < 2000


async def test_closing_keeps_the_cache(folder: Path, make: Make) -> None:
    responder = make(folder, max_new_tokens=500)
    async with aclosing(respond(responder, Question("hello", "Ann"))) as answer:
        async for _ in answer:
            break
    text = await said(responder, Question("hello", "Ann"))
    assert responder.stats is not None
    assert responder.stats.reused_tokens >= responder.stats.prompt_tokens - 1
    assert text == await said(make(folder, max_new_tokens=500), Question("hello", "Ann"))


async def test_the_limit_is_told_behind_the_last_delta(folder: Path, make: Make) -> None:
    answer = respond(make(folder, max_new_tokens=8), Question("hello"))
    assert await anext(answer)
    with pytest.raises(AnswerCutError):
        await _exhaust(answer)


async def _exhaust(answer: AsyncIterator[str]) -> None:
    async for _ in answer:
        pass


async def test_a_seed_makes_draws_repeatable(folder: Path, make: Make) -> None:
    drawn = [await said(make(folder, temperature=1.0, top_p=1.0), Question("hello")) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != await said(make(folder), Question("hello"))


async def test_bfloat16(folder: Path, make: Make) -> None:
    assert await said(make(folder, dtype="bfloat16"), Question("hello"))


async def test_the_loop_goes_on_while_it_loads_and_answers(folder: Path, make: Make) -> None:
    responder = make(folder, max_new_tokens=400)
    longest_s, before = 0.0, asyncio.get_running_loop().time()
    with StallMeter() as stall:
        task = asyncio.create_task(said(responder, Question("hello")))
        while not task.done():
            await asyncio.sleep(0.002)
            now = asyncio.get_running_loop().time()
            longest_s, before = max(longest_s, now - before), now
    assert task.result()
    assert longest_s < 0.2 + stall.longest_ms / 1000


async def test_its_own_answers_stay_in_the_cache_though_their_tags_were_not_heard(
    folder: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    responder = make(folder, max_new_tokens=60)
    await responder.warm_up()
    tokenizer = byte_level_tokenizer()
    written = iter(
        [
            *tokenizer.encode("[happy] Hello, Ann! The *price* is nineteen dollars."),
            *tokenizer.encode("<|im_end|>") * 2,
        ]
    )
    with monkeypatch.context() as patch:
        patch.setattr(responder._model._sampler, "choose", lambda _: next(written))
        answer = await said(responder, Question("hello", "Ann"))
    assert answer == "[happy] Hello, Ann! The price is nineteen dollars."
    held = len(responder.held)
    for heard, interrupted, lost in (
        ("Hello, Ann! The price is nineteen dollars.", False, 0),
        ("Hello, Ann! The price", True, 40),
    ):
        past = Exchange("Ann", "hello", heard, interrupted)
        await said(responder, Question("and again?", "Ann", history=(past,)))
        assert responder.stats is not None
        assert held - lost <= responder.stats.reused_tokens <= held


async def test_after_closing_it_says_so(folder: Path, make: Make) -> None:
    responder = make(folder)
    await responder.warm_up()
    await responder.close()
    with pytest.raises(EngineError, match="has been closed"):
        await said(responder, Question("hello"))


# -- a context that is too short


async def test_a_history_that_does_not_fit_loses_its_beginning_not_the_persona(
    tmp_path: Path, make: Make
) -> None:
    saved = save_model(tmp_path, max_position_embeddings=1600)
    responder = make(saved)
    history = tuple(Exchange("Ann", f"question {i} {'x' * 60}", f"answer {i} " * 8) for i in range(30))
    assert await said(responder, Question("hello", "Ann", history=history))
    assert responder.stats is not None
    assert responder.stats.prompt_tokens <= 1200
    assert responder.stats.reused_tokens > 300, "the persona"
    before = responder.stats.prompt_tokens
    assert await said(responder, Question("hello", "Ann", history=(*history[1:], history[0])))
    assert responder.stats.prompt_tokens <= 1200
    assert before > 700, "of the history as much as fits is kept"


async def test_a_question_that_does_not_fit_is_passed_on(tmp_path: Path, make: Make) -> None:
    responder = make(save_model(tmp_path, max_position_embeddings=1100))
    with pytest.raises(DeclinedError, match="the model takes"):
        await said(responder, Question("你" * 1900))
    assert await said(responder, Question("hello"))


async def test_a_persona_that_does_not_fit_is_told_when_it_is_loaded(folder: Path, make: Make) -> None:
    long = PERSONA.model_copy(update={"brain": BrainSection(facts=("I know a lot. " * 20,) * 40)})
    with pytest.raises(EngineError, match="the persona's prompt has"):
        await make(folder, long).warm_up()


# -- chat templates


def _messages(turns: int) -> list[dict[str, str]]:
    history = tuple(Exchange("Ann", f"q{i}", f"a{i}") for i in range(turns))
    return build_messages(PERSONA, Question("now", "Ann", history=history), brain_config(""))


SYSTEM_LAST = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] "
    "{% if loop.last and messages[0].role == 'system' %}{{ messages[0].content }}\n{% endif %}"
    "{{ m.content }} [/INST]{% elif m.role == 'assistant' %}{{ m.content }}</s>{% endif %}{% endfor %}"
)
"""As Mistral's third version: the system's words stand before the last line."""


@pytest.mark.parametrize("template", [CHATML, NO_SYSTEM, SYSTEM_LAST, None])
def test_a_longer_conversation_begins_like_the_shorter_one(template: str | None) -> None:
    chat = ChatFormat(byte_level_tokenizer(template), "here")
    tokenizer = byte_level_tokenizer()
    shorter, longer = (tokenizer.decode(chat.tokens(_messages(turns))) for turns in (2, 3))
    assert "You are Mira" in shorter
    common = next(i for i, (a, b) in enumerate(zip(shorter, longer, strict=False)) if a != b)
    assert shorter[common - 5 :].startswith("Ann: ") or shorter[common:].startswith("now")
    assert "a1" in shorter[:common]


@pytest.mark.parametrize(("template", "end"), [(CHATML, "<|im_end|>"), (NO_SYSTEM, "</s>")])
def test_what_the_template_writes_behind_an_answer_ends_one(template: str, end: str) -> None:
    tokenizer = byte_level_tokenizer(template)
    assert tokenizer.convert_tokens_to_ids(end) in ChatFormat(tokenizer, "here").end_tokens()


def test_an_answer_ends_where_the_model_opens_the_viewers_turn() -> None:
    tokenizer = byte_level_tokenizer()
    ends = ChatFormat(tokenizer, "here").end_tokens()
    assert tokenizer.convert_tokens_to_ids("<|im_start|>") in ends
    assert not ends & set(tokenizer.encode("user says [happy] <think>", add_special_tokens=False))


def test_a_template_that_opens_the_models_thoughts_is_noticed() -> None:
    thinks = CHATML.replace("<|im_start|>assistant\n", "<|im_start|>assistant\n<think>\n")
    assert ChatFormat(byte_level_tokenizer(thinks), "here").opens_thought
    assert not ChatFormat(byte_level_tokenizer(), "here").opens_thought


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx512_bf16 sse\n", True),
        ("flags : fpu avx2\n", False),
        ("Features : fp asimd bf16\n", True),
        ("", False),
    ],
)
def test_whether_the_processor_computes_bfloat16(tmp_path: Path, text: str, expected: bool) -> None:
    assert this_processor(tmp_path).computes_bfloat16 is False
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(text)
    assert this_processor(tmp_path).computes_bfloat16 is expected
