"""What the picture net learns from: faces at rest, and the very same moments with other mouths.

A *file* shows one person in some lights; in each light some heads (turned, leaning, smiling), and each head
at rest and with several mouths. Rest and mouths of a head are twins: same camera, same light, same everything
but the mouth, which is all that the net is to change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.character import Character, load_character
from studio.truth import container
from studio.truth.body import BODY_COLUMNS, body_track, pose_of
from studio.truth.clips import FPS, speak
from studio.truth.draw import Split, digest, generator
from studio.truth.mouth import random_style
from studio.truth.people import people_of, person
from studio.truth.pictures import JpegWriter, pack_mask
from studio.truth.render import RenderedPerson, TruthFrame, TruthRenderer, checked
from studio.truth.shot import Shot, draw_shot
from studio.truth.voices import Speaker, draw_voice
from vcam_talker.core.types import MOUTH_PARAMS
from vcam_talker.face.visemes import SHAPES, Kind

SIZE: Final = 224
"""Pixels across and down a crop: a mouth is some 80 wide, as on a presenter's face at 1280 x 720."""
HEADS: Final = 8
MOUTHS: Final = 7
"""Of each head, besides rest."""
LIGHTS: Final = 2

_SCALE: Final = 1.3
_OFFSET: Final = (0.0, -0.38)
"""Bring the mouth into the crop's middle, a little above it: chins come down."""
_TURNED: Final = {"yaw_deg": (7.0, 20.0), "pitch_deg": (4.0, 12.0), "roll_deg": (2.5, 8.0)}
"""Deviation and limit: idle life turns a head by some 5 degrees, people of pictures look anywhere."""
_SPOKEN: Final = 0.6
_VISEMES: Final = 0.2
"""Shares of mouths from running speech and of single mouth shapes; the rest: anything that is possible."""
_SPEECH_FRAMES: Final = 600

Poses = npt.NDArray[np.float32]
"""float32[N, 7], columns as in MOUTH_PARAMS."""


@dataclass(frozen=True, slots=True)
class Sitter:
    """Whose pictures a file holds."""

    name: str
    """Of the file: `person-0017`, `elena`."""
    character: Character
    split: Split
    lights: int = LIGHTS
    own_light: bool = False
    """Every other light is the character's own."""


def people(split: Split, count: int) -> list[Sitter]:
    """Return the first `count` people of a split."""
    numbers = people_of(split)[:count]
    return [Sitter(f"person-{number:04}", person(number).character, split) for number in numbers]


def presenters(paths: Sequence[Path], lights: int) -> list[Sitter]:
    """Return the described presenters, of split train. Raises StudioError."""
    return [Sitter(path.stem, load_character(path), "train", lights, own_light=True) for path in paths]


def path_of(folder: Path, sitter: Sitter) -> Path:
    """Return where a sitter's file lies."""
    return folder / f"{sitter.split}-{sitter.name}{container.SUFFIX}"


def draw_sitter(sitter: Sitter, renderer: TruthRenderer, speaker: Speaker) -> dict[str, container.Array]:
    """Draw a sitter: `lights * HEADS * (1 + MOUTHS)` frames, rest first in each head.

    Returns `jpeg` and `mask` (bytes one after another, with `jpeg_at`, `mask_at` int64[N + 1]), `mouth`
    float32[N, 7], `landmarks` float32[N, 41, 2] and `head` int32[N], which counts over all lights. Blocks for
    seconds. Raises StudioError, EngineError.
    """
    writer = JpegWriter(SIZE)
    seed = digest("strands", sitter.name) & 0x7FFF_FFFF
    somebody = renderer.person(sitter.character, seed)
    jpegs: list[bytes] = []
    masks: list[bytes] = []
    rows: list[npt.NDArray[np.float32]] = []
    marks: list[npt.NDArray[np.float32]] = []
    for light in range(sitter.lights):
        rng = generator("lips", "picture", sitter.name, light)
        shot = _shot(sitter, light, rng)
        mouths = draw_mouths(sitter.split, HEADS * MOUTHS, rng, speaker).reshape(HEADS, MOUTHS, -1)
        for body, poses in zip(draw_heads(rng, HEADS), mouths, strict=True):
            for mouth in _rest_and(poses):
                frame = _frame(somebody, body, mouth, shot)
                jpegs.append(writer.pack(frame.rgb))
                masks.append(pack_mask(frame.masks))
                rows.append(mouth)
                marks.append(frame.landmarks)
    return {
        "jpeg": np.frombuffer(b"".join(jpegs), np.uint8),
        "jpeg_at": np.cumsum([0, *map(len, jpegs)], dtype=np.int64),
        "mask": np.frombuffer(b"".join(masks), np.uint8),
        "mask_at": np.cumsum([0, *map(len, masks)], dtype=np.int64),
        "mouth": np.stack(rows),
        "landmarks": np.stack(marks).astype(np.float32),
        "head": np.repeat(np.arange(sitter.lights * HEADS, dtype=np.int32), 1 + MOUTHS),
    }


def draw_heads(rng: np.random.Generator, count: int) -> npt.NDArray[np.float32]:
    """Return body rows (float32[count, len(BODY_COLUMNS)]): most look nearly ahead."""
    rows = np.concatenate([body_track(rng, 1, FPS) for _ in range(count)])
    for name, (sigma, limit) in _TURNED.items():
        column = BODY_COLUMNS.index(name)
        rows[:, column] = np.clip(rng.normal(0, sigma, count), -limit, limit)
    return rows


def draw_mouths(split: Split, count: int, rng: np.random.Generator, speaker: Speaker) -> Poses:
    """Return mouths: mostly out of speech in a voice of the split, some single shapes, some at random."""
    voice = draw_voice(split, rng)
    spoken = speak(split, voice, random_style(rng), _SPEECH_FRAMES, rng, speaker).mouth
    moving = spoken[np.abs(spoken).max(1) > 0.03]
    kind = rng.random(count)
    out = np.zeros((count, len(MOUTH_PARAMS)), np.float32)
    for row, chance in zip(out, kind, strict=True):
        if chance < _SPOKEN and len(moving):
            row[:] = moving[int(rng.integers(len(moving)))]
        elif chance < _SPOKEN + _VISEMES:
            row[:] = _viseme(rng)
        else:
            row[:] = _anything(rng)
    return out


def _shot(sitter: Sitter, light: int, rng: np.random.Generator) -> Shot:
    shot = replace(draw_shot(rng), scale=_SCALE, offset=_OFFSET)
    return replace(shot, light=sitter.character.light) if sitter.own_light and light % 2 == 0 else shot


def _rest_and(poses: Poses) -> Iterator[npt.NDArray[np.float32]]:
    yield np.zeros(len(MOUTH_PARAMS), np.float32)
    yield from poses


def _viseme(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    shapes = [shape for shape in SHAPES.values() if shape.kind not in {Kind.REST, Kind.MARK}]
    shape = shapes[int(rng.integers(len(shapes)))]
    pose = np.array([getattr(shape, name) for name in MOUTH_PARAMS], np.float32)
    factor = 1.0 if shape.kind is Kind.BILABIAL else float(rng.uniform(0.4, 1.3))
    return np.asarray(np.clip(pose * np.float32(factor), -1, 1), np.float32)


def _anything(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return a mouth of independent parameters: what no voice says, but a mixture on its way may show."""
    jaw = float(rng.beta(1.2, 2.0))
    rounding = float(rng.beta(0.6, 1.2))
    width = float(np.clip(rng.normal(0.2 - rounding, 0.4), -1, 1))
    protrusion = float(np.clip(rounding * rng.uniform(0.5, 1.1), 0, 1))
    pose = [jaw, width, rounding, protrusion, float(rng.beta(1, 1.5)), float(rng.beta(0.7, 2)), 0.0]
    return np.array(pose, np.float32)


def _frame(
    somebody: RenderedPerson, body: npt.NDArray[np.float32], mouth: npt.NDArray[np.float32], shot: Shot
) -> TruthFrame:
    return checked(somebody.frame(pose_of(body, mouth), shot), SIZE)
