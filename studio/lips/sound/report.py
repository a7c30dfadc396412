"""All figures in one go, as a table and as a dated file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from studio.lips.sound.augment import Noises
from studio.lips.sound.data import read_takes
from studio.lips.sound.evaluate import NOISE_SEED, Case, Make, aligned, figures, sets_of
from studio.lips.sound.human import PACKAGES, Recording, lacking, recordings
from studio.pack import StudioError
from studio.truth.draw import generator
from vcam_talker.face.audio import AudioDriver
from vcam_talker.face.neural.driver import NeuralDriver
from vcam_talker.face.neural.sound import SoundNet, shipped
from vcam_talker.face.phonemes import PhonemeDriver

_COLUMNS: Final = (
    ("r", "jaw"),
    ("r", "width"),
    ("r", "rounding"),
    ("r", "teeth"),
    ("r", "press"),
    ("mae", "jaw"),
    ("bilabials_closed", ""),
    ("touched", ""),
    ("others_closed", ""),
    ("open_in_silence", ""),
    ("open_in_pauses", ""),
    ("offset_ms", ""),
    ("r_loudness", ""),
    ("jaw_open", ""),
    ("jaw_close", ""),
    ("cost", ""),
)


def results(
    data: Path, net: Path | None, root: Path, takes: int, say: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Return set -> driver -> figures. Blocks for some minutes. Raises StudioError, EngineError.

    Recordings that aren't there, and English ones where nothing can align them, are left out; `say` tells.
    """
    found = read_takes(data, "test")[:takes]
    if not found:
        raise StudioError(str(data), "holds no speech of the test split", "Run `make` first")
    network = SoundNet.load(net) if net else shipped()
    sets = sets_of(found, Noises(found, generator(NOISE_SEED, "test noises")))
    people = _people(root, say)
    sets["recorded people, English, aligned"] = _aligned(people, say)
    for language in ("es", "fr", "it", "ru"):
        sets[f"a recorded person, {language}"] = [Case(r.speech()) for r in people if r.language == language]
    drivers: dict[str, tuple[Make, bool]] = {
        "audio": (AudioDriver, False),
        "neural, sound alone": (lambda: NeuralDriver(network), False),
        "neural, with timings": (lambda: NeuralDriver(network), True),
        "phonemes": (PhonemeDriver, True),
    }
    rows: dict[str, dict[str, Any]] = {}
    for name, cases in sets.items():
        if not cases:
            continue
        say(f"{name}: {len(cases)} pieces")
        timed = any(case.speech.phones for case in cases)
        rows[name] = {
            driver: figures(make, cases, phones=phones)
            for driver, (make, phones) in drivers.items()
            if timed or not phones
        }
    return rows


def _people(root: Path, say: Callable[[str], None]) -> list[Recording]:
    lacks = lacking(root)
    if lacks:
        say(f"{root} lacks recordings: {', '.join(lacks)}; their figures are left out")
    return recordings(root) if len(lacks) < PACKAGES else []


def _aligned(people: Sequence[Recording], say: Callable[[str], None]) -> list[Case]:
    try:
        return aligned(people)
    except StudioError as e:
        say(f"{e}; until then recorded English is left out")
        return []


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the figures as a table in Markdown."""
    names = [" ".join(filter(None, column)) for column in _COLUMNS]
    lines = ["| set, driver | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for name, drivers in rows.items():
        for driver, found in drivers.items():
            cells = [found.get(key, {}) if not sub else found.get(key, {}).get(sub) for key, sub in _COLUMNS]
            shown = ["–" if cell is None or cell == {} else str(cell) for cell in cells]
            lines.append(f"| {name}: {driver} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def write(rows: dict[str, dict[str, Any]], to: Path) -> Path:
    """Write the file `to`, if it is called .json, else `to`/DATE.json; return it."""
    path = to if to.suffix == ".json" else to / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path
