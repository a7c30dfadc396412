"""What the expert learns from: people who speak, seen by the mouth alone, with the sound of the moment.

A *file* holds one person in some clips of a few seconds, each in another voice, light and pose. People,
voices and languages are held out as everywhere in `studio.truth`.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from studio.pack import StudioError
from studio.truth import container
from studio.truth.body import body_track, pose_of
from studio.truth.clips import FPS, speak
from studio.truth.draw import Split, bounded_normal, digest, generator
from studio.truth.drawn import packed
from studio.truth.people import people_of, person
from studio.truth.render import RenderedPerson, TruthRenderer, checked, open_renderer
from studio.truth.shot import Shot, draw_shot
from studio.truth.voices import AUDIO_RATE, Speaker, Voice, draw_voice, voice_keys
from vcam_talker.core.types import MOUTH_PARAMS, Pixels
from vcam_talker.face.neural.region import REGION

SIZE: Final = 160
"""Pixels across and down what is drawn: a mouth is some 57 wide, a little finer than a cut."""
CUT: Final = (96, 128)
"""Height and width of the mouth region, as the picture net has it."""
MARGIN: Final = 10
"""Pixels kept around it, for jitter."""
FRAMES: Final = 75
CLIPS: Final = 2
"""Of a person."""
STEP: Final = AUDIO_RATE // FPS
"""Samples per frame."""

_SCALE, _OFFSET = 1.3, (0.0, -0.38)
"""As in `studio.lips.picture.scenes`: the mouth in the middle, the chin below."""
_RESTED: Final = 5
"""Every so many frames the head is drawn at rest, to know where its mouth lies; between, lines are drawn."""
_QUALITY: Final = 93

Floats = npt.NDArray[np.float32]

_tools: list[tuple[TruthRenderer, Speaker]] = []
"""Of a worker process."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Some seconds of somebody."""

    name: str
    """`test-0017.1`: split, person, clip."""
    voice: str
    """`espeak-ng/f3`."""
    language: str
    pictures: Pixels
    """uint8[FRAMES, 116, 148, 3], RGB: the mouth region and a margin."""
    audio: npt.NDArray[np.int16]
    """int16[N], 16 kHz; frame k is seen at sample k * STEP."""
    mouth: Floats
    """float32[FRAMES, 7]: what was drawn."""

    @property
    def person(self) -> str:
        """Who is seen."""
        return self.name.partition(".")[0]

    @property
    def sound(self) -> Floats:
        """The sound, float32[N] in [-1, 1]."""
        return self.audio.astype(np.float32) / np.float32(32768)


def path_of(folder: Path, split: Split, number: int) -> Path:
    """Return where a person's file lies."""
    return folder / f"{split}-{number:04}{container.SUFFIX}"


def voice_of(split: Split, number: int, index: int) -> Voice:
    """Return who speaks in a clip."""
    return draw_voice(split, generator("lips", "sync", number, index, "voice"))


def draw(split: Split, number: int, renderer: TruthRenderer, speaker: Speaker) -> dict[str, container.Array]:
    """Draw person `number` in CLIPS clips. Blocks for seconds. Raises StudioError, EngineError.

    Returns `jpeg` (bytes one after another) with `jpeg_at` int64[CLIPS * FRAMES + 1], `audio`
    int16[CLIPS, N], `mouth` float32[CLIPS, FRAMES, 7] and `facts` (JSON).
    """
    who = person(number)
    somebody = renderer.person(who.character, digest("strands", number) & 0x7FFF_FFFF)
    jpegs: list[bytes] = []
    sounds, mouths, voices = [], [], []
    for index in range(CLIPS):

        def rng(what: str, index: int = index) -> np.random.Generator:
            return generator("lips", "sync", number, index, what)

        voice = voice_of(split, number, index)
        spoken = speak(split, voice, who.style, FRAMES, rng("speech"), speaker)
        body = body_track(rng("body"), FRAMES, FPS)
        jpegs += _pictures(somebody, body, spoken.mouth, _shot(rng("shot")))
        sounds.append(spoken.audio)
        mouths.append(spoken.mouth)
        voices.append({"voice": voice.key, "language": voice.language})
    facts = json.dumps({"person": number, "clips": voices}).encode()
    return {
        **packed("jpeg", jpegs),
        "audio": np.stack(sounds),
        "mouth": np.stack(mouths),
        "facts": np.frombuffer(facts, np.uint8),
    }


def make(
    folder: Path, split: Split, count: int, renderer: str, workers: int, say: Callable[[str], None]
) -> int:
    """Draw the first `count` people of a split who are missing in `folder`; return how many. Blocks.

    So are those whose files are damaged, or whose voices the split no longer has. Raises StudioError,
    EngineError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise StudioError(str(folder), f"can't be made ({e.strerror})") from None
    missing = [n for n in people_of(split)[:count] if not _is_there(path_of(folder, split, n), split)]
    if not missing:
        return 0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(missing)), context, _begin, (renderer,)) as pool:
        for done, size in enumerate(pool.map(partial(_draw, folder, split), missing), 1):
            say(f"{split}: {done} of {len(missing)} people, {size / 1e6:.1f} MB")
    return len(missing)


def load(folder: Path, split: Split) -> list[Clip]:
    """Return the clips of a split, decoded: some 4 MB and 25 ms each. Raises StudioError."""
    clips: list[Clip] = []
    for path in sorted(folder.glob(f"{split}-*{container.SUFFIX}")):
        found = container.read(path)
        facts = json.loads(found["facts"].tobytes())
        pictures = [_decoded(found["jpeg"][a:b]) for a, b in pairwise(found["jpeg_at"])]
        frames = found["mouth"].shape[1]
        for index, row in enumerate(facts["clips"]):
            part = slice(index * frames, (index + 1) * frames)
            clips.append(
                Clip(
                    f"{path.stem}.{index}",
                    row["voice"],
                    row["language"],
                    np.stack(pictures[part]),
                    np.array(found["audio"][index]),
                    np.array(found["mouth"][index]),
                )
            )
    if not clips:
        why = f"has no clips of split {split}"
        raise StudioError(str(folder), why, "Make them: python -m studio.lips.sync make")
    return clips


def _is_there(path: Path, split: Split) -> bool:
    if not path.exists():
        return False
    try:
        facts = json.loads(container.read(path)["facts"].tobytes())
    except StudioError:
        return False
    return {clip["voice"] for clip in facts["clips"]} <= set(voice_keys(split))


def _begin(renderer: str) -> None:
    _tools.append((open_renderer(renderer, SIZE), Speaker()))


def _draw(folder: Path, split: Split, number: int) -> int:
    renderer, speaker = _tools[0]
    return container.write(path_of(folder, split, number), draw(split, number, renderer, speaker))


def _shot(rng: np.random.Generator) -> Shot:
    scale = _SCALE * bounded_normal(rng, 1.0, 0.04, 0.9, 1.1)
    return replace(draw_shot(rng), scale=scale, offset=_OFFSET)


def _pictures(somebody: RenderedPerson, body: Floats, mouths: Floats, shot: Shot) -> list[bytes]:
    """Return the frames of a clip, cut and packed."""
    count = len(body)
    known = sorted({*range(0, count, _RESTED), count - 1})
    rest = np.zeros(len(MOUTH_PARAMS), np.float32)
    calm = [checked(somebody.frame(pose_of(body[k], rest), shot), SIZE).landmarks for k in known]
    marks = np.stack(calm).reshape(len(known), -1)
    found = []
    for k in range(count):
        at = np.array([np.interp(k, known, column) for column in marks.T], np.float32).reshape(-1, 2)
        rgb = checked(somebody.frame(pose_of(body[k], mouths[k]), shot), SIZE).rgb
        found.append(_packed(cut(rgb, REGION.affine(at, CUT, MARGIN), MARGIN)))
    return found


def cut(rgb: Pixels, affine: Floats, margin: int = 0) -> Pixels:
    """Return the mouth region of a picture, uint8[96 + 2 * margin, 128 + 2 * margin, 3].

    `affine` float32[2, 3] goes from indices of the picture's pixels to those of the region's.
    """
    size = (CUT[1] + 2 * margin, CUT[0] + 2 * margin)
    return np.asarray(
        cv2.warpAffine(rgb, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _packed(rgb: Pixels) -> bytes:
    done, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise StudioError("a picture", "can't be packed as a JPEG")
    return data.tobytes()


def _decoded(jpeg: Sequence[int] | npt.NDArray[np.uint8]) -> Pixels:
    found = cv2.imdecode(np.asarray(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        raise StudioError("a picture", "can't be read as a JPEG", "Remove the file and run `make` again")
    return np.ascontiguousarray(found[..., ::-1])
