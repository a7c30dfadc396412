"""Contact sheets: what a face does, side by side."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from studio.pose import Pose
from studio.raster.stage import Picture
from studio.sitting import Crop, Sitting
from vcam_talker.core.types import Emotion, MouthPose
from vcam_talker.face.visemes import SHAPES

_MOUTHS: Final = ("rest", "m", "f", "a", "e", "i", "o", "u", "th", "l", "sh", "s", "r", "eh", "w")
_COLUMNS: Final = 5


def mouth_of(name: str) -> MouthPose:
    """Return the target of one of the daemon's mouth shapes."""
    s = SHAPES[name]
    return np.array([s.jaw, s.width, s.rounding, s.protrusion, s.teeth, s.tongue, s.press], np.float32)


def head_crop(sitting: Sitting) -> Crop:
    """Return the part of the picture with the head."""
    presenter = sitting.presenter
    chin = np.array([0.0, presenter.places.jaw[1] - 0.45, 1.0])
    crown = np.array([0.0, presenter.eyes[0, 1] + 1.55, 0.3])
    bottom, top = (int(sitting.camera.project(p)[1]) for p in (chin, crown))
    top = max(0, top)
    bottom = min(sitting.size[1], bottom)
    wide = min(sitting.size[0], int((bottom - top) * 0.9) // 2 * 2)
    middle = int(sitting.camera.project(np.array([0.0, 6.0, 1.0]))[0])
    return Crop(max(0, middle - wide // 2), top, wide, (bottom - top) // 2 * 2)


def sheets(sitting: Sitting, height: int = 400) -> dict[str, Picture]:
    """Return the sheets of mouths, of emotions, and of turns, blinks and glances."""
    emotions = {emotion.value: Pose(emotion={emotion: 1.0}) for emotion in Emotion}
    mouths = {name: Pose(mouth=mouth_of(name)) for name in _MOUTHS}
    moves = {
        "half a blink": Pose(lids=(0.5, 0.5)),
        "blink": Pose(lids=(1.0, 1.0)),
        "wide": Pose(lids=(-0.3, -0.3)),
        "brows": Pose(brow_up=(0.8, 0.8)),
        "smile": Pose(smile=0.8),
        "turn left": Pose(yaw_deg=-18.0),
        "turn right": Pose(yaw_deg=18.0),
        "up": Pose(pitch_deg=10.0),
        "down": Pose(pitch_deg=-10.0),
        "tilt": Pose(roll_deg=8.0),
        "glance left": Pose(gaze_right_deg=-20.0),
        "glance up": Pose(gaze_up_deg=14.0, gaze_right_deg=10.0),
        "talk, happy": Pose(mouth=mouth_of("a"), emotion={Emotion.HAPPY: 1.0}),
        "talk, sad": Pose(mouth=mouth_of("e"), emotion={Emotion.SAD: 1.0}),
        "far turn": Pose(yaw_deg=32.0),
    }
    return {
        name: _sheet(sitting, poses, height)
        for name, poses in (("mouths", mouths), ("emotions", emotions), ("moves", moves))
    }


def _sheet(sitting: Sitting, poses: dict[str, Pose], height: int) -> Picture:
    crop = head_crop(sitting)
    tiles = []
    for name, pose in poses.items():
        tile = cv2.resize(
            sitting.picture(pose, crop),
            (round(crop.width * height / crop.height), height),
            interpolation=cv2.INTER_AREA,
        )
        cv2.putText(tile, name, (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1, cv2.LINE_AA)
        tiles.append(tile)
    blank = np.zeros_like(tiles[0])
    while len(tiles) % _COLUMNS:
        tiles.append(blank)
    rows = [np.hstack(tiles[k : k + _COLUMNS]) for k in range(0, len(tiles), _COLUMNS)]
    return np.vstack(rows)
