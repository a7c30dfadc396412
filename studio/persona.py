"""Makes a persona's files from a character: life.mp4, mouths.mp4, face.npz, portrait.jpg."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from studio.character import Character
from studio.export import PITCHES_DEG, YAWS_DEG, Patches, emotion_fields, face_mask, lower_face, write_tables
from studio.film import to_yuv
from studio.landmarks import JAW, MOUTH
from studio.life.gaze import FPS
from studio.life.segments import plan
from studio.mouth_shapes import choose, usual_mouths
from studio.pack import HeadPack
from studio.pose import Pose
from studio.render_life import frames, render_segments
from studio.sitting import Sitting, load_backdrop
from vcam_talker.core.types import Emotion
from vcam_talker.face.clip.film import write_film

_SHAPES: Final = 56
_LIFE_CRFS: Final = (20.0, 22.0, 23.0, 24.0, 25.0, 26.0)
_LIFE_BYTES: Final = 13_900_000
"""The first of these qualities that stays below this size is taken, else the last."""
_MOUTHS_CRF: Final = 16.0


def make_faces(
    pack: HeadPack, character: Character, size: tuple[int, int], backdrop: Path, out: Path, seed: int
) -> None:
    """Write mouths.mp4, face.npz and portrait.jpg into `out`. Blocks for minutes."""
    sitting = Sitting(pack, character, size, backdrop=load_backdrop(backdrop, size))
    out.mkdir(parents=True, exist_ok=True)
    still = sitting.picture(Pose())[..., ::-1]
    cv2.imwrite(str(out / "portrait.jpg"), still, [cv2.IMWRITE_JPEG_QUALITY, 90])
    face = lower_face(sitting)
    patches = Patches(sitting, face, MOUTH)
    shapes = choose(usual_mouths(), _SHAPES)
    views = [(yaw, pitch) for yaw in YAWS_DEG for pitch in PITCHES_DEG]
    taken = [[patches.taken(view, mouth) for mouth in shapes] for view in views]
    write_film(
        out / "mouths.mp4",
        (to_yuv(picture) for row in taken for picture, _ in row),
        FPS,
        frozenset(range(0, len(views) * len(shapes), len(shapes))),
        _MOUTHS_CRF,
    )
    landmarks = np.array([[marks for _, marks in row] for row in taken])
    segments = plan(seed)
    poses = [segment.pose(n) for segment in segments for n in range(segment.frames)]
    emotions = [emotion for emotion in Emotion if emotion is not Emotion.NEUTRAL]
    write_tables(
        out / "face.npz",
        segments,
        size,
        np.stack([patches.to_patch(pose) for pose in poses]),
        np.array([(pose.yaw_deg, pose.pitch_deg) for pose in poses], np.float32),
        shapes,
        landmarks,
        face_mask(face.crop, landmarks[views.index((0.0, 0.0)), :, -len(JAW) :]),
        emotions,
        emotion_fields(sitting, face, emotions),
        FPS,
    )


def make_life(
    pack: HeadPack,
    character: Character,
    size: tuple[int, int],
    backdrop: Path,
    out: Path,
    seed: int,
    scratch: Path,
    workers: int,
) -> None:
    """Write life.mp4 into `out`; `scratch` keeps what is finished. Blocks for long."""
    segments = plan(seed)
    render_segments(pack, character, size, backdrop, segments, scratch, workers)
    counts = np.array([segment.frames for segment in segments])
    keys = frozenset(int(k) for k in np.cumsum(counts) - counts)
    out.mkdir(parents=True, exist_ok=True)
    film = out / "life.mp4"
    for crf in _LIFE_CRFS:
        write_film(film, frames(scratch, len(segments)), FPS, keys, crf)
        print(f"{film}: {film.stat().st_size / 1e6:.1f} MB at CRF {crf:g}", flush=True)
        if film.stat().st_size <= _LIFE_BYTES:
            break
