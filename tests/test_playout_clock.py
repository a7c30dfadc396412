"""The media clock against simulated sound devices: drift, jitter, stalls."""

from __future__ import annotations

import random

import numpy as np
import pytest

from vcam_talker.air.playout_clock import PlayoutClock
from vcam_talker.core.clock import ManualClock
from vcam_talker.core.types import NS_PER_S, Pts

pytestmark = pytest.mark.unit

_BLOCK = 480
_RATE = 48_000
_LATENCY_NS = 35_000_000


def _play(
    clock: ManualClock, media: PlayoutClock, seconds: float, ppm: float, jitter_ms: float, start: int = 0
) -> int:
    """Write blocks as a device does that is `ppm` slow and wakes us `jitter_ms` late at random."""
    rng = random.Random(1)
    origin_ns = clock.now_ns()
    blocks = int(seconds * _RATE / _BLOCK)
    for n in range(1, blocks + 1):
        due_ns = origin_ns + n * _BLOCK * NS_PER_S / _RATE * (1 + ppm * 1e-6)
        late_ns = rng.uniform(0, jitter_ms) * 1e6
        clock.sleep_until_ns(int(due_ns + late_ns))
        media.mark(start + n * _BLOCK, _LATENCY_NS)
    return start + blocks * _BLOCK


@pytest.mark.parametrize("ppm", [-100.0, 0.0, 50.0, 300.0])
def test_follows_the_devices_rate_through_jitter(ppm: float) -> None:
    clock = ManualClock()
    media = PlayoutClock(clock, _RATE, _LATENCY_NS)
    media.restart(0, _LATENCY_NS)
    _play(clock, media, 120, ppm, jitter_ms=10)
    assert media.rate_error_ppm == pytest.approx(ppm, abs=60)


def test_frame_deadlines_are_smooth_although_the_device_is_not() -> None:
    clock = ManualClock()
    media = PlayoutClock(clock, _RATE, _LATENCY_NS)
    media.restart(0, _LATENCY_NS)
    _play(clock, media, 10, 40, jitter_ms=10)
    start = media.now()
    deadlines = []
    rng = random.Random(2)
    written = int(clock.now_ns() * _RATE // NS_PER_S) // _BLOCK * _BLOCK
    for n in range(300):
        pts = Pts(start + n * NS_PER_S // 30)
        while media.now() < pts - 20_000_000:
            clock.advance(int(_BLOCK / _RATE * NS_PER_S + rng.uniform(-4e6, 4e6)))
            written += _BLOCK
            media.mark(written, _LATENCY_NS)
        deadlines.append(media.time_of(pts))
    intervals_ms = np.diff(deadlines) / 1e6
    assert np.percentile(np.abs(intervals_ms - 1000 / 30), 99) < 2.0


def test_never_steps_back() -> None:
    clock = ManualClock()
    media = PlayoutClock(clock, _RATE, _LATENCY_NS)
    media.restart(0, _LATENCY_NS)
    rng = random.Random(3)
    before = media.now()
    for n in range(1, 3000):
        clock.advance(int(rng.uniform(0, 20e6)))
        media.mark(n * _BLOCK, int(rng.uniform(0, 80e6)))
        now = media.now()
        assert now >= before
        before = now


def test_a_stall_is_not_caught_up_with() -> None:
    clock = ManualClock()
    media = PlayoutClock(clock, _RATE, _LATENCY_NS)
    media.restart(0, _LATENCY_NS)
    written = _play(clock, media, 5, 0, jitter_ms=1)
    position = media.now()
    clock.advance(30 * NS_PER_S)
    media.mark(written + _BLOCK, _LATENCY_NS)
    assert media.reanchored == 1
    # 30 s of stopped machine are 0 s of media: the deadline of what comes next lies ahead, not behind.
    assert media.time_of(Pts(position + 100_000_000)) > clock.now_ns()


def test_an_hour_loses_no_frame() -> None:
    """30 fps frames against a device 80 ppm slow: exactly as many frames as its samples are worth."""
    clock = ManualClock()
    media = PlayoutClock(clock, _RATE, _LATENCY_NS)
    media.restart(0, _LATENCY_NS)
    frames = 0
    period_ns = _BLOCK / _RATE * NS_PER_S * (1 + 80e-6)
    blocks = 3600 * 100
    for n in range(1, blocks + 1):
        clock.sleep_until_ns(int(n * period_ns))
        media.mark(n * _BLOCK, _LATENCY_NS)
        while media.time_of(Pts((frames + 1) * NS_PER_S // 30)) <= clock.now_ns():
            frames += 1
    heard_s = (blocks * _BLOCK / _RATE) - _LATENCY_NS / NS_PER_S
    assert abs(frames - heard_s * 30) <= 1.5
