"""A language model of a Hugging Face folder in this process: prompts in, text out.

Imports torch and transformers, so import this only where a model is wanted.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from vcam_talker.config import TransformersConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.core.stages import Cancelled
from vcam_talker.inference.processor import this_processor
from vcam_talker.llm.chat_format import ChatFormat
from vcam_talker.llm.detokenise import Detokeniser
from vcam_talker.llm.hf_folder import HfFolder
from vcam_talker.llm.kv_cache import KvCache
from vcam_talker.llm.sampling import Sampler

log = logging.getLogger(__name__)

_NO_MEMORY: Final = ("not enough memory", "can't allocate memory", "cannot allocate memory", "out of memory")
_FREE: Final = "Use a smaller model, dtype 'bfloat16', or free memory"


@dataclass(frozen=True, slots=True)
class AnswerStats:
    """What one answer cost."""

    prompt_tokens: int
    reused_tokens: int
    """Of the prompt, found in the cache."""
    prefill_ms: float
    first_token_ms: float
    """From the beginning of the work to the first token; tokenizing and prefill are in it."""
    new_tokens: int
    tokens_per_s: float
    """Behind the first one; 0 when there was no second one."""


class LocalModel:
    """One model, its tokenizer and its cache. Every call blocks; used from the thread that made it."""

    def __init__(self, folder: HfFolder, config: TransformersConfig, seed: int | None = None) -> None:
        """Load the weights: seconds to minutes. Raises EngineError.

        `seed`: of the draws at a temperature above 0. Sets the thread's own number of torch threads.
        """
        self._what = str(folder.path)
        self._config = config
        torch.set_num_threads(config.threads or this_processor().spare_threads)
        self._device = _device(config)
        self._tokenizer: Any = _load_tokenizer(folder)
        self.chat = ChatFormat(self._tokenizer, self._what)
        dtype = _dtype(config, self._device)
        with self._guarded():
            model: Any = _load_weights(folder, dtype)
            self._model = model.to(self._device).eval().requires_grad_(False)
        self._cache = KvCache(self._model)
        self._sampler = Sampler(config.temperature, config.top_p, seed)
        self._stops = self._stop_tokens()
        self.context_tokens = int(self._model.config.max_position_embeddings)
        """Prompt and answer together."""
        self.stats: AnswerStats | None = None
        """Of the last answer that had a first token."""
        log.info(
            "%s: %s on %s, %s", self._what, folder.family, self._device, str(dtype).removeprefix("torch.")
        )

    @property
    def cached_tokens(self) -> tuple[int, ...]:
        """The tokens that need not be computed again."""
        return self._cache.tokens

    def prefill(self, tokens: Sequence[int], cancelled: Cancelled) -> None:
        """Compute what `tokens` need, before anybody asks. Raises EngineError."""
        self._check_tokens(tokens)
        with self._guarded():
            self._cache.prefill(tokens, cancelled)

    def forget(self) -> None:
        """Empty the cache: the next prompt is computed from its beginning."""
        self._cache.clear()

    def generate(
        self,
        prompt: Sequence[int],
        emit: Callable[[str], None],
        cancelled: Cancelled,
        begun_s: float | None = None,
    ) -> tuple[list[int], bool]:
        """Answer a prompt of at least one token; text goes to `emit` as it comes.

        Returns the answer's tokens, and whether a limit cut it. Ends early, and not cut, when cancelled: that
        is asked between tokens and between chunks of the prompt. `begun_s`: when the work for this answer
        began (perf_counter), if not now. Raises EngineError; the cache is then empty.
        """
        self._check_tokens(prompt)
        with self._guarded():
            begun_s = time.perf_counter() if begun_s is None else begun_s
            return self._generate(prompt, emit, cancelled, begun_s)

    def close(self) -> None:
        """Free the memory. Not usable afterwards."""
        self._cache.clear()
        del self._model, self._cache
        gc.collect()
        if self._device == "cuda":
            torch.cuda.empty_cache()

    def _generate(
        self, prompt: Sequence[int], emit: Callable[[str], None], cancelled: Cancelled, begun_s: float
    ) -> tuple[list[int], bool]:
        limit = min(self._config.max_new_tokens, self.context_tokens - len(prompt))
        prefill_from_s = time.perf_counter()
        reused = self._cache.keep(prompt)
        logits = self._cache.logits(prompt, cancelled)
        if logits is None:
            return [], False
        prefilled_s = time.perf_counter()
        detokeniser = Detokeniser(self._decode)
        made: list[int] = []
        first_s = prefilled_s
        cut = False
        while not cancelled():
            token = self._sampler.choose(logits)
            if not made:
                first_s = time.perf_counter()
            if token in self._stops:
                break
            made.append(token)
            if text := detokeniser.feed(token):
                emit(text)
            if len(made) >= limit:
                cut = True
                break
            logits = self._cache.append(token)
        if text := detokeniser.flush():
            emit(text)
        rest_s = time.perf_counter() - first_s
        self.stats = AnswerStats(
            prompt_tokens=len(prompt),
            reused_tokens=reused,
            prefill_ms=1000 * (prefilled_s - prefill_from_s),
            first_token_ms=1000 * (first_s - begun_s),
            new_tokens=len(made),
            tokens_per_s=(len(made) - 1) / rest_s if len(made) > 1 and rest_s > 0 else 0.0,
        )
        log.debug(
            "prompt of %d tokens, %d used again; first token after %.0f ms, %d tokens at %.1f/s",
            len(prompt),
            reused,
            self.stats.first_token_ms,
            len(made),
            self.stats.tokens_per_s,
        )
        return made, cut

    def _decode(self, tokens: Sequence[int]) -> str:
        text = self._tokenizer.decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text)

    def _stop_tokens(self) -> frozenset[int]:
        """Return the tokens that end an answer, wherever the folder names them."""
        found = self.chat.end_tokens()
        for named in (
            self._model.generation_config.eos_token_id,
            self._model.config.eos_token_id,
            self._tokenizer.eos_token_id,
        ):
            found |= set(named) if isinstance(named, list | tuple) else {named}
        return frozenset(token for token in found if token is not None)

    def _check_tokens(self, tokens: Sequence[int]) -> None:
        """Raise EngineError for a token without an embedding, which a CUDA device would not survive."""
        rows = int(self._model.get_input_embeddings().num_embeddings)
        if max(tokens) >= rows:
            raise EngineError(
                self._what,
                f"its tokenizer makes token {max(tokens):,}, the model has {rows:,}",
                "tokenizer.json belongs to another model; fetch both again",
            )

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn what torch raises into one clear error."""
        try:
            yield
        except (MemoryError, RuntimeError) as e:
            error = self._error(e)
        else:
            return
        # Outside the handler, where the traceback no longer holds the tensors.
        gc.collect()
        if self._device == "cuda":
            torch.cuda.empty_cache()
        raise error

    def _error(self, error: BaseException) -> EngineError:
        said = " ".join(str(error).split())
        starved = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if hasattr(self, "_cache"):
            self._cache.clear()
        if starved or any(words in said.lower() for words in _NO_MEMORY):
            return EngineError(self._what, f"there is not enough memory on the {self._device} device", _FREE)
        log.debug("%s failed", self._what, exc_info=error)
        return EngineError(self._what, f"the model failed ({said[:160] or type(error).__name__})")


def _device(config: TransformersConfig) -> str:
    there = torch.cuda.is_available() if config.device != "cpu" else False
    if config.device == "cuda" and not there:
        raise EngineError(
            "brain.transformers.device 'cuda'", "there is no CUDA device here", "Set it to 'cpu' or 'auto'"
        )
    return "cuda" if there else "cpu"


def _dtype(config: TransformersConfig, device: str) -> torch.dtype:
    if config.dtype != "auto":
        return torch.bfloat16 if config.dtype == "bfloat16" else torch.float32
    native = torch.cuda.is_bf16_supported() if device == "cuda" else this_processor().computes_bfloat16
    return torch.bfloat16 if native else torch.float32


def _load_tokenizer(folder: HfFolder) -> PreTrainedTokenizerBase:
    try:
        # A tokenizer's class is chosen by the config; what is wrong with that must not be said of this.
        config = transformers.AutoConfig.from_pretrained(
            folder.path, local_files_only=True, trust_remote_code=False
        )
    except Exception as e:  # validators of many kinds
        raise _damaged(folder.path / "config.json", e) from e
    try:
        made: PreTrainedTokenizerBase = transformers.AutoTokenizer.from_pretrained(
            folder.path, config=config, local_files_only=True, trust_remote_code=False
        )
    except Exception as e:  # tokenizers raises bare Exception for damaged files
        raise _damaged(folder.path / "tokenizer.json", e) from e
    return made


def _load_weights(folder: HfFolder, dtype: torch.dtype) -> PreTrainedModel:
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    load: Any = transformers.AutoModelForCausalLM.from_pretrained
    model: PreTrainedModel
    try:
        model, loaded = load(
            folder.path,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as e:  # of many kinds: safetensors, config validation, shapes that don't fit
        if any(words in str(e).lower() for words in _NO_MEMORY):
            raise MemoryError(str(e)) from e  # of whatever kind: SafetensorError, OSError
        raise _damaged(folder.path / "config.json", e) from e
    # transformers fills what is missing with noise, and says so in a warning.
    if missing := sorted(loaded["missing_keys"]):
        raise EngineError(
            str(folder.path),
            f"lacks {len(missing)} weights, {missing[0]} among them",
            "Fetch the model again",
        )
    return model


def _damaged(path: object, error: Exception) -> EngineError:
    said = " ".join(str(error).split())[:200] or type(error).__name__
    return EngineError(str(path), f"can't be used ({said})", "Fetch the model's files again, from one place")
