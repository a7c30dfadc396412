"""The report: complete, escaped, self-contained."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.prune_nets import Residual
from vcam_talker.prune.allot import CutSettings
from vcam_talker.prune.cut import choose, whole
from vcam_talker.prune.graph import trace
from vcam_talker.prune.importance import magnitude
from vcam_talker.prune.plan import ChannelPlan
from vcam_talker.prune.report import Report, ReportStep, Strip, render_html, side_by_side, write_report
from vcam_talker.prune.report_charts import course
from vcam_talker.prune.sensitivity import Row, Scan

pytestmark = pytest.mark.unit

_HOSTILE = '<script>alert("1")</script>&\'"><img src=x onerror=alert(1)>'


class _Tags(HTMLParser):
    """Which elements and attributes there are, and that every one that opens is closed."""

    _VOID = frozenset({"meta", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _report(plan: ChannelPlan | None = None, **more: object) -> Report:
    steps = [
        ReportStep("dense", 36_300_000, 3_970_000_000, 60.9, 341_000_000, {"l1": 0.02, "psnr": 31.0}),
        ReportStep(
            "round 1", 16_800_000, 1_540_000_000, 28.2, 180_000_000, {"l1": 0.021, "psnr": 30.8},
            {"l1": 0.06, "psnr": 22.0},
        ),
        ReportStep("round 2", 9_000_000, 900_000_000, 20.1, metrics={"l1": math.nan}, note="breaks l1<=1"),
    ]  # fmt: skip
    made = Report("Title", True, {"engine": "torch"}, steps, 1, plan)
    return replace(made, **more)  # type: ignore[arg-type]


def _plan() -> ChannelPlan:
    net = Residual.seeded(1)
    graph = trace(net, Residual.inputs())
    return choose(graph, magnitude(net, graph), CutSettings(0.3, 1), whole(net, net.plan()), {})


def _seen(report: Report) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(render_html(report))
    parser.close()
    assert not parser.open
    return parser.seen


def _picture(value: int) -> np.ndarray:
    return np.full((12, 16, 3), (value, 0, 255 - value), np.uint8)


def test_it_tells_the_figures_of_every_step() -> None:
    html = render_html(_report(_plan()))
    for told in (
        "36.30 M",
        "16.80 M",
        "3.97 G",
        "1.54 G",
        "60.90",
        "28.20",
        "2.16× as fast",
        "341 MB",
        "breaks l1",
    ):
        assert told in html
    assert "Nothing was retrained" not in html
    assert "nan" not in html.replace("tabular-nums", "")


def test_it_says_first_when_nothing_was_retrained() -> None:
    html = render_html(_report(trained=False))
    assert 0 < html.index("Nothing was retrained") < html.index("36.30 M")


def test_every_word_is_escaped() -> None:
    plan = _plan()
    hostile = ChannelPlan({**plan.dense, "channels": {_HOSTILE: 16}}, plan.layers)
    scan = Scan(
        _HOSTILE, 1.0, [Row(_HOSTILE, 0.1, 10, 1, 1.5), Row("b", 0.2, 10, 2, math.nan)], complete=False
    )
    steps = [replace(step, name=_HOSTILE, metrics={_HOSTILE: 1.0}, note=_HOSTILE) for step in _report().steps]
    strips = [Strip(_HOSTILE, [_picture(1)])]
    report = _report(
        hostile,
        title=_HOSTILE,
        facts={_HOSTILE: _HOSTILE},
        steps=steps,
        scan=scan,
        strips=strips,
        notes=[_HOSTILE],
    )
    seen = _seen(report)
    assert not [tag for tag, _ in seen if tag == "script"]
    assert not [name for _, attrs in seen for name in attrs if name.startswith("on")]
    assert all(
        str(attrs.get("src")).startswith("data:image/png;base64,") for tag, attrs in seen if tag == "img"
    )
    assert "no number" in render_html(report)


def test_it_needs_nothing_but_itself() -> None:
    html = render_html(_report(_plan(), strips=[Strip("truth", [_picture(1), _picture(2)])]))
    assert not re.search(r"https?:|url\(|@import|<link|<script|<iframe", html)
    assert "default-src 'none'" in html


def test_charts_show_all_parts_and_rows() -> None:
    plan = _plan()
    scan = Scan(
        "l1", 0.02, [Row("stem.0", 0.1, 16, 1, 0.03), Row("inner1.0", 0.1, 8, 1, 0.02)], complete=True
    )
    seen = _seen(_report(plan, scan=scan))
    rectangles = [attrs["class"] for tag, attrs in seen if tag == "rect"]
    assert rectangles.count("kept") == len(plan.net["channels"]) == rectangles.count("had")
    assert rectangles.count("heat") == 2
    assert "+50.0%" in render_html(_report(plan, scan=scan))


def test_ticks_that_lie_close_are_told_apart() -> None:
    chart = course("l1", ["dense", "round 1"], [0.2521, 0.2523], [math.nan, 0.2522])
    ticks = re.findall(r'text-anchor="end">([\d.]+)<', chart)
    assert len({tick for tick in ticks if "." in tick}) == 3
    wide = course("l1", ["dense", "round 1"], [1000.0, 1800.0], [math.nan, math.nan])
    assert re.findall(r'text-anchor="end">([^<]+)<', wide)[0] == "904"


def test_pictures_stand_side_by_side(tmp_path: Path) -> None:
    strips = [Strip("dense", [_picture(10), _picture(20)]), Strip("pruned", [_picture(30), _picture(40)])]
    sheet = side_by_side(strips)
    assert sheet.shape == (12 + 8 + 12, 16 + 8 + 16, 3)
    assert sheet[20, 24].tolist() == [40, 0, 215]
    written = write_report(tmp_path / "new", _report(strips=strips))
    assert [p.name for p in written] == ["report.html", "pictures.png"]
    back = cv2.imread(str(written[1]))
    assert back is not None
    assert np.array_equal(back[:, :, ::-1], sheet)
    assert [p.name for p in write_report(tmp_path / "none", _report())] == ["report.html"]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["pictures.png", "report.html"]


def test_what_was_not_measured_is_a_dash() -> None:
    steps = [ReportStep("dense", 100, 2000), ReportStep("pruned", 50, 900)]
    html = render_html(_report(steps=steps, kept=1))
    assert "Time" not in html
    assert "50% of 100" in html
    mixed = [replace(steps[0], ms=2.0), steps[1]]
    assert "–" in render_html(_report(steps=mixed, kept=1))
