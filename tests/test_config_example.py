"""The commented example says the truth: every key, each with its default."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from vcam_talker.config import Config, load_config

pytestmark = pytest.mark.unit

EXAMPLE = Path(__file__).parent.parent / "configs" / "vcam-talker.toml"


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from keys(info.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def flat(table: dict[str, object], prefix: str = "") -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_example_equals_the_defaults() -> None:
    assert load_config(EXAMPLE) == Config()


def test_example_shows_every_key() -> None:
    assert set(flat(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))) == set(keys(Config))


def test_every_key_and_table_is_explained() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    for before, line in itertools.pairwise(lines):
        if line.startswith("[") or ("=" in line and not line.startswith("#")):
            # `height` shares the remark of `width`.
            assert before.startswith("#") or line.startswith("height"), line
