"""What a set holds, in its own figures: poses, apertures, phones, mouths, people, voices; how it looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from studio.pack import StudioError
from studio.truth.body import BODY_COLUMNS, EMOTIONS
from studio.truth.charts import Histogram, draw_histograms, draw_sheet, save_png
from studio.truth.clips import FPS, VISEMES
from studio.truth.draw import SPLITS, Split, generator
from studio.truth.mouth import closed
from studio.truth.shards import Shard, shard_paths
from vcam_talker.core.types import MOUTH_PARAMS, Pixels

_SHEET: Final = (8, 12)
"""Rows and columns of the contact sheet."""
_PHONES: Final = 40
_AGES: Final = (16, 25, 35, 45, 55, 65, 80)


@dataclass(slots=True)
class _Tally:
    """What is counted of one split."""

    split: Split
    shards: int = 0
    bytes: int = 0
    mouth: list[npt.NDArray[np.float32]] = field(default_factory=list)
    body: list[npt.NDArray[np.float32]] = field(default_factory=list)
    apertures: list[npt.NDArray[np.float32]] = field(default_factory=list)
    phones: Counter[str] = field(default_factory=Counter)
    visemes: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    voices: Counter[str] = field(default_factory=Counter)
    people: dict[int, dict[str, Any]] = field(default_factory=dict)
    clips: int = 0

    @property
    def frames(self) -> int:
        return sum(map(len, self.mouth))

    def add(self, shard: Shard) -> None:
        self.shards += 1
        self.bytes += shard.path.stat().st_size
        self.mouth.append(np.array(shard.mouth))
        self.body.append(np.array(shard.body))
        self.apertures.append(np.array(shard.aperture_px))
        phones = np.bincount(shard.arrays["phone"], minlength=len(shard.facts["phones"]))
        self.phones.update(dict(zip(shard.facts["phones"], phones.tolist(), strict=True)))
        visemes = np.bincount(shard.arrays["viseme"], minlength=len(VISEMES))
        self.visemes.update(dict(zip(VISEMES, visemes.tolist(), strict=True)))
        for clip in shard.clips:
            self.clips += 1
            self.languages[clip["language"]] += clip["frames"]
            self.voices[clip["voice"]] += clip["frames"]
            self.people[clip["person"]] = clip


def write_report(folder: Path, out: Path) -> list[Path]:
    """Write report.md and its pictures into `out`; return their paths. Raises StudioError."""
    paths = shard_paths(folder)
    if not paths:
        raise StudioError(str(folder), "holds no shard", "Make some: python -m studio.truth make")
    out.mkdir(parents=True, exist_ok=True)
    tallies = {split: _Tally(split) for split in SPLITS if shard_paths(folder, split)}
    shards = [Shard(path) for path in paths]
    for shard in shards:
        tallies[shard.facts["plan"]["split"]].add(shard)
    found = list(tallies.values())
    pictures = {"frames.png": _sheet(shards), "histograms.png": draw_histograms(_histograms(found))}
    for name, picture in pictures.items():
        save_png(picture, out / name)
    text = out / "report.md"
    text.write_text("\n".join(_lines(shards, found)) + "\n", encoding="utf-8")
    return [text, *(out / name for name in pictures)]


def _sheet(shards: Sequence[Shard]) -> Pixels:
    """Random frames, evenly over the shards; the outline of the lips on every other row."""
    rng = generator("contact sheet")
    rows, columns = _SHEET
    cells: list[Pixels] = []
    for n in range(rows * columns):
        shard = shards[(n * len(shards) // (rows * columns) + n) % len(shards)]
        index = int(rng.integers(len(shard)))
        rgb = shard.rgb(index)
        if n // columns % 2:
            rgb = _outlined(rgb, shard.mask(index))
        cells.append(rgb)
    return draw_sheet(cells, columns)


def _outlined(rgb: Pixels, mask: Pixels) -> Pixels:
    edge = np.zeros(mask.shape, bool)
    edge[1:] |= mask[1:] != mask[:-1]
    edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    marked = rgb.copy()
    marked[edge] = (90, 255, 120)
    return marked


def _histograms(tallies: Iterable[_Tally]) -> list[Histogram]:
    mouth = np.concatenate([part for t in tallies for part in t.mouth])
    body = np.concatenate([part for t in tallies for part in t.body])
    aperture = np.concatenate([part for t in tallies for part in t.apertures])
    ages = np.array([who["age_years"] for t in tallies for who in t.people.values()])
    melanin = np.array([who["melanin"] for t in tallies for who in t.people.values()])
    columns = {name: body[:, k] for k, name in enumerate(BODY_COLUMNS)}
    shown = [
        Histogram("yaw, degrees", columns["yaw_deg"], -30, 30),
        Histogram("pitch, degrees", columns["pitch_deg"], -18, 18),
        Histogram("roll, degrees", columns["roll_deg"], -15, 15),
        Histogram("aperture, px", aperture, 0, max(1.0, float(aperture.max()))),
    ]
    shown += [
        Histogram(name, mouth[:, k], -1.0 if name == "width" else 0.0, 1.0)
        for k, name in enumerate(MOUTH_PARAMS)
    ]
    return [
        *shown,
        Histogram("lids (left)", columns["lid_left"], -0.4, 1),
        Histogram("gaze right, degrees", columns["gaze_right_deg"], -25, 25),
        Histogram("strongest emotion", np.max([columns[e.value] for e in EMOTIONS], axis=0), 0, 1),
        Histogram("people: age", ages, 16, 80),
        Histogram("people: melanin", melanin, 0, 1),
    ]


def _lines(shards: Sequence[Shard], tallies: Sequence[_Tally]) -> list[str]:
    facts = shards[0].facts
    size, seed = facts["plan"]["size"], facts["plan"]["seed"]
    frames = sum(t.frames for t in tallies)
    lines = [
        "# A truth set",
        "",
        f"{frames:,} crops of {size} x {size} pixels, {FPS} a second, by `{facts['renderer']}`, seed {seed}.",
        "",
        "| split | shards | frames | clips | people | voices | languages | minutes | MB per 100,000 frames |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {t.split} | {t.shards} | {t.frames:,} | {t.clips:,} | {len(t.people)} | {len(t.voices)}"
        f" | {len(t.languages)} | {t.frames / FPS / 60:.1f} | {t.bytes / t.frames / 10:.0f} |"
        for t in tallies
    ]
    lines += ["", f"Shared by two splits: {_shared(tallies)}.", ""]
    lines += ["![Random frames; every second row with its mask's borders](frames.png)", ""]
    lines += ["![Distributions](histograms.png)", "", "## Poses and mouths", ""]
    lines += [*_spread(tallies), "", "## Mouth shapes (share of frames)", "", *_visemes(tallies)]
    lines += ["", f"## The {_PHONES} most frequent phones", ""]
    for t in tallies:
        common = ", ".join(f"`{p}` {n / t.frames:.1%}" for p, n in t.phones.most_common(_PHONES))
        lines += [f"{t.split} ({len(t.phones)} different): {common}", ""]
    lines += ["## People", "", *_people(tallies), "", "## Voices and languages (share of frames)", ""]
    for t in tallies:
        lines += [
            f"{t.split}, languages: {_shares(t.languages)}",
            "",
            f"{t.split}, voices: {_shares(t.voices)}",
            "",
        ]
    return lines[:-1]


def _shared(tallies: Sequence[_Tally]) -> str:
    people: list[set[Any]] = [set(t.people) for t in tallies]
    voices: list[set[Any]] = [set(t.voices) for t in tallies]
    found = {
        "people": sum(map(len, people)) - len(set().union(*people)),
        "voices": sum(map(len, voices)) - len(set().union(*voices)),
    }
    return ", ".join(f"{count} {what}" for what, count in found.items())


def _spread(tallies: Sequence[_Tally]) -> list[str]:
    lines = ["| split | what | mean | deviation | 1 % | 50 % | 99 % |", "|---|---|---|---|---|---|---|"]
    for t in tallies:
        mouth, body = np.concatenate(t.mouth), np.concatenate(t.body)
        values = {name: body[:, BODY_COLUMNS.index(name)] for name in ("yaw_deg", "pitch_deg", "roll_deg")}
        values["aperture_px"] = np.concatenate(t.apertures)
        values.update({name: mouth[:, k] for k, name in enumerate(MOUTH_PARAMS)})
        for name, x in values.items():
            figures = (x.mean(), x.std(), *np.percentile(x, (1, 50, 99)))
            lines.append(f"| {t.split} | {name} | " + " | ".join(f"{f:.2f}" for f in figures) + " |")
        pressed = float(closed(mouth).mean())
        lines.append(f"| {t.split} | lips pressed together, share of frames | {pressed:.3f} | | | | |")
    return lines


def _visemes(tallies: Sequence[_Tally]) -> list[str]:
    lines = [
        "| shape | " + " | ".join(t.split for t in tallies) + " |",
        "|---|" + "---|" * len(tallies),
    ]
    lines += [
        f"| {name} | " + " | ".join(f"{t.visemes[name] / t.frames:.2%}" for t in tallies) + " |"
        for name in VISEMES
        if any(t.visemes[name] for t in tallies)
    ]
    return lines


def _people(tallies: Sequence[_Tally]) -> list[str]:
    lines = []
    for t in tallies:
        who = list(t.people.values())
        ages = Counter(
            f"{low} to {high}"
            for p in who
            for low, high in pairwise(_AGES)
            if low <= p["age_years"] < high or p["age_years"] == high == _AGES[-1]
        )
        origins = Counter(max(p["origin"], key=p["origin"].get) for p in who)
        bearded = sum(p["beard"] > 0.35 for p in who)
        lines += [
            f"- {t.split}: {len(who)} people. Sex: {_counts(p['sex'] for p in who)}. Ages: {_shares(ages)}.",
            f"  Mostly: {_shares(origins)}. Hair: {_counts(p['hair'] for p in who)}.",
            f"  Glasses: {_counts(p['glasses'] for p in who)}. Beards: {bearded}.",
            f"  Clothes: {_counts(p['garment'] for p in who)}.",
        ]
    return lines


def _counts(values: Iterable[str]) -> str:
    return _shares(Counter(values))


def _shares(counts: Counter[str]) -> str:
    whole = sum(counts.values())
    return ", ".join(f"{name} {count / whole:.1%}" for name, count in counts.most_common())
