"""From sound to the picture on air: whether the mouth that is seen is the right one, and in time.

Sentences of voices and languages that nothing was trained on go through a face driver and the daemon's own
scene of a presenter. What is drawn is read by the reader of mouths and held against truth, the studio's
picture of the same character with the mouth that the phonemes' times ask for. The expert has its say as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from studio.lips.picture.evaluate import read, reader_of
from studio.lips.sync.data import looked_at
from studio.lips.sync.drawn import Stage, Truth, TruthStage
from studio.lips.sync.evaluate import FRAME_MS, windows_of
from studio.lips.sync.net import Expert
from studio.lips.sync.spoken import TRUTH, Said, Track, at_frames
from studio.lips.sync.timing import REACH, Curve, Timing, correlation, joined, lag
from studio.truth.clips import FPS
from vcam_talker.core.types import Pixels
from vcam_talker.dsp.levels import frame_levels_db

Floats = npt.NDArray[np.float32]
Opening = Callable[[Pixels], Floats]
"""Returns height and width of mouths' insides in pixels, float32[T, 2], of uint8[T, 96, 128, 3]."""
Rows = dict[str, dict[str, dict[str, Any]]]
"""Who draws -> what drives -> figures."""

SHUT_PX: Final = 1.0
"""An inside less high, of a mouth 51 pixels wide, is none. See README.md: of truth's shut mouths the reader
sees nearly all below it, of its open ones hardly any."""
_OPEN_PX: Final = 3.0
"""A mouth of truth so high is open to everybody."""
_WIDE_PX: Final = 2.0
"""Width is compared where truth is higher: that of a shut mouth is 0 in either."""
_LOUD_DB: Final = 40.0
_SMOOTH: Final = 3
_READ_AT_ONCE: Final = 32


@dataclass(slots=True)
class Seen:
    """All pieces of one way to draw and one driver."""

    lags: list[float] = field(default_factory=list)
    """In frames, and the correlation there."""
    rs: list[float] = field(default_factory=list)
    heights: list[Floats] = field(default_factory=list)
    """`float32[T, 2]` of each piece: truth, and what was read."""
    widths: list[Floats] = field(default_factory=list)
    """The same of those that are open."""
    shut: list[bool] = field(default_factory=list)
    """Of each m, b, p."""
    timings: list[Timing] = field(default_factory=list)
    loudness: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Return them as they are reported."""
        found: dict[str, Any] = {"pieces": len(self.timings)}
        if self.heights:
            high, wide = np.concatenate(self.heights), np.concatenate(self.widths)
            lags_ms = np.array(self.lags) * FRAME_MS
            open_ = high[:, 0] >= _OPEN_PX
            found |= {
                "offset_ms": _rounded(np.nanmedian(lags_ms), 1),
                "offset_within_a_frame": _rounded(np.mean(np.abs(lags_ms) <= FRAME_MS), 3),
                "r_at_offset": _rounded(np.mean(self.rs), 3),
                "aperture_r": _rounded(correlation(*high.T), 3),
                "aperture_gain": _rounded(_slope(*high.T), 3),
                "width_r": _rounded(correlation(*wide.T), 3),
                "bilabials": len(self.shut),
                "bilabials_closed": _rounded(np.mean(self.shut), 3) if self.shut else None,
                "open_drawn_shut": _rounded((high[open_, 1] < SHUT_PX).mean(), 4) if open_.any() else None,
            }
        whole = joined([t.curve for t in self.timings])
        offsets = np.array([t.offset_frames for t in self.timings])
        return found | {
            "expert_offset_ms": _rounded(whole.offset_frames * FRAME_MS, 1),
            "expert_within_a_frame": _rounded(np.mean(np.abs(offsets) <= 1), 3),
            "expert_distance": _rounded(np.nanmean([t.distance for t in self.timings]), 3),
            "expert_confidence": _rounded(np.nanmean([t.confidence for t in self.timings]), 3),
            "loudness_r": _rounded(np.mean(self.loudness), 3),
        }


@dataclass(frozen=True, slots=True)
class Judges:
    """Who looks at what was drawn."""

    opening: Opening
    expert: Expert

    def look(self, seen: Seen, piece: Said, pictures: Pixels, truth: Floats | None) -> None:
        """Add a piece to what was seen; `truth` float32[T, 2], where there is one."""
        got = self.opening(pictures)
        seen.timings.append(windows_of(self.expert, looked_at(pictures), piece.speech.samples).timing())
        seen.loudness.append(correlation(_smooth(_loudness(piece)), _smooth(got[:, 0])))
        if truth is None:
            return
        late, r = lag(truth[:, 0], got[:, 0], REACH)
        seen.lags.append(late)
        seen.rs.append(r)
        seen.heights.append(np.stack((truth[:, 0], got[:, 0]), 1))
        wide = truth[:, 0] >= _WIDE_PX
        seen.widths.append(np.stack((truth[wide, 1], got[wide, 1]), 1))
        seen.shut += [bool(got[frame, 0] < SHUT_PX) for frame in piece.bilabials()]


def measure(
    pieces: Sequence[Said],
    tracks: Mapping[str, Sequence[Track]],
    stages: Mapping[str, Stage],
    truth: TruthStage | None,
    judges: Judges,
    into: dict[tuple[str, str], Seen],
    say: Callable[[str], None],
) -> None:
    """Let a presenter's stages show all pieces by all drivers, and add what is seen. Blocks for minutes.

    `truth` is asked where the pieces have references; what it draws is judged as well.
    """
    for number, piece in enumerate(pieces):
        shown: Truth | None = None
        if truth is not None and piece.reference is not None:
            shown = truth.truth(at_frames(piece.reference, piece.frames))
            judges.look(_of(into, TRUTH, TRUTH), piece, shown.pictures, shown.opening)
        for driver, made in tracks.items():
            mouths = at_frames(made[number], piece.frames)
            for who, stage in stages.items():
                pictures = stage.shows(mouths, piece.speech)
                opening = None if shown is None else shown.opening
                judges.look(_of(into, who, driver), piece, pictures, opening)
        say(f"{piece.name}: {piece.frames} frames, {number + 1} of {len(pieces)}")


def rows(seen: Mapping[tuple[str, str], Seen]) -> Rows:
    """Return the figures."""
    found: Rows = {}
    for (who, driver), one in seen.items():
        found.setdefault(who, {})[driver] = one.figures()
    return found


def table(found: Rows) -> str:
    """Return the figures as a table in Markdown."""
    first = next(iter(next(iter(found.values())).values()))
    columns = list(first)
    lines = ["| drawn by | driven by | " + " | ".join(name.replace("_", " ") for name in columns) + " |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for who, drivers in found.items():
        for driver, figures in drivers.items():
            cells = " | ".join("–" if figures.get(c) is None else str(figures[c]) for c in columns)
            lines.append(f"| {who} | {driver} | {cells} |")
    return "\n".join(lines)


def by_reader(path: Path) -> Opening:
    """Return how the reader of mouths sees, which `studio.lips.picture reader` trained."""
    reader = reader_of(path)

    def opening(pictures: Pixels) -> Floats:
        parts = np.array_split(pictures, max(1, len(pictures) // _READ_AT_ONCE))
        return np.concatenate([read(reader, part.astype(np.float32) / np.float32(255)) for part in parts])

    return opening


def _of(into: dict[tuple[str, str], Seen], who: str, driver: str) -> Seen:
    return into.setdefault((who, driver), Seen())


def _loudness(piece: Said) -> Curve:
    levels = frame_levels_db(piece.speech.samples, piece.speech.rate, FPS, piece.frames)
    return np.asarray(np.maximum(levels, levels.max() - _LOUD_DB))


def _smooth(values: Curve) -> Curve:
    return np.convolve(values, np.full(_SMOOTH, 1 / _SMOOTH), "same")


def _slope(truth: Curve, got: Curve) -> float:
    """Return by how much what is seen opens where truth opens by one: least squares."""
    away = truth - truth.mean()
    return float((away * (got - got.mean())).sum() / max(float((away**2).sum()), 1e-9))


def _rounded(value: float | np.floating[Any], digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None
