"""The report's charts: inline SVG, coloured by the page's style so that they follow light and dark. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final, Literal

from vcam_talker.prune.sensitivity import Scan

_ROW: Final = 20
_LABEL: Final = 250
"""Where bars and cells begin; names stand left of it."""
_WIDTH: Final = 900
_LONGEST_NAME: Final = 34
_MOST_DIGITS: Final = 7
"""Behind the point; finer ticks than that are noise."""

Anchor = Literal["start", "middle", "end"]


def kept_channels(dense: Mapping[str, int], kept: Mapping[str, int]) -> str:
    """Return a bar for every part of a network's plan: what it had, and filled what it keeps."""
    scale = (_WIDTH - _LABEL - 130) / max(dense.values())
    parts = []
    for number, (name, before) in enumerate(dense.items()):
        y = number * _ROW + 4
        after = kept[name]
        told = f"of {before}, −{1 - after / before:.0%}" if after < before else f"of {before}, whole"
        bars = "".join(
            f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{count * scale:.1f}" height="13" rx="3"/>'
            for kind, count in (("had", before), ("kept", after))
        )
        parts.append(
            f"<g>{_title(f'{name}: {after} of {before} channels')}"
            + _text(_LABEL - 12, y + 11, _short(name), "end", "label")
            + bars
            + _text(_LABEL + before * scale + 9, y + 11, str(after), "start", "value", told)
            + "</g>"
        )
    return _svg("Channels kept, part by part", len(dense) * _ROW + 6, parts)


def sensitivity(scan: Scan) -> str:
    """Return a table of colours: how much the loss rises when one layer alone loses so many channels."""
    ratios = sorted({row.ratio for row in scan.rows})
    layers = list(dict.fromkeys(row.layer for row in scan.rows))
    wide = min(140.0, (_WIDTH - _LABEL) / max(len(ratios), 1))
    left = {ratio: _LABEL + i * wide for i, ratio in enumerate(ratios)}
    parts = [_text(x + wide / 2, 14, f"−{ratio:.0%}", "middle", "label") for ratio, x in left.items()]
    top = {layer: 22 + number * _ROW for number, layer in enumerate(layers)}
    parts += [_text(_LABEL - 12, y + 14, _short(layer), "end", "label") for layer, y in top.items()]
    for row in scan.rows:
        rise = _rise(row.loss, scan.dense_loss)
        x, y = left[row.ratio], top[row.layer]
        told = f"{row.layer}: {row.removed} of {row.channels} gone, {scan.metric} {row.loss:.4g}"
        parts.append(
            f'<g>{_title(told)}<rect class="heat" x="{x + 1:.1f}" y="{y}" width="{wide - 2:.1f}" '
            f'height="{_ROW - 2}" rx="3" style="--heat:{_heat(rise):.0f}%"/>'
            + _text(x + wide / 2, y + 13, f"{rise:+.1%}" if math.isfinite(rise) else "no number", "middle")
            + "</g>"
        )
    return _svg(f"How much {scan.metric} rises, layer by layer", 24 + len(layers) * _ROW, parts)


def course(title: str, names: Sequence[str], values: Sequence[float], before: Sequence[float]) -> str:
    """Return a small chart of one metric over the rounds. `before`: right after each cut; NaN: none."""
    width, height = 300, 170
    left, right, top, bottom = 54, 286, 14, 142
    known = [v for v in (*values, *before) if math.isfinite(v)] or [0.0, 1.0]
    margin = (max(known) - min(known)) * 0.12 or abs(known[0]) * 0.1 or 1.0
    low, high = min(known) - margin, max(known) + margin
    xs = [left + (right - left) * i / max(len(values) - 1, 1) for i in range(len(values))]

    def y(value: float) -> float:
        return top + (bottom - top) * (high - value) / (high - low)

    parts = []
    for value in (low, (low + high) / 2, high):
        parts.append(_line("grid", left, right, y(value), y(value)))
        parts.append(_text(left - 7, y(value) + 4, _tick(value, high - low), "end", "label"))
    for x, cut, value in zip(xs, before, values, strict=True):
        if math.isfinite(cut) and math.isfinite(value):
            parts.append(_line("learnt", x, x, y(cut), y(value)))
            parts.append(_dot("cut", x, y(cut), f"right after the cut: {cut:.4g}"))
    points = " ".join(f"{x:.1f},{y(v):.1f}" for x, v in zip(xs, values, strict=True) if math.isfinite(v))
    parts.append(f'<polyline class="course" points="{points}"/>')
    for number, (x, name, value) in enumerate(zip(xs, names, values, strict=True)):
        if math.isfinite(value):
            parts.append(_dot("dot", x, y(value), f"{name}: {value:.4g}"))
        anchor: Anchor = "start" if number == 0 else "end" if number == len(xs) - 1 else "middle"
        parts.append(_text(x, height - 8, name.removeprefix("round "), anchor, "label"))
    return _svg(f"{title} over the rounds", height, parts, width)


def _tick(value: float, span: float) -> str:
    """Return a number with as many digits as tell it from its neighbours, half a span away."""
    digits = 1 - math.floor(math.log10(span))
    return f"{value:.{digits}f}" if 0 < digits < _MOST_DIGITS else f"{value:.3g}"


def _svg(title: str, height: float, parts: Sequence[str], width: int = _WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{escape(title)}" '
        f'style="max-width:{width}px">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, content: str, anchor: Anchor, kind: str = "value", more: str = "") -> str:
    """Return a line of text; `more` follows in a fainter colour."""
    tail = f'<tspan class="faint"> {escape(more)}</tspan>' if more else ""
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}{tail}</text>'
    )


def _title(content: str) -> str:
    return f"<title>{escape(content)}</title>"


def _line(kind: str, x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _dot(kind: str, x: float, y: float, told: str) -> str:
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4">{_title(told)}</circle>'


def _short(name: str) -> str:
    """Return a name that fits beside a bar; the whole one is in the title."""
    shown = name.removesuffix(".conv_block.0")
    return shown if len(shown) <= _LONGEST_NAME else f"…{shown[1 - _LONGEST_NAME :]}"


def _rise(loss: float, dense: float) -> float:
    if not math.isfinite(loss):
        return math.inf
    return (loss - dense) / abs(dense) if dense else (math.inf if loss > 0 else 0.0)


def _heat(rise: float) -> float:
    """Return how strong a cell's colour is, in percent: logarithmic, full from a rise of 100 % on."""
    if rise <= 0:
        return 0.0
    return 100.0 if math.isinf(rise) else min(100.0, 100 * math.log1p(30 * rise) / math.log1p(30))
