"""Measures a plan of life: does it loop, does it blink, does it pop. `python -m studio.life.report`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.life import anchors as ch
from studio.life.anchors import CHANNELS, Channels
from studio.life.curves import Curve
from studio.life.gaze import FPS
from studio.life.segments import Segment, plan
from studio.life.style import Style
from vcam_talker.core.types import Activity
from vcam_talker.face.clip import assets
from vcam_talker.face.clip.walk import Walk

SWAYING: Final = (ch.YAW, ch.PITCH, ch.ROLL, ch.SHIFT)
"""Channels that must not repeat."""
_LAGS_S: Final = (2.0, 60.0)
_STILL_DEG: Final = 0.01
"""Less than this per frame, about a twentieth of a pixel at 720 lines, is standing still."""
_JUMP_DEG: Final = 0.6
"""More than this per frame is a saccade, if the lids are open."""
_SHUT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Findings:
    """Of one activity's walk."""

    minutes: float
    correlation: dict[str, float]
    """Highest autocorrelation at a lag of 2 to 60 s, per channel of SWAYING."""
    returns: dict[str, float]
    """The same from 5 s on, where nothing but a repeat can be the cause."""
    blinks_per_min: float
    blink_gap_s: tuple[float, float]
    """Mean and standard deviation from blink to blink."""
    fixation_s: tuple[float, float]
    """Median and mean; micro-saccades end no fixation."""
    on_viewer: float
    """Share of frames with the gaze within 2.5 degrees of the viewer."""
    still: float
    """Share of frames in which neither yaw, pitch nor roll moves."""
    speed: dict[str, float]
    """Greatest change per frame of each channel."""
    jolt: dict[str, float]
    """Greatest second difference per frame of each channel."""


def live(segments: tuple[Segment, ...], seed: int, activity: Activity, minutes: float) -> Channels:
    """Return the frames, float64[T, 15], that the daemon's walk shows of one activity."""
    frames = round(minutes * 60 * FPS)
    clip, first = [], 0
    for each in segments:
        clip.append(assets.Segment(first, each.frames, each.activity, each.begins, each.ends))
        first += each.frames
    by_first = {of_clip.first: each for of_clip, each in zip(clip, segments, strict=True)}
    walk = Walk(clip, seed, ahead=0)
    found: list[Channels] = []
    number = 0
    while number < frames:
        step = walk.at(number, activity)[0]
        found.append(by_first[step.segment.first].track[1:])
        number = step.end
    return np.concatenate(found)[:frames]


def autocorrelation(x: Curve, lags: npt.NDArray[np.int64]) -> Curve:
    """Return the correlation of `x` (float64[T]) with itself that many samples later, -1 to 1 per lag."""
    x = x - x.mean()
    size = 1 << (2 * len(x) - 1).bit_length()
    power = np.abs(np.fft.rfft(x, size)) ** 2
    products = np.fft.irfft(power, size)[lags]
    # Each lag has fewer products than the one before: their mean, not their sum.
    return np.asarray(products / (len(x) - lags) / (x @ x / len(x)))


def measure(life: Channels) -> Findings:
    """Return the figures of a walk's frames, float64[T, 15]."""
    lags = np.arange(round(_LAGS_S[0] * FPS), min(round(_LAGS_S[1] * FPS), len(life) // 2))
    curves = {CHANNELS[k]: autocorrelation(life[:, k], lags) for k in SWAYING}
    far = lags >= 5 * FPS
    steps = np.abs(np.diff(life, axis=0))
    shut = life[:, [ch.LID_LEFT, ch.LID_RIGHT]].min(axis=1) > _SHUT
    starts = np.flatnonzero(shut[1:] & ~shut[:-1]) / FPS
    gaps = np.diff(starts) if len(starts) > 2 else np.array([np.inf])
    fixations = _fixations(life)
    gaze = np.hypot(life[:, ch.GAZE_X], life[:, ch.GAZE_Y])
    minutes = len(life) / FPS / 60
    return Findings(
        minutes,
        {name: float(curve.max()) for name, curve in curves.items()},
        {name: float(curve[far].max()) for name, curve in curves.items()},
        len(starts) / minutes,
        (float(gaps.mean()), float(gaps.std())),
        (float(np.median(fixations)), float(fixations.mean())),
        float((gaze < 2.5).mean()),
        float((steps[:, : ch.SHIFT].max(axis=1) < _STILL_DEG).mean()),
        dict(zip(CHANNELS, steps.max(axis=0).tolist(), strict=True)),
        dict(zip(CHANNELS, np.abs(np.diff(life, 2, axis=0)).max(axis=0).tolist(), strict=True)),
    )


def table(findings: dict[Activity, Findings]) -> str:
    """Return the figures for reading."""
    lines = []
    for activity, f in findings.items():
        lines.append(f"{activity.value}, {f.minutes:.0f} min")
        for name, value in f.correlation.items():
            lines.append(
                f"  {name:14} autocorrelation {value:5.2f} at 2-60 s, {f.returns[name]:5.2f} at 5-60 s"
            )
        lines.append(
            f"  blinks {f.blinks_per_min:.1f}/min, gaps {f.blink_gap_s[0]:.1f} s +- {f.blink_gap_s[1]:.1f}; "
            f"fixations {f.fixation_s[0]:.2f} s (mean {f.fixation_s[1]:.2f}); "
            f"on the viewer {f.on_viewer:.0%}; still {f.still:.1%}"
        )
        lines += [
            f"  {name:14} at most {f.speed[name]:6.3f} a frame, {f.jolt[name]:6.3f} a frame^2"
            for name in CHANNELS
        ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Print the table of one plan."""
    parser = argparse.ArgumentParser(description="Measure a plan of idle life.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args(arguments)
    segments = plan(options.seed, Style())
    total = sum(segment.frames for segment in segments) / FPS
    print(f"{len(segments)} segments, {total:.1f} s")
    print(table({a: measure(live(segments, options.seed, a, options.minutes)) for a in Activity}))


def _fixations(life: Channels) -> Curve:
    """Return how long the gaze rests between jumps, seconds; while lids are shut nobody sees any."""
    seen = life[:, ch.LID_LEFT] < _SHUT
    jump = np.hypot(np.diff(life[:, ch.GAZE_X]), np.diff(life[:, ch.GAZE_Y])) > _JUMP_DEG
    at = np.flatnonzero(jump & seen[1:] & seen[:-1])
    lengths = np.diff(at) / FPS
    return np.asarray(lengths[lengths > 1.5 / FPS] if len(lengths) else np.array([np.inf]))


if __name__ == "__main__":
    main()
