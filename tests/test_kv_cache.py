"""A cache that is used again gives the tokens that a cold run gives, and those of transformers itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.tiny_llm import FAMILIES, save_model
from vcam_talker.config import TransformersConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.llm.hf_folder import check_folder
from vcam_talker.llm.kv_cache import CHUNK_TOKENS, KvCache, common_prefix
from vcam_talker.llm.local_model import LocalModel
from vcam_talker.llm.sampling import Sampler

pytestmark = pytest.mark.unit

NEW = 12
CONVERSATIONS, TURNS = 5, 6


def never() -> bool:
    return False


def after(calls: int) -> Callable[[], bool]:
    """Return what tells of a barge-in the n-th time it is asked."""
    counter = count()
    return lambda: next(counter) >= calls


def nowhere(_: str) -> None:
    pass


def load(folder: Path, **changes: Any) -> LocalModel:
    config = {"folder": str(folder), "device": "cpu", "dtype": "float32", "temperature": 0, "threads": 1}
    return LocalModel(
        check_folder(str(folder)),
        TransformersConfig.model_validate({**config, "max_new_tokens": NEW, **changes}),
    )


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return load(save_model(tmp_path_factory.mktemp(request.param), request.param))


def cold(model: LocalModel, prompt: list[int]) -> list[int]:
    warm, model._cache = model._cache, KvCache(model._model)
    try:
        return model.generate(prompt, nowhere, never)[0]
    finally:
        model._cache = warm


def generated(model: LocalModel, prompt: list[int]) -> list[int]:
    """Return what transformers' own loop answers, greedily."""
    ids = torch.tensor([prompt])
    out = model._model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=NEW,
        eos_token_id=list(model._stops),
        pad_token_id=0,
    )
    made = [int(t) for t in out[0, len(prompt) :]]
    return made[:-1] if made and made[-1] in model._stops else made


@pytest.mark.parametrize("seed", range(CONVERSATIONS))
def test_a_long_conversation_is_token_exact(model: LocalModel, seed: int) -> None:
    rng = random.Random(seed)

    def words(low: int, high: int) -> list[int]:
        return [rng.randrange(5, 500) for _ in range(rng.randint(low, high))]

    system = words(1, 2 * CHUNK_TOKENS)
    history: list[list[int]] = []
    for _ in range(TURNS):
        prompt = [*system, *(t for turn in history for t in turn), *words(1, 60)]
        barge_in = rng.random() < 0.5
        calls = rng.randint(0, NEW + 3)
        made, _ = model.generate(prompt, nowhere, after(calls) if barge_in else never)
        expected = cold(model, prompt)
        assert expected == generated(model, prompt)
        assert made == expected[: len(made)]
        assert barge_in or made == expected
        heard = made[: rng.randint(0, len(made))]
        history.append([*prompt[len(system) + sum(map(len, history)) :], *heard, *words(0, 3)])
        if rng.random() < 0.25:
            del history[:2]  # the history was cut at its beginning
        if rng.random() < 0.1:
            system = words(1, 80)  # another persona


def test_only_what_is_new_is_computed(model: LocalModel) -> None:
    prompt = [7 + i % 300 for i in range(300)]
    model._cache.clear()
    model.prefill(prompt[:250], never)
    made, _ = model.generate(prompt, nowhere, never)
    assert model.stats is not None
    assert (model.stats.prompt_tokens, model.stats.reused_tokens) == (300, 250)
    model.generate([*prompt, *made[:5], 9], nowhere, never)
    assert model.stats.reused_tokens == 300 + min(5, len(made) - 1)


def test_the_same_prompt_again_needs_its_last_token_only(model: LocalModel) -> None:
    prompt = [11 + i for i in range(50)]
    first, _ = model.generate(prompt, nowhere, never)
    again, _ = model.generate(prompt, nowhere, never)
    assert first == again


def test_a_prompt_cancelled_between_chunks_is_held_as_far_as_it_came(model: LocalModel) -> None:
    prompt = [5 + i % 400 for i in range(4 * CHUNK_TOKENS)]
    model._cache.clear()
    made, cut = model.generate(prompt, nowhere, after(2))
    assert (made, cut) == ([], False)
    assert model.cached_tokens == tuple(prompt[: 2 * CHUNK_TOKENS])
    assert model.generate(prompt, nowhere, never)[0] == cold(model, prompt)


def test_a_fault_midway_forgets_everything_and_the_next_prompt_is_right(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = [5 + i % 400 for i in range(200)]
    model.generate(prompt, nowhere, never)
    last = model._model.model.layers[-1]

    def starved(*_: Any, **__: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(last, "forward", starved)
        with pytest.raises(EngineError, match="not enough memory"):
            model.generate([*prompt, 8, 9], nowhere, never)
    assert model.cached_tokens == ()
    assert model.generate([*prompt, 8], nowhere, never)[0] == cold(model, [*prompt, 8])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "not enough memory"),
        (RuntimeError("unable to mmap 9 bytes: Cannot allocate memory (12)"), "not enough memory"),
        (RuntimeError("CUDA error: misaligned\naddress"), "the model failed .CUDA error: misaligned address"),
    ],
)
def test_what_torch_raises_is_one_line(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(model._model.model.layers[0], "forward", fails)
    with pytest.raises(EngineError, match=said):
        model.generate([9, 8, 7], nowhere, never)


def test_the_answer_ends_with_the_context(tmp_path: Path) -> None:
    model = load(save_model(tmp_path, "llama", max_position_embeddings=64))
    model._stops = frozenset()
    made, cut = model.generate(list(range(10, 70)), nowhere, never)
    assert (len(made), cut) == (4, True)


def test_a_tokenizer_of_another_model_is_told(model: LocalModel) -> None:
    with pytest.raises(EngineError, match="belongs to another model"):
        model.generate([4, 99_999], nowhere, never)


def test_common_prefix() -> None:
    assert common_prefix([1, 2, 3], [1, 2, 4]) == 2
    assert common_prefix([1, 2], [1, 2, 4]) == 2
    assert common_prefix([], [1]) == 0


def test_sampling_at_temperature_zero_takes_the_likeliest() -> None:
    assert Sampler(0, 0.9).choose(torch.tensor([0.1, 3.0, 2.9])) == 1


def test_sampling_is_repeatable_with_a_seed_and_stays_in_the_nucleus() -> None:
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    drawn = [[s.choose(logits) for _ in range(300)] for s in (Sampler(1, 0.8, 3), Sampler(1, 0.8, 3))]
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {0, 1}
    assert 0.5 < drawn[0].count(0) / 300 < 0.75  # 5 of 8


def test_sampling_with_a_flat_distribution_reaches_beyond_the_head() -> None:
    sampler = Sampler(1, 1.0, 1)
    drawn = {sampler.choose(torch.zeros(5000)) for _ in range(200)}
    assert max(drawn) > 3000


@pytest.mark.parametrize("temperature", [1e-30, 1e-45])
def test_a_temperature_next_to_nothing_takes_the_likeliest(temperature: float) -> None:
    assert Sampler(temperature, 0.9, 1).choose(torch.tensor([0.1, 3.0, 2.9])) == 1
