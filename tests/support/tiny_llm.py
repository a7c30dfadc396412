"""Tiny language models with random weights, saved as true Hugging Face folders."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_SYSTEM = (
    "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
_CORPUS = (
    "Hello and welcome, how are you today? The price is nineteen dollars, it ships tomorrow.",
    "You are live on camera: a voice speaks what you write while you write it. One to three short sentences.",
    "Each message is one viewer's line, written NAME: text. Plain words: no Markdown, lists, links.",
    "你好，欢迎来到直播间！今天的价格是多少？明天发货。",
    "😀😅🎉👍🏽 happy sad angry surprised thoughtful playful neutral",
)
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "initializer_range": 0.3,  # far apart logits: no ties that rounding could decide
    "tie_word_embeddings": False,
}
_MODELS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM, {}),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM, {"tie_word_embeddings": True}),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM, {"head_dim": 8}),
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM, {"sliding_window": 24}),
}
FAMILIES = tuple(_MODELS)


@functools.cache
def _vocabulary() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<s>", "</s>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    return str(tokenizer.to_str())


def byte_level_tokenizer(template: str | None = CHATML) -> Any:
    """Return a byte-level BPE of about 500 tokens, trained on a few lines."""
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_vocabulary()),
        bos_token="<s>",  # noqa: S106
        eos_token="<|im_end|>" if template == CHATML else "</s>",
    )
    made.chat_template = template
    return made


def save_model(
    folder: Path, family: str = "qwen2", *, template: str | None = CHATML, seed: int = 0, **shape: Any
) -> Path:
    """Save a random model with its tokenizer; return its folder."""
    tokenizer = byte_level_tokenizer(template)
    make_config, make_model, own = _MODELS[family]
    config = make_config(
        **{
            **SHAPE,
            **own,
            "vocab_size": len(tokenizer),
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": None,
            **shape,
        }
    )
    torch.manual_seed(seed)
    transformers.utils.logging.disable_progress_bar()
    make_model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
