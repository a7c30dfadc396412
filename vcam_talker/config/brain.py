"""Who thinks of the answers, in which order they are asked, and how long each may take."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from vcam_talker.config.base import Section

BrainName = Literal["script", "openai", "transformers", "echo"]


def _web_address(value: str) -> str:
    if not value.lower().startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return value.rstrip("/")


def _each_once(value: tuple[BrainName, ...]) -> tuple[BrainName, ...]:
    if len(set(value)) != len(value):
        raise ValueError("names a brain twice")
    return value


class OpenAIConfig(Section):
    """Any server that speaks OpenAI's chat completions: llama.cpp, Ollama, vLLM, a cloud."""

    url: Annotated[str, AfterValidator(_web_address)] = "http://127.0.0.1:8080/v1"
    """Everything before `/chat/completions`. The key, if one is needed, is the secret `openai-api-key`."""
    model: str = Field("", max_length=200)
    """As the server names it; empty: the first one it lists."""
    temperature: float = Field(0.7, ge=0, le=2)
    max_tokens: int = Field(200, ge=8, le=4096)
    connect_timeout_s: float = Field(2.0, gt=0, le=60)
    retries: int = Field(1, ge=0, le=5)
    """How often a request that failed before its first token is sent again."""


class TransformersConfig(Section):
    """A Hugging Face folder on this machine (Llama, Qwen and Mistral families), run in the engine process."""

    folder: str = Field("", max_length=4096)
    """Holds config.json, tokenizer.json and *.safetensors."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 where the processor computes with it, float32 elsewhere."""
    threads: int = Field(0, ge=0, le=256)
    """Processor threads; 0 leaves one core to picture and sound."""
    max_new_tokens: int = Field(160, ge=8, le=4096)
    temperature: float = Field(0.7, ge=0, le=2)
    """0 always takes the likeliest token."""
    top_p: float = Field(0.9, gt=0, le=1)


class BrainConfig(Section):
    """The ladder: brains are asked in order until one answers."""

    engines: Annotated[tuple[BrainName, ...], AfterValidator(_each_once)] = Field(("script",), min_length=1)
    """`script` answers what the persona has a line for and passes the rest on; below the last rung stands the
    persona's fallback line, so that every question is answered."""
    first_token_timeout_s: float = Field(6.0, ge=0.2, le=120)
    """No first token after this long: the next brain is asked."""
    token_timeout_s: float = Field(8.0, ge=0.2, le=120)
    """No further token after this long: the answer ends with what there is."""
    answer_timeout_s: float = Field(45.0, ge=1, le=600)
    max_answer_chars: int = Field(900, ge=50, le=20_000)
    """An answer ends with the sentence that reaches this."""
    breaker_failures: int = Field(3, ge=1, le=100)
    """This many failures in a row, and the brain rests ..."""
    breaker_rest_s: float = Field(30.0, ge=1, le=3600)
    """... this long before one question tries it again."""
    history_exchanges: int = Field(12, ge=0, le=200)
    """Past questions and answers of the room that a brain is told."""
    history_chars: int = Field(4000, ge=0, le=100_000)
    openai: OpenAIConfig = OpenAIConfig()
    transformers: TransformersConfig = TransformersConfig()
