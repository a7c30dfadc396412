"""What was cut, what it cost and what it brought: one HTML page that needs nothing but itself, and a picture.

Everything shown is escaped; names of layers and people's words can hold what they like. The page loads
nothing, and its own policy forbids it to.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from vcam_talker.core.types import Pixels
from vcam_talker.prune import report_charts as charts
from vcam_talker.prune.files import write_atomically, write_text
from vcam_talker.prune.plan import ChannelPlan
from vcam_talker.prune.report_page import PAGE
from vcam_talker.prune.sensitivity import Scan

HTML_FILE: Final = "report.html"
PICTURE_FILE: Final = "pictures.png"
_GAP: Final = 8


@dataclass(frozen=True, slots=True)
class ReportStep:
    """One row: the dense network, or a round. None: wasn't measured."""

    name: str
    parameters: int
    macs: int
    """For one row of the batch; see `measure`."""
    ms: float | None = None
    """Median of a forward pass, all steps interleaved."""
    memory_bytes: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    untrained: Mapping[str, float] = field(default_factory=dict)
    """Metrics right after the cut."""
    note: str = ""
    """For instance the limit that it breaks."""


@dataclass(frozen=True, slots=True)
class Strip:
    """What one network makes of some samples."""

    title: str
    pictures: Sequence[Pixels]
    """uint8[H, W, 3] each, R, G, B; all strips have as many, of one size."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that is told."""

    title: str
    trained: bool
    """False: nothing was retrained, and the report says so first."""
    facts: Mapping[str, str]
    """How it was made and measured: importance, ratio, engine, machine."""
    steps: Sequence[ReportStep]
    """The dense network first; the last one that is good is what was kept."""
    kept: int
    """Which of `steps` that is."""
    plan: ChannelPlan | None = None
    scan: Scan | None = None
    strips: Sequence[Strip] = ()
    notes: Sequence[str] = ()


def write_report(folder: Path, report: Report) -> list[Path]:
    """Write report.html and, where there are pictures, pictures.png; return their paths.

    Raises BadInputError.
    """
    written = [folder / HTML_FILE]
    write_text(written[0], render_html(report))
    if report.strips:
        written.append(folder / PICTURE_FILE)
        data = _png(side_by_side(report.strips))
        write_atomically(written[1], lambda path: path.write_bytes(data))
    return written


def side_by_side(strips: Sequence[Strip]) -> Pixels:
    """Return uint8[H, W, 3], R, G, B: a row for every strip, a column for every sample."""
    rows = []
    for strip in strips:
        gap = np.full((strip.pictures[0].shape[0], _GAP, 3), 255, np.uint8)
        row = [part for picture in strip.pictures for part in (picture, gap)][:-1]
        rows += [np.concatenate(row, 1)]
    between = np.full((_GAP, rows[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for row in rows for part in (row, between)][:-1], 0)


def render_html(report: Report) -> str:
    """Return the page."""
    body = [
        _head(report),
        _cards(report),
        _table(report),
        _courses(report),
        _pictures(report),
        _layers(report),
    ]
    if report.scan is not None:
        told = "" if report.scan.complete else " The scan isn't finished; what is missing is blank."
        body.append(
            _section(
                "What each layer bears",
                f"One layer alone loses channels, and {escape(report.scan.metric)} rises by so much "
                f"(dense: {report.scan.dense_loss:.4g}).{told}",
                _scrolled(charts.sensitivity(report.scan)),
            )
        )
    body.append(_facts(report))
    return PAGE.replace("@title@", escape(report.title)).replace("@body@", "\n".join(filter(None, body)))


def _head(report: Report) -> str:
    lines = [f"<header><h1>{escape(report.title)}</h1>"]
    if not report.trained:
        lines.append(
            '<p class="warning"><b>Nothing was retrained.</b> Channels were removed and the rest left '
            "as it was. What it draws now is worse than what it can learn; train it before use.</p>"
        )
    lines += [f'<p class="note">{escape(note)}</p>' for note in report.notes]
    return "".join([*lines, "</header>"])


def _cards(report: Report) -> str:
    dense, kept = report.steps[0], report.steps[report.kept]
    cards = [
        _card(
            "Parameters",
            _count(kept.parameters),
            _count(dense.parameters),
            kept.parameters / dense.parameters,
        ),
        _card("Multiplications", _count(kept.macs), _count(dense.macs), kept.macs / dense.macs),
    ]
    if kept.ms and dense.ms:
        faster = dense.ms / kept.ms
        cards.append(
            _card(
                "Time",
                f"{kept.ms:.2f} ms",
                f"{dense.ms:.2f} ms",
                kept.ms / dense.ms,
                f"{faster:.2f}× as fast",
            )
        )
    if kept.memory_bytes and dense.memory_bytes:
        share = kept.memory_bytes / dense.memory_bytes
        cards.append(_card("Memory", _bytes(kept.memory_bytes), _bytes(dense.memory_bytes), share))
    return f'<div class="cards">{"".join(cards)}</div>'


def _card(title: str, value: str, before: str, share: float, told: str = "") -> str:
    line = f"{told}, <span>dense: {before}</span>" if told else f"{share:.0%} of {before}"
    return (
        f'<div class="card"><h2>{title}</h2><p class="big">{value}</p>'
        f'<div class="meter"><i style="width:{min(share, 1) * 100:.1f}%"></i></div>'
        f'<p class="faint">{line}</p></div>'
    )


def _table(report: Report) -> str:
    metrics = list(dict.fromkeys(name for step in report.steps for name in step.metrics))
    timed = any(step.ms for step in report.steps)
    weighed = any(step.memory_bytes for step in report.steps)
    heads = ["", "parameters", "MACs", *(["ms"] if timed else []), *(["memory"] if weighed else []), *metrics]
    rows = []
    for number, step in enumerate(report.steps):
        cells = [_count(step.parameters), _count(step.macs)]
        cells += [f"{step.ms:.2f}" if step.ms else "–"] if timed else []
        cells += [_bytes(step.memory_bytes) if step.memory_bytes else "–"] if weighed else []
        cells += [_figure(step.metrics.get(name, math.nan)) for name in metrics]
        marks = "kept" if number == report.kept else "broken" if step.note else ""
        name = escape(step.name) + (f"<small>{escape(step.note)}</small>" if step.note else "")
        rows.append(f'<tr class="{marks}"><th>{name}</th>{"".join(f"<td>{c}</td>" for c in cells)}</tr>')
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return _section("Step by step", "The marked row is what was kept.", _scrolled(table))


def _courses(report: Report) -> str:
    if len(report.steps) < 2 or not report.steps[0].metrics:
        return ""
    names = [step.name for step in report.steps]
    pictures = []
    for metric in report.steps[0].metrics:
        values = [step.metrics.get(metric, math.nan) for step in report.steps]
        before = [step.untrained.get(metric, math.nan) for step in report.steps]
        chart = charts.course(metric, names, values, before)
        pictures.append(f"<figure><figcaption>{escape(metric)}</figcaption>{chart}</figure>")
    told = (
        "Filled dots: after training. Open ones: right after the cut, before any." if report.trained else ""
    )
    return _section("Quality", told, f'<div class="courses">{"".join(pictures)}</div>')


def _pictures(report: Report) -> str:
    if not report.strips:
        return ""
    rows = []
    for strip in report.strips:
        images = "".join(
            f'<img alt="{escape(strip.title)}, sample {number}" '
            f'src="data:image/png;base64,{base64.b64encode(_png(picture)).decode("ascii")}">'
            for number, picture in enumerate(strip.pictures, 1)
        )
        rows.append(
            f'<figure class="strip"><figcaption>{escape(strip.title)}</figcaption>'
            f"<div>{images}</div></figure>"
        )
    return _section("Side by side", "The same samples, one column each.", "".join(rows))


def _layers(report: Report) -> str:
    if report.plan is None:
        return ""
    chart = charts.kept_channels(report.plan.dense["channels"], report.plan.net["channels"])
    kept, dense = report.plan.channels
    return _section("Channels, layer by layer", f"{kept} of {dense} are kept.", _scrolled(chart))


def _facts(report: Report) -> str:
    facts = {**report.facts, **({"plan": report.plan.digest()} if report.plan else {})}
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return _section("How it was made and measured", "", f"<dl>{rows}</dl>")


def _section(title: str, told: str, content: str) -> str:
    lead = f"<p>{told}</p>" if told else ""
    return f"<section><h2>{escape(title)}</h2>{lead}{content}</section>"


def _scrolled(content: str) -> str:
    return f'<div class="scroll">{content}</div>'


def _png(picture: Pixels) -> bytes:
    _, data = cv2.imencode(".png", picture[:, :, ::-1])
    return data.tobytes()


def _figure(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "–"


def _count(number: int) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.2f} {unit}"
    return str(number)


def _bytes(number: int) -> str:
    return f"{number / 1e6:.0f} MB" if number >= 1e7 else f"{number / 1e6:.1f} MB"
