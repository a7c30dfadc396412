"""`vcam-talker bench NAME`: figures measured from outside, on the real daemon and its real devices."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy is not needed to list the names
    from vcam_talker.bench.options import Options
    from vcam_talker.bench.report import Report

_BENCHES = {
    "pacing": "vcam_talker.bench.pacing",
    "latency": "vcam_talker.bench.latency",
    "av-sync": "vcam_talker.bench.av_sync",
    "idle": "vcam_talker.bench.idle",
    "start": "vcam_talker.bench.start",
    "render": "vcam_talker.bench.render",
    "cache": "vcam_talker.bench.cache",
    "loop": "vcam_talker.bench.loop",
    "chat": "vcam_talker.bench.chat",
    "face": "vcam_talker.bench.face",
    "obs": "vcam_talker.bench.obs",
    "llm": "vcam_talker.bench.llm",
    "lipsync": "vcam_talker.bench.lipsync",
}
NAMES = tuple(_BENCHES)
ON_AIR = ("pacing", "latency", "av-sync", "idle", "start")
"""Those that can be measured with everything on."""
ON_GPU = ("lipsync",)
"""Those that can be measured on a GPU."""


def run_bench(name: str, options: Options) -> Report:
    """Run one bench. Raises VcamTalkerError."""
    report: Report = import_module(_BENCHES[name]).run(options)
    return report
