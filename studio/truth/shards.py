"""Shards: some two thousand frames of a set in one file, and the set as one long row of frames.

All of a frame is known: the picture, the mouth's parameters, everything else that moves, landmarks, aperture,
mask, phone and viseme; of its clip the sound, the phones' times, the person, the voice and the shot.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from studio.pack import StudioError
from studio.truth import container
from studio.truth.body import BODY_COLUMNS
from studio.truth.clips import AUDIO_MARGIN_S, FPS, VISEMES, Audio, Clip, Plan, make_clip
from studio.truth.draw import SPLITS, Split, digest, generator
from studio.truth.drawn import DrawnClip, packed
from studio.truth.pictures import JpegWriter, pack_mask, unpack_jpeg, unpack_mask
from studio.truth.render import Label, RenderedPerson, TruthFrame, TruthRenderer, checked
from studio.truth.shot import developed
from studio.truth.voices import AUDIO_RATE, Speaker
from vcam_talker.core.types import MOUTH_PARAMS, Pixels

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """All that is known of one frame."""

    rgb: Pixels
    """uint8[size, size, 3]."""
    mask: Pixels
    """uint8[size, size] of `render.Label`."""
    mouth: npt.NDArray[np.float32]
    """float32[7], see MOUTH_PARAMS."""
    body: npt.NDArray[np.float32]
    """float32[len(BODY_COLUMNS)]."""
    landmarks: npt.NDArray[np.float32]
    """float32[41, 2], px."""
    aperture_px: float
    phone: str
    viseme: str
    frame: int
    """Within its clip; its moment is `frame / FPS`, its first sample `frame * 640`."""
    clip: dict[str, Any]
    """Of the clip: number, person, voice, language, texts, phones, shot."""


def shard_path(folder: Path, split: Split, shard: int) -> Path:
    """Return where a shard lies."""
    return folder / f"{split}-{shard:06}{container.SUFFIX}"


def shard_paths(folder: Path, split: Split | None = None) -> list[Path]:
    """Return the shards that there are, of one split or of all, in order."""
    found = (
        path
        for name in ((split,) if split else SPLITS)
        for path in folder.glob(f"{name}-*{container.SUFFIX}")
    )
    return sorted(found, key=lambda p: (SPLITS.index(p.name.partition("-")[0]), p.name))


def build_shard(
    plan: Plan,
    shard: int,
    renderer_name: str,
    renderer: TruthRenderer,
    speaker: Speaker,
    kept: Path | None = None,
) -> dict[str, container.Array]:
    """Make a shard: speak, draw, pack. Blocks for all of it. Raises StudioError, EngineError.

    `kept`: folder for the clips that are drawn; those it has already are not drawn again.
    """
    rows = _Rows()
    artist = _Artist(plan, renderer)
    for clip in _clips(plan, shard, speaker):
        path = kept / f"{clip.number}{container.SUFFIX}" if kept else None
        drawn = DrawnClip.read(path) if path else None
        if drawn is None:
            drawn = artist.draw(clip)
            if path:
                drawn.write(path)
        rows.add(clip, drawn)
    return rows.arrays(
        {
            "format": FORMAT,
            "plan": asdict(plan),
            "renderer": renderer_name,
            "shard": shard,
            "fps": FPS,
            "audio_rate": AUDIO_RATE,
            "audio_margin_s": AUDIO_MARGIN_S,
            "mouth_columns": MOUTH_PARAMS,
            "body_columns": BODY_COLUMNS,
            "visemes": VISEMES,
            "labels": {label.name.lower(): int(label) for label in Label},
        }
    )


class _Artist:
    """Draws clips, one after another; who comes twice is built once."""

    def __init__(self, plan: Plan, renderer: TruthRenderer) -> None:
        self._plan = plan
        self._renderer = renderer
        self._writer = JpegWriter(plan.size)
        self._somebody: tuple[int, RenderedPerson] | None = None

    def draw(self, clip: Clip) -> DrawnClip:
        number = clip.person.number
        if self._somebody is None or self._somebody[0] != number:
            seed = digest("strands", number) & 0x7FFF_FFFF
            self._somebody = (number, self._renderer.person(clip.person.character, seed))
        rng = generator(self._plan.seed, self._plan.split, clip.number, "sensor")
        jpegs: list[bytes] = []
        frames: list[TruthFrame] = []
        for pose in clip.poses():
            frame = checked(self._somebody[1].frame(pose, clip.shot), self._plan.size)
            jpegs.append(self._writer.pack(developed(frame.rgb, clip.shot, rng)))
            frames.append(frame)
        return DrawnClip(
            jpegs,
            [pack_mask(frame.masks) for frame in frames],
            np.stack([frame.landmarks for frame in frames]).astype(np.float32),
            np.array([frame.aperture_px for frame in frames], np.float32),
        )


def _clips(plan: Plan, shard: int, speaker: Speaker) -> Iterator[Clip]:
    """Yield a shard's clips; while one is drawn, the next ones are spoken."""
    pool = ThreadPoolExecutor(1, "speech")
    first = shard * plan.shard_clips
    try:
        yield from pool.map(lambda k: make_clip(plan, first + k, speaker), range(plan.shard_clips))
    finally:
        pool.shutdown(cancel_futures=True)


class Shard:
    """One file, mapped: opening reads its facts, a frame reads its bytes. Any number of threads may read."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises StudioError that names it when it is damaged."""
        self.path = path
        self.arrays = container.read(path)
        try:
            self.facts: dict[str, Any] = json.loads(self.arrays["facts"].tobytes())
            self._phones: list[str] = self.facts["phones"]
            self.size = int(self.facts["plan"]["size"])
            self.mouth, self.body = self.arrays["mouth"], self.arrays["body"]
            self.landmarks, self.aperture_px = self.arrays["landmarks"], self.arrays["aperture_px"]
            self.clip_of, self.frame_of = self.arrays["clip"], self.arrays["frame"]
        except (KeyError, ValueError) as e:
            raise StudioError(str(path), f"is no shard of a truth set ({e})") from None

    def __len__(self) -> int:
        return len(self.mouth)

    @property
    def clips(self) -> list[dict[str, Any]]:
        """What is known of its clips, in order."""
        found: list[dict[str, Any]] = self.facts["clips"]
        return found

    def rgb(self, index: int) -> Pixels:
        """Return a crop, uint8[size, size, 3]."""
        return unpack_jpeg(self._blob("jpeg", index))

    def mask(self, index: int) -> Pixels:
        """Return a label map, uint8[size, size]."""
        return unpack_mask(self._blob("mask", index), self.size)

    def audio(self, clip: int) -> Audio:
        """Return a clip's sound by its index in the shard, int16[frames * 640 + 3200]."""
        ends = self.arrays["audio_at"]
        return np.asarray(self.arrays["audio"][ends[clip] : ends[clip + 1]])

    def phone(self, index: int) -> str:
        """Return the phone that sounds at a frame's moment."""
        return self._phones[int(self.arrays["phone"][index])]

    def viseme(self, index: int) -> str:
        """Return the name of its mouth shape."""
        return VISEMES[int(self.arrays["viseme"][index])]

    def sample(self, index: int) -> Sample:
        """Return everything about a frame."""
        return Sample(
            rgb=self.rgb(index),
            mask=self.mask(index),
            mouth=np.asarray(self.mouth[index]),
            body=np.asarray(self.body[index]),
            landmarks=np.asarray(self.landmarks[index]),
            aperture_px=float(self.aperture_px[index]),
            phone=self.phone(index),
            viseme=self.viseme(index),
            frame=int(self.frame_of[index]),
            clip=self.clips[int(self.clip_of[index])],
        )

    def _blob(self, name: str, index: int) -> bytes:
        ends = self.arrays[f"{name}_at"]
        blob: bytes = self.arrays[name][ends[index] : ends[index + 1]].tobytes()
        return blob


class TruthSet:
    """All shards of a split as one row of frames: `len(truth)`, `truth[index]`."""

    def __init__(self, folder: Path, split: Split) -> None:
        """Open every shard. Raises StudioError for a damaged one, or when there is none."""
        self.shards = [Shard(path) for path in shard_paths(folder, split)]
        if not self.shards:
            raise StudioError(
                str(folder), f"holds no shard of '{split}'", "Make some: python -m studio.truth make"
            )
        self._ends = np.cumsum([len(shard) for shard in self.shards]).tolist()

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Sample:
        shard, at = self.place(index)
        return shard.sample(at)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def place(self, index: int) -> tuple[Shard, int]:
        """Return the shard of a frame, and which of its frames it is; below 0 from the end. IndexError."""
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect_right(self._ends, index)
        return self.shards[number], index - (self._ends[number - 1] if number else 0)


class _Rows:
    """Collects a shard's frames and clips."""

    def __init__(self) -> None:
        self._clips: list[Clip] = []
        self._drawn: list[DrawnClip] = []
        self._phones: list[str] = []

    def add(self, clip: Clip, drawn: DrawnClip) -> None:
        self._clips.append(clip)
        self._drawn.append(drawn)
        self._phones += clip.phone_at_frames()

    def arrays(self, facts: dict[str, Any]) -> dict[str, container.Array]:
        phones = [phone for phone, _ in Counter(self._phones).most_common()]
        numbers = {phone: number for number, phone in enumerate(phones)}
        facts = {**facts, "phones": phones, "clips": [_clip_facts(clip) for clip in self._clips]}
        lengths = [len(clip) for clip in self._clips]
        sounds = [clip.spoken.audio for clip in self._clips]
        return {
            **packed("jpeg", [blob for drawn in self._drawn for blob in drawn.jpegs]),
            **packed("mask", [blob for drawn in self._drawn for blob in drawn.masks]),
            "mouth": np.concatenate([clip.spoken.mouth for clip in self._clips]),
            "body": np.concatenate([clip.body for clip in self._clips]),
            "landmarks": np.concatenate([drawn.landmarks for drawn in self._drawn]),
            "aperture_px": np.concatenate([drawn.apertures_px for drawn in self._drawn]),
            "phone": np.array([numbers[phone] for phone in self._phones], np.int16),
            "viseme": np.concatenate([clip.spoken.visemes for clip in self._clips]),
            "clip": np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
            "frame": np.concatenate([np.arange(n, dtype=np.int32) for n in lengths]),
            "audio": np.concatenate(sounds),
            "audio_at": np.cumsum([0, *map(len, sounds)], dtype=np.int64),
            "facts": np.frombuffer(json.dumps(facts, ensure_ascii=False).encode(), np.uint8),
        }


def _clip_facts(clip: Clip) -> dict[str, Any]:
    who, character = clip.person, clip.person.character
    return {
        "number": clip.number,
        "frames": len(clip),
        "person": who.number,
        "sex": who.sex,
        "age_years": character.who.age_years,
        "origin": dict(character.who.origin),
        "melanin": round(who.melanin, 3),
        "hair": character.hair.style,
        "grey": character.hair.grey,
        "beard": character.skin.beard,
        "glasses": character.clothes.glasses,
        "garment": character.clothes.garment,
        "style": asdict(who.style),
        "voice": clip.voice.key,
        "language": clip.voice.language,
        "accent": clip.voice.accent,
        "rate": clip.voice.rate,
        "semitones": clip.voice.semitones,
        "alphabet": clip.spoken.alphabet,
        "texts": clip.spoken.texts,
        "phones": [[p.symbol, round(p.start_s, 4), round(p.end_s, 4)] for p in clip.spoken.phones],
        "shot": {**asdict(clip.shot), "light": clip.shot.light.model_dump()},
    }
