"""From a picture or a clip to a persona's folder, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from vcam_talker.core.errors import BadInputError, VcamTalkerError
from vcam_talker.core.paths import config_dir
from vcam_talker.core.types import Pixels
from vcam_talker.face.clip.film import write_film
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.neural.crops import to_yuv
from vcam_talker.persona import CLIP_FILE, PERSONA_FILE, Persona, load_persona
from vcam_talker.persona_new.box import Box
from vcam_talker.persona_new.canvas import Canvas
from vcam_talker.persona_new.detect import FaceFinder
from vcam_talker.persona_new.folder import in_a_folder, put
from vcam_talker.persona_new.landmarks import Floats, Points, gap
from vcam_talker.persona_new.living import LivingPhoto
from vcam_talker.persona_new.loop import Loop, best_loop
from vcam_talker.persona_new.motion import FPS, life
from vcam_talker.persona_new.options import check_language, check_lips, check_script, check_voice
from vcam_talker.persona_new.patch import Patch, Stretch
from vcam_talker.persona_new.photo import load_photo
from vcam_talker.persona_new.script import check_name, parse_voice, script
from vcam_talker.persona_new.track import Track, follow, shut_part, to_rest
from vcam_talker.persona_new.video import MAX_S, open_clip

FACE_FILE: Final = "face.npz"
PORTRAIT_FILE: Final = "portrait.jpg"
_CRF: Final = 19.0
_PRESET: Final = "medium"
_COARSE: Final = 2.6
"""Pixels of the frame per pixel of the picture: above, the frame looks soft."""
_PARTED: Final = 0.07
"""Of the mouth's width: a gap between the lips of a photograph that is told."""
_ANCHOR: Final = "loop"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be made."""

    name: str
    source: Path
    """A picture or a clip."""
    is_clip: bool
    size: tuple[int, int] = (1280, 720)
    box: Box | None = None
    """Where the face is, pixels of the picture (the first one with a face) as it is shown; None: found."""
    voice: str = ""
    """ENGINE:NAME; empty: one of the language."""
    language: str = "en"
    lips: str = ""
    """A model's name, or a folder relative to the current one; empty: the model that is shipped."""
    seed: int = 1
    brief: bool = False
    """Seconds of life instead of a minute, to look at."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was made."""

    persona: Persona
    seconds: float
    """Of life."""
    segments: int
    notices: tuple[str, ...]
    """What to know about it, a sentence each."""


@dataclass(slots=True)
class _Work:
    """What is gathered on the way."""

    folder: Path
    size: tuple[int, int]
    notices: list[str]
    frames: int = 0
    fps: int = FPS
    segments: int = 0


def new_persona(wish: Wish, say: Callable[[str], None]) -> Made:
    """Make the persona's folder among the user's own. Blocks for minutes; `say` gets a line for each step.

    Raises BadInputError (the picture, the clip, an option, the disk) or EngineError; then nothing is left
    behind. All but the picture is looked at first.
    """
    check_name(wish.name)
    text, notices = _script(wish)
    personas = config_dir() / "personas"
    with in_a_folder(personas, wish.name) as folder:
        work = _Work(folder, wish.size, notices)
        (_of_clip if wish.is_clip else _of_photo)(wish, work, say)
        (folder / PERSONA_FILE).write_text(text, encoding="utf-8")
        _check(folder, wish)
        made = put(folder, wish.name)
    persona = load_persona(str(made))
    return Made(persona, work.frames / work.fps, work.segments, tuple(work.notices))


def _script(wish: Wish) -> tuple[str, list[str]]:
    """Return the text of persona.toml and what to know of it. Raises BadInputError: which option, and why."""
    language = check_language(wish.language)
    voice = parse_voice(wish.voice, language)
    lips = check_lips(wish.lips)
    notices = check_voice(voice, language, given=bool(wish.voice))
    text = script(wish.name, voice, language, lips, "a clip" if wish.is_clip else "a photograph")
    check_script(text)
    return text, list(notices)


def _check(folder: Path, wish: Wish) -> None:
    """Refuse here whatever the daemon would refuse. Raises BadInputError."""
    try:
        ClipScene(load_persona(str(folder)), *wish.size)
    except VcamTalkerError as e:
        # The folder is gone when this is read: it would be no help to name it.
        told = f"{e.what} {e.why}".replace(f"{folder}{os.sep}", "").replace(str(folder), wish.name)
        why = f"can't be made a persona of: {told}"
        raise BadInputError(str(wish.source), why, "Try another --size, or another picture") from e


def _of_photo(wish: Wish, work: _Work, say: Callable[[str], None]) -> None:
    read = load_photo(wish.source)
    photo = read.pixels
    if read.pictures > 1:
        work.notices.append(
            f"The file holds {read.pictures} pictures; the first one is taken. With --clip it becomes a loop."
        )
    points = FaceFinder().one(photo, str(wish.source), wish.box, read.size)
    canvas = Canvas((photo.shape[1], photo.shape[0]), points, wish.size)
    rest, places = canvas.draw(photo), canvas.places(points)
    smaller = read.size[0] > photo.shape[1]
    _tell_of_canvas(canvas, work, "one cut to head and shoulders" if smaller else "a larger picture")
    if gap(points) > _PARTED:
        work.notices.append(
            "The mouth seems open in the picture: teeth that show at rest show through every other mouth."
            " One with lips that touch looks better."
        )
    living = LivingPhoto(rest, places)
    if not living.lids.usable:
        work.notices.append("The eyes are not to be seen whole and open, so they don't blink.")
    segments = life(wish.seed, blinks=living.lids.usable, brief=wish.brief)
    moments = [
        (head, breath, lids)
        for segment in segments
        for head, breath, lids in zip(segment.head, segment.breath, segment.lids, strict=True)
    ]
    stretches = [Stretch(segment.frames, segment.begins, segment.ends) for segment in segments]
    say(f"Drawing {len(moments) / FPS:.0f} s of life")
    _write(
        work,
        places,
        np.stack([living.to_rest(head, breath) for head, breath, _ in moments]),
        stretches,
        FPS,
        (living.frame(head, float(breath), float(lids)) for head, breath, lids in moments),
    )
    _write_portrait(work.folder / PORTRAIT_FILE, rest)


def _of_clip(wish: Wish, work: _Work, say: Callable[[str], None]) -> None:
    clip = open_clip(wish.source)
    if clip.seconds_left_out:
        left, used = clip.seconds_left_out, MAX_S
        work.notices.append(f"The first {used:.0f} s of the clip are used; {left:.0f} s are left out.")
    say(f"Following the face through {clip.frames / clip.fps:.0f} s")
    track = follow(clip, FaceFinder(), wish.box)
    run, opened = shut_part(track, clip)
    if left_out := _ends_told(track, clip.fps):
        work.notices.append(f"{left_out} of the clip are left out: no face is seen there, or it fades.")
    if opened:
        work.notices.append(f"The mouth is open at {track.told(opened, clip)}: that part is left out.")
    loop = best_loop(track, run, clip.fps)

    def followed() -> Iterator[Pixels]:
        return islice(clip.pictures(), track.first, None)

    shown = slice(loop.first, loop.end)
    canvas = Canvas(track.size, np.median(track.points[shown], 0), wish.size)
    _tell_of_canvas(canvas, work, "a larger picture")
    rest = canvas.places(track.points[loop.first])
    moves = to_rest(np.stack([canvas.places(points) for points in track.points]), rest)
    say(f"Drawing a loop of {loop.frames / clip.fps:.1f} s")
    _write(
        work,
        rest,
        _faded(moves, loop),
        [Stretch(loop.frames, _ANCHOR, _ANCHOR)],
        clip.fps,
        _looped((canvas.draw(picture) for picture in islice(followed(), loop.end)), loop),
    )
    picture = next(iter(islice(followed(), loop.first, None)))
    _write_portrait(work.folder / PORTRAIT_FILE, canvas.draw(picture))


def _ends_told(track: Track, fps: int) -> str:
    """Return which of its ends a clip loses, such as `The first 1.2 s`; empty: none."""
    ends = (("first", track.first), ("last", track.after))
    told = [f"the {which} {max(frames / fps, 0.1):.1f} s" for which, frames in ends if frames]
    return " and ".join(told).capitalize()


def _tell_of_canvas(canvas: Canvas, work: _Work, better: str) -> None:
    if canvas.scale > _COARSE:
        work.notices.append(
            f"The face is enlarged {canvas.scale:.1f} times and looks soft; {better} looks better."
        )
    if canvas.widened:
        work.notices.append("The picture is narrower than the frame; its blurred rim fills the sides.")


def _write(
    work: _Work,
    places: Points,
    moves: Floats,
    stretches: list[Stretch],
    fps: int,
    pictures: Iterator[Pixels],
) -> None:
    """Write life.mp4 and face.npz. There is one mouth, at rest, so there is no mouths.mp4."""
    patch = Patch(places)
    patch.write(work.folder / FACE_FILE, work.size, fps, stretches, moves)
    counts = np.array([each.frames for each in stretches])
    keys = frozenset((np.cumsum(counts) - counts).tolist())
    frames = (to_yuv(picture) for picture in pictures)
    work.frames = write_film(work.folder / CLIP_FILE, frames, fps, keys, _CRF, _PRESET)
    work.fps, work.segments = fps, len(stretches)


def _looped(pictures: Iterator[Pixels], loop: Loop) -> Iterator[Pixels]:
    """Yield the loop's pictures; its last ones go over into those before its first."""
    before: list[Pixels] = []
    for number, picture in enumerate(pictures):
        if number < loop.first - loop.fade:
            continue
        if number < loop.first:
            before.append(picture)
            continue
        step = number - (loop.end - loop.fade)
        yield picture if step < 0 else _mixed(picture, before[step], _share(step, loop.fade))


def _faded(moves: Floats, loop: Loop) -> Floats:
    """Return the affines of the loop's pictures, gone over as they are."""
    found = moves[loop.first : loop.end].copy()
    for step in range(loop.fade):
        share, other = _share(step, loop.fade), moves[loop.first - loop.fade + step]
        row = len(found) - loop.fade + step
        found[row] = (1 - share) * found[row] + share * other
    return found


def _share(step: int, fade: int) -> float:
    share = (step + 1) / (fade + 1)
    return share * share * (3 - 2 * share)


def _mixed(one: Pixels, other: Pixels, share: float) -> Pixels:
    return np.asarray(cv2.addWeighted(one, 1 - share, other, share, 0), np.uint8)


def _write_portrait(path: Path, picture: Pixels) -> None:
    good, packed = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    if good:
        path.write_bytes(packed.tobytes())
