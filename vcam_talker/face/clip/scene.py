"""The scene of a presenter made of pictures: idle life from a clip, the mouth and the mood laid over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from vcam_talker.core.errors import PersonaError
from vcam_talker.core.stages import SceneNeeds
from vcam_talker.core.types import NS_PER_S, FaceInput, MouthPose, Pixels, Pts, VideoFrame
from vcam_talker.face.clip.archive import Floats
from vcam_talker.face.clip.assets import FaceAssets, load_assets
from vcam_talker.face.clip.compositor import compose
from vcam_talker.face.clip.framing import Framing
from vcam_talker.face.clip.mood import Mood, MoodField
from vcam_talker.face.clip.patch import Moment, PatchSource, RestPatches
from vcam_talker.face.clip.reader import ClipReader, Picture
from vcam_talker.face.clip.resample import use_one_thread
from vcam_talker.face.clip.shapes import ShapePatches, fit_assets, load_patches
from vcam_talker.face.clip.video import Decoder, Video, check_keyframes, index_video
from vcam_talker.face.clip.walk import Walk
from vcam_talker.face.size import check_size
from vcam_talker.face.spring import Vector
from vcam_talker.persona import CLIP_FILE, MOUTHS_FILE, Persona

MouthMaker = Callable[[PatchSource, FaceAssets], PatchSource]
"""Returns who draws the mouths, given who interpolates them and what the face consists of."""

_MAX_CLIP_BYTES: Final = 256_000_000
_AHEAD: Final = (4, 12)
_AHEAD_BYTES: Final = 20_000_000
"""What decoded frames of the clip may take: fewer are kept of large pictures."""
_FINE: Final = 1.15
"""Pixels of a patch per pixel of the picture: finer ones are made smaller at the start, since sampling them
as they are would flicker."""


class ClipScene:
    """Draws a presenter (`core.stages.Scene`). One thread; `draw` waits for the decoder for a second at most.

    A frame's number follows from its PTS, so the frame rate may be anything and PTS may jump; the walk
    through the clip is the same for one seed and one sequence of calls. Raises PersonaError for files that
    can't be used and ConfigError for a size that can't be drawn.
    """

    def __init__(
        self,
        persona: Persona,
        width: int,
        height: int,
        seed: int | None = None,
        mouths: MouthMaker | None = None,
    ) -> None:
        """`seed`: of the order of segments, instead of the persona's; `mouths`: who draws them instead."""
        check_size(width, height)
        use_one_thread()
        folder = persona.root
        assets = load_assets(folder / persona.face.file)
        video = _checked_clip(assets, persona)
        self._size = (width, height)
        framing = Framing(assets.size, self._size, _face_at(assets))
        # Everything below works in pixels of the picture instead of the clip's.
        fineness = float(np.sqrt(np.linalg.det(framing.from_clip(assets.frame_to_patch)[:, :, :2])).mean())
        shapes, assets = _shapes(folder / MOUTHS_FILE, assets, min(_FINE / fineness, 1.0))
        self._assets = assets
        self._to_patch = framing.from_clip(assets.frame_to_patch)
        self._patches = mouths(shapes, assets) if mouths is not None else shapes
        self._mood = Mood(persona.emotions.default)
        self._field = MoodField(assets, persona.emotions.strength)
        ahead = min(max(_AHEAD_BYTES // (width * height * 3 // 2), _AHEAD[0]), _AHEAD[1])
        self._walk = Walk(assets.segments, persona.face.seed if seed is None else seed, ahead)
        self.video = video
        """The clip's file."""
        self._reader = ClipReader(video, framing.fit, ahead)
        self._picture = Picture(0, _first_picture(video, framing))
        self._still = VideoFrame(Pts(0), self._picture.pixels)
        self._shown: tuple[int, bytes, bytes, int] | None = None
        self._pixels = self._still.pixels

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, both even."""
        return self._size

    @property
    def assets(self) -> FaceAssets:
        """What the face consists of, in patches of the size that is drawn."""
        return self._assets

    @property
    def shown(self) -> int:
        """Which frame of the clip was drawn last."""
        return self._picture.frame

    @property
    def needs(self) -> SceneNeeds:
        """What whoever draws the mouths asks for."""
        return self._patches.needs

    def to_patch(self, frame: int) -> Floats:
        """Return the affine float32[2, 3] from pixels of the picture to the patch's for a clip's frame."""
        return np.asarray(self._to_patch[frame], np.float32)

    def draw(self, pts: Pts, face: FaceInput) -> VideoFrame:
        """Return the picture for `pts` in yuv420p; the same pixels object while nothing changes.

        While the decoder is late or has failed, the last picture of the clip stands and the mouth goes on.
        """
        # PTS are rounded down to nanoseconds: without the one more, most would belong to the frame before.
        number = (pts + 1) * self._assets.fps // NS_PER_S
        steps = self._walk.at(number, face.activity)
        self._picture = self._reader.get(number, steps) or self._picture
        mood = self._mood.at(pts / NS_PER_S, face.emotion)
        # A mouth drawn from the sound is another one at every moment.
        moment = 0 if face.sound is None else pts
        state = (self._picture.frame, face.mouth.tobytes(), mood.tobytes(), moment)
        if state != self._shown:
            self._shown = state
            self._pixels = self._paint(pts, self._picture, face, mood)
        return VideoFrame(pts, self._pixels)

    def still(self) -> VideoFrame:
        """Return the clip's first picture. Never raises."""
        return self._still

    def aperture_px(self, mouth: MouthPose) -> float:
        """Return the gap between the lips in pixels of the picture; exactly 0.0 for a mouth drawn shut."""
        across = float(np.sqrt(np.linalg.det(self._to_patch[0][:, :2])))
        return self._patches.aperture_px(mouth) / across

    def moment(self, pts: Pts, picture: Picture, face: FaceInput) -> Moment:
        """Return what is about to be shown."""
        yaw, pitch = self._assets.frame_view[picture.frame].tolist()
        affine = self._to_patch[picture.frame]
        return Moment(pts, picture.frame, picture.pixels, affine, (yaw, pitch), face.mouth, face.sound)

    def _paint(self, pts: Pts, picture: Picture, face: FaceInput, mood: Vector) -> Pixels:
        moment = self.moment(pts, picture, face)
        patch, affine = self._patches.patch(moment), moment.affine
        moved = self._field.shows(mood)
        if patch is None and not moved:
            return picture.pixels
        pixels = picture.pixels.copy()
        if patch is not None:
            compose(pixels, patch, patch.affine(affine))
        if moved:
            self._field.apply(pixels, mood, affine)
        pixels.flags.writeable = False
        return pixels


def _shapes(path: Path, assets: FaceAssets, shrink: float) -> tuple[PatchSource, FaceAssets]:
    """Return who draws mouths from pre-rendered ones; nobody does where there is only the one at rest."""
    if len(assets.shapes) == 1:
        _, assets = fit_assets(assets, shrink)
        return RestPatches(assets.patch_size), assets
    if not path.is_file():
        why = f"lacks the file {path.name}: {assets.path.name} tells of {len(assets.shapes)} mouths"
        raise PersonaError(str(path.parent), why, f"Put it into {path.parent}")
    store, assets = load_patches(path, assets, shrink)
    return ShapePatches(store, assets), assets


def _checked_clip(assets: FaceAssets, persona: Persona) -> Video:
    path = persona.root / CLIP_FILE
    video = index_video(path, assets.size, len(assets.frame_to_patch), assets.fps, _MAX_CLIP_BYTES)
    check_keyframes(video, [segment.first for segment in assets.segments])
    return video


def _face_at(assets: FaceAssets) -> tuple[float, float]:
    """Return where the middle of the face is in the clip's first frame, in pixels."""
    left, top, right, bottom = assets.face_canvas
    turn, shift = assets.frame_to_patch[0][:, :2], assets.frame_to_patch[0][:, 2]
    x, y = np.linalg.solve(turn, np.array([left + right, top + bottom]) / 2 - shift).tolist()
    return x, y


def _first_picture(video: Video, framing: Framing) -> Pixels:
    decoder = Decoder(video, framing.fit)
    try:
        pixels = decoder.read(0, 0)
    except (OSError, EOFError, ValueError) as e:
        raise PersonaError(
            str(video.path),
            "is damaged: its first picture can't be decoded",
            "Make the persona anew with the studio, or put an undamaged file there",
        ) from e
    finally:
        decoder.close()
    pixels.flags.writeable = False
    return pixels
