"""How fast `vcam-talker render` makes a video."""

from __future__ import annotations

import tempfile
from pathlib import Path

from vcam_talker.app.render import render_file
from vcam_talker.bench.options import Options
from vcam_talker.bench.report import Report, percentile

_RUNS = 3
_TEXT = (
    "Good evening, and welcome to the show! Tonight we have a full table of things to look at. "
    "Some of them are new, some are old friends, and one of them is a complete surprise even to me. "
) * 3


def run(options: Options) -> Report:
    """Render the same text a few times."""
    del options
    report = Report("render")
    with tempfile.TemporaryDirectory() as folder:
        runs = [render_file("mira", Path(folder) / f"{n}.mp4", text=_TEXT, audio=None) for n in range(_RUNS)]
    report.add(
        "render speed, H.264 included, p50", percentile([r.speed for r in runs], 50), "x", 3.0, at_least=True
    )
    report.notes.append(f"{runs[0].duration_s:.1f} s of 1280x720 at 30 fps, {_RUNS} runs")
    return report
