"""The clocks: fine steps on every system, and time that moves when told."""

from __future__ import annotations

import importlib.util
import sys
import time
from types import ModuleType

import pytest

from vcam_talker.core import clock
from vcam_talker.core.clock import ManualClock

pytestmark = pytest.mark.unit

COARSE_NS, FINE_NS = 15_600_000, 1_234_567


def loaded_on(platform: str, patch: pytest.MonkeyPatch) -> ModuleType:
    """Load the module once more, as on another system."""
    patch.setattr(sys, "platform", platform)
    patch.setattr(time, "monotonic_ns", lambda: COARSE_NS)
    patch.setattr(time, "perf_counter_ns", lambda: FINE_NS)
    spec = importlib.util.spec_from_file_location("clock_elsewhere", clock.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("platform", "now_ns"), [("win32", FINE_NS), ("linux", COARSE_NS)])
def test_windows_gets_its_fine_counter(monkeypatch: pytest.MonkeyPatch, platform: str, now_ns: int) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    system = loaded_on(platform, monkeypatch).SystemClock()
    assert system.now_ns() == now_ns
    system.sleep_until_ns(now_ns + 500_000_000)
    system.sleep_until_ns(now_ns - 1)
    assert slept == [0.5]


def test_a_manual_clock_moves_when_told_and_never_back() -> None:
    manual = ManualClock(100)
    manual.advance(50)
    manual.sleep_until_ns(120)
    assert manual.now_ns() == 150
    manual.sleep_until_ns(400)
    assert manual.now_ns() == 400
