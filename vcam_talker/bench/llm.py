"""What is gained by using a language model's computed prefix again: a 0.5 B model's shape, random weights.

Through the responder, as the engine drives it: messages, template, tokens, cache, decoding. A cold answer is
one whose cache was emptied; a reused one finds all but the viewer's new line in it. Both alternate, so that a
busy machine slows both.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vcam_talker.bench.options import Options
from vcam_talker.bench.report import Report, percentile
from vcam_talker.config import BrainConfig, TransformersConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.core.types import Question
from vcam_talker.llm.gate import AnswerCutError
from vcam_talker.llm.prompt import build_messages
from vcam_talker.llm.torch_import import import_local_model
from vcam_talker.llm.transformers import TransformersResponder
from vcam_talker.persona import BrainSection, Persona, VoiceSection

if TYPE_CHECKING:
    from vcam_talker.llm.local_model import AnswerStats

_PREFIX_TOKENS: Final = 512
_NEW_TOKENS: Final = 24
_ANSWER_TOKENS: Final = 16
_ROUNDS: Final = 5
_MIN_ROUNDS: Final = 3
_USERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FILLER: Final = " so"
_SHAPE: Final[dict[str, Any]] = {
    "vocab_size": 151_936,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
    "initializer_range": 0.1,  # logits far apart, as trained ones are: answers that are no single token
}
"""Of Qwen2.5 with 0.5 billion parameters."""
_TEMPLATE: Final = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(slots=True)
class _Runs:
    """What alternating cold and reused answers cost; of each round the same question."""

    cold: list[AnswerStats] = field(default_factory=list)
    reused: list[AnswerStats] = field(default_factory=list)
    same: int = 0
    """Rounds in which both gave the same tokens."""
    distinct: int = 0
    """Different tokens in all answers."""
    memory_mb: float = 0.0

    def first_token_ms(self, kind: str) -> float:
        """Return the median of `cold` or `reused`."""
        return percentile([s.first_token_ms for s in getattr(self, kind)], 50)

    @property
    def ratio(self) -> float:
        """Median of each round's own: what slows the machine for a while slows both of a round."""
        pairs = zip(self.cold, self.reused, strict=True)
        return percentile([c.first_token_ms / r.first_token_ms for c, r in pairs], 50)


def run(options: Options) -> Report:
    """Ask cold and with reuse in turn; with `seconds` for about that long for each number format."""
    report = Report("llm")
    import_local_model()  # the error tells what to install
    with tempfile.TemporaryDirectory(prefix="vcam-talker-bench-") as name:
        folder = Path(name)
        # A process each: what one leaves behind in memory is not the next one's.
        with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
            processes.submit(_save_model, folder).result()
            exact = processes.submit(_measured, folder, "float32", _ROUNDS, options.seconds).result()
            half = processes.submit(_measured, folder, "bfloat16", _MIN_ROUNDS, options.seconds).result()
    rounds = len(exact.cold)
    report.add("first token cold, fp32, p50", exact.first_token_ms("cold"), "ms")
    report.add("first token with reuse, fp32, p50", exact.first_token_ms("reused"), "ms")
    report.add("cold against reuse, fp32, p50", exact.ratio, "x", 4.0, at_least=True)
    report.add("same tokens as cold, fp32", exact.same / rounds, "of all", 1.0, at_least=True)
    report.add("decoding, fp32, p50", percentile([s.tokens_per_s for s in exact.reused], 50), "tokens/s")
    report.add("resident memory, fp32", exact.memory_mb, "MB")
    report.add("first token cold, bf16, p50", half.first_token_ms("cold"), "ms")
    report.add("first token with reuse, bf16, p50", half.first_token_ms("reused"), "ms")
    report.add("cold against reuse, bf16, p50", half.ratio, "x")
    report.add("decoding, bf16, p50", percentile([s.tokens_per_s for s in half.reused], 50), "tokens/s")
    report.add("resident memory, bf16", half.memory_mb, "MB")
    one = exact.reused[-1]
    report.notes += [
        f"prompts of {one.prompt_tokens} tokens, {one.reused_tokens} of them used again; {rounds} rounds",
        f"answers of {_ANSWER_TOKENS} tokens, {exact.distinct} different ones in all",
        "24 layers, hidden 896, 14 heads over 2, FFN 4864, vocabulary 151,936 tied; weights are random",
    ]
    return report


def _measured(folder: Path, dtype: str, rounds: int, seconds: float | None) -> _Runs:
    return asyncio.run(_measure(folder, dtype, rounds, seconds))


async def _measure(folder: Path, dtype: str, rounds: int, seconds: float | None) -> _Runs:
    wanted = {"folder": str(folder), "device": "cpu", "dtype": dtype, "temperature": 0}
    config = BrainConfig(
        transformers=TransformersConfig.model_validate({**wanted, "max_new_tokens": _ANSWER_TOKENS})
    )
    persona, line = _sized(folder, config)
    responder = TransformersResponder(persona, config)
    runs = _Runs()
    seen: set[int] = set()
    try:
        await responder.warm_up()
        await _answer(responder, Question(line, _USERS[-1]))  # the first one allocates
        end_s = time.monotonic() + (seconds or 0)
        minimum = _MIN_ROUNDS if seconds else rounds
        while len(runs.cold) < minimum or time.monotonic() < end_s:
            user, other = (_USERS[(2 * len(runs.cold) + n) % (len(_USERS) - 1)] for n in range(2))
            await _answer(responder, Question(line, other))
            runs.reused.append(await _answer(responder, Question(line, user)))
            warm = responder.held
            await responder.forget()
            runs.cold.append(await _answer(responder, Question(line, user)))
            runs.same += warm == responder.held
            seen.update(warm[runs.cold[-1].prompt_tokens :])
        runs.memory_mb = _resident_mb()
    finally:
        await responder.close()
    runs.distinct = len(seen)
    return runs


async def _answer(responder: TransformersResponder, question: Question) -> AnswerStats:
    try:
        async for _ in responder.respond(question):
            pass
    except AnswerCutError:
        pass
    if responder.stats is None:
        raise EngineError("bench llm", "the model said nothing")
    return responder.stats


def _sized(folder: Path, config: BrainConfig) -> tuple[Persona, str]:
    """Return a persona and a line that make prompts of just the lengths that are to be measured."""
    from transformers import AutoTokenizer

    from vcam_talker.llm.chat_format import ChatFormat
    from vcam_talker.llm.kv_cache import common_prefix

    chat = ChatFormat(AutoTokenizer.from_pretrained(folder, local_files_only=True), str(folder))

    def lengths(persona: Persona, line: str) -> tuple[int, int]:
        """Return the tokens in common with another viewer's prompt, and the others."""
        one, other = (chat.tokens(build_messages(persona, Question(line, u), config)) for u in "AB")
        common = common_prefix(one, other)
        return common, len(one) - common

    facts: list[str] = []
    line = "Well"
    while lengths(_persona(facts), line)[0] < _PREFIX_TOKENS:
        facts = [*facts[:-1], facts[-1] + _FILLER] if facts and len(facts[-1]) < 200 else [*facts, "So"]
    while lengths(_persona(facts), line)[1] < _NEW_TOKENS:
        line += _FILLER
    return _persona(facts), line


def _persona(facts: list[str]) -> Persona:
    return Persona(
        title="Mira",
        fallback=("Hm.",),
        voice=VoiceSection(engine="tone", name="tone"),
        brain=BrainSection(facts=tuple(facts)),
    )


def _save_model(folder: Path) -> None:
    """Save the model in bfloat16, 1 GB, and a tokenizer that was trained on the prompt itself."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    prompt = build_messages(_persona(["So" + _FILLER]), Question("Well" + _FILLER), BrainConfig())
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4000,
        min_frequency=1,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([m["content"] for m in prompt] * 4, trainer)
    make_tokenizer: Any = transformers.PreTrainedTokenizerFast
    fast = make_tokenizer(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",  # noqa: S106
    )
    fast.chat_template = _TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.Qwen2Config(**_SHAPE, bos_token_id=None, eos_token_id=fast.eos_token_id)
    model: Any = transformers.Qwen2ForCausalLM(config)
    model.to(torch.bfloat16).save_pretrained(folder)


def _resident_mb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")
