"""The net that finds faces is written whole or not at all: it is what ships, and read by others meanwhile."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from studio.lips.landmarks import __main__ as command

pytestmark = pytest.mark.unit


class Unwritable:
    """An array whose values can't be had, as when the disk is full half-way."""

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise OSError(28, "No space left on device")


def train(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights: dict[str, object]) -> int:
    monkeypatch.setattr(command, "load", lambda *_: None)
    monkeypatch.setattr(command, "train_net", lambda *_: SimpleNamespace(weights=lambda: weights))
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    words = ["train", "--data", str(tmp_path), "--out", str(tmp_path / "net.npz")]
    return CliRunner().invoke(command.cli, words).exit_code


def test_weights_are_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert train(monkeypatch, tmp_path, {"a": np.arange(3)}) == 0
    assert train(monkeypatch, tmp_path, {"a": np.zeros(3), "b": Unwritable()}) != 0
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]
    with np.load(tmp_path / "net.npz") as found:
        assert found["a"].tolist() == [0, 1, 2]
