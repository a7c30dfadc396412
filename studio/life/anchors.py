"""The moments in which all pieces of life begin and end: three postures, at rest, looking at the viewer."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from studio.pose import Pose

CHANNELS: Final = (
    "yaw_deg",
    "pitch_deg",
    "roll_deg",
    "shift_cm",
    "lean_cm",
    "breath",
    "gaze_right_deg",
    "gaze_up_deg",
    "lid_left",
    "lid_right",
    "brow_left",
    "brow_right",
    "brow_inner",
    "smile",
    "squint",
)
"""Of a `Pose`, all that idle life moves; left and right as the viewer sees them."""
YAW, PITCH, ROLL, SHIFT, LEAN, BREATH, GAZE_X, GAZE_Y = range(8)
LID_LEFT, LID_RIGHT, BROW_LEFT, BROW_RIGHT, BROW_INNER, SMILE, SQUINT = range(8, 15)

Channels = npt.NDArray[np.float64]
"""float64[15] or float64[T, 15], columns as in CHANNELS."""

EMPTY: Final = -0.7
"""Breath where a calm one ends; all anchors stand there, so that a pause falls on every join."""

_LID_DOWN: Final = 0.028
"""How far the upper lid falls for each degree that the eye looks down in its socket."""
_LID_UP: Final = 0.011
"""And how far it rises when the eye looks up: less, for it is nearly as high as it goes."""


def lid_of_gaze(eye_up_deg: Channels) -> Channels:
    """Return how far lids are shut by where an eye looks in its socket, degrees up; any shape."""
    return np.where(eye_up_deg < 0, -_LID_DOWN, -_LID_UP) * eye_up_deg


def _anchor(yaw_deg: float, pitch_deg: float, roll_deg: float, shift_cm: float, lean_cm: float) -> Pose:
    # Eyes that keep the viewer while the head is a little up look a little down in their sockets.
    lid = float(lid_of_gaze(np.array(-pitch_deg)))
    return Pose(
        yaw_deg=yaw_deg,
        pitch_deg=pitch_deg,
        roll_deg=roll_deg,
        shift_cm=shift_cm,
        lean_cm=lean_cm,
        breath=EMPTY,
        lids=(lid, lid),
    )


ANCHORS: Final[dict[str, Pose]] = {
    "a": _anchor(0.4, 0.1, -0.5, 0.05, 0.1),
    "b": _anchor(-1.8, -0.5, 0.8, -0.35, 0.0),
    "c": _anchor(1.7, 0.6, -0.9, 0.35, 0.5),
}
"""The fixed states: mouth at rest, no emotion, gaze at the viewer, end of an exhale."""


def channels_of(pose: Pose) -> Channels:
    """Return float64[15], columns as in CHANNELS."""
    values = (
        pose.yaw_deg, pose.pitch_deg, pose.roll_deg, pose.shift_cm, pose.lean_cm, pose.breath,
        pose.gaze_right_deg, pose.gaze_up_deg, *pose.lids, *pose.brow_up,
        pose.brow_inner, pose.smile, pose.squint,
    )  # fmt: skip
    return np.array(values, np.float64)


def pose_of(channels: Channels) -> Pose:
    """Return the pose of float64[15]; the mouth at rest, no emotion."""
    v = channels.tolist()
    return Pose(
        yaw_deg=v[YAW],
        pitch_deg=v[PITCH],
        roll_deg=v[ROLL],
        shift_cm=v[SHIFT],
        lean_cm=v[LEAN],
        breath=v[BREATH],
        gaze_right_deg=v[GAZE_X],
        gaze_up_deg=v[GAZE_Y],
        lids=(v[LID_LEFT], v[LID_RIGHT]),
        brow_up=(v[BROW_LEFT], v[BROW_RIGHT]),
        brow_inner=v[BROW_INNER],
        smile=v[SMILE],
        squint=v[SQUINT],
    )
