"""Makes a small persona of pictures from the vector rig, so that no media lie in the repository.

The rig is posed along segments between three anchors, its mouths are drawn from a grid of views, and where
everything is is known from its points. `python -m tests.support.clip_persona DIR [WIDTH HEIGHT]` makes one.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from vcam_talker.core.types import Activity, Emotion, FaceInput
from vcam_talker.face.rig.backdrop import render_backdrop
from vcam_talker.face.rig.canvas import YuvCanvas
from vcam_talker.face.rig.emotion import PRESETS
from vcam_talker.face.rig.painter import Painter
from vcam_talker.face.rig.pose import Pose, Poser
from vcam_talker.face.rig.sheet import MOUTHS
from vcam_talker.face.rig.style import load_style
from vcam_talker.persona import load_persona

FPS = 30
YAWS, PITCHES = (-8.0, 0.0, 8.0), (-6.0, 0.0, 6.0)
ANCHORS: dict[str, dict[str, float]] = {
    "a": {},
    "b": {"yaw": 2.5, "pitch": -1.0, "head_x": 3.0},
    "c": {"yaw": -2.5, "pitch": 1.0, "head_x": -3.0, "roll": 1.5},
}
# Activity, from, to, seconds, what happens on the way.
PLAN: tuple[tuple[Activity, str, str, float, dict[str, float]], ...] = (
    (Activity.IDLE, "a", "b", 1.5, {"yaw": 3.0, "breath": 0.8}),
    (Activity.IDLE, "b", "a", 2.0, {"pitch": -2.0, "breath": 1.0, "blink": 1.0}),
    (Activity.IDLE, "a", "c", 1.7, {"roll": -2.0, "breath": 0.6}),
    (Activity.IDLE, "c", "a", 1.3, {"yaw": -3.0, "breath": 1.0}),
    (Activity.IDLE, "a", "a", 1.1, {"gaze_x": 0.5, "breath": 0.9, "blink": 1.0}),
    (Activity.LISTENING, "a", "a", 1.2, {"roll": 3.0}),
    (Activity.SPEAKING, "a", "b", 1.4, {"pitch": 3.0, "yaw": -2.0}),
    (Activity.SPEAKING, "b", "a", 1.2, {"pitch": -3.0, "yaw": 2.0}),
)
_FACE = (0.0, 90.0)
"""Middle of the patch in figure units."""
_HALF = (96.0, 90.0)
"""Half its width and height."""
_CANVAS = (130.0, 175.0)
"""Half the width and height of the face canvas, around the point between eyes and nose."""
PATCH = (256, 240)

TOML = """title = "Picture Mira"
fallback = ["Hm."]
[face]
kind = "clip"
{face}
[voice]
engine = "flite"
name = "slt"
"""


class Sitting:
    """The rig as a model that sits for its picture."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        persona = load_persona("mira")
        style = load_style(persona.root / "rig.toml")
        figure = style.figure
        unit = min(self.height / 720, self.width / 640)
        self._painter = Painter(
            style,
            (self.width, self.height),
            figure.scale * unit,
            (figure.x * self.width, figure.y * self.height),
        )
        self._canvas = YuvCanvas(render_backdrop(style, self.width, self.height))
        rest = Poser(persona, style, 0).at(0.0, FaceInput())
        self._rest = replace(
            rest, yaw=0.0, pitch=0.0, roll=0.0, head_x=0.0, head_y=0.0, lean=0.0, breath=0.0,
            swing=(0.0, 0.0, 0.0), lids=(0.94, 0.94), gaze_x=0.0, gaze_y=0.0,
        )  # fmt: skip

    def pose(self, changes: Mapping[str, Any]) -> Pose:
        """Return the resting pose with changes; `blink` shuts the lids, `emotion` sets brows and mouth."""
        given = dict(changes)
        blink = given.pop("blink", 0.0)
        found = replace(self._rest, **given)
        found.lids = (found.lids[0] * (1 - blink), found.lids[1] * (1 - blink))
        return found

    def picture(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """Return a picture yuv420p and all points of the figure in its pixels."""
        points = self._painter.points(pose)
        canvas = self._canvas.begin((0, 0, self.width, self.height))
        self._painter.paint(canvas, points)
        return self._canvas.finish(), points

    def head(self, pose: Pose) -> np.ndarray:
        """Return the affine [2, 3] from figure units at the mouth's depth to pixels, the jaw left aside."""
        skeleton = self._painter._skeleton
        motion = skeleton._motion(pose)
        x, y = np.meshgrid(np.linspace(-60, 60, 7), np.linspace(30, 130, 6))
        places = np.stack([x.ravel(), y.ravel()], 1)
        depth = skeleton.face_depth(places)
        pixels = np.column_stack([places, depth]) @ motion[:3] + motion[3]
        known = np.column_stack([places, np.ones(len(places))])
        return np.linalg.lstsq(known, pixels, rcond=None)[0].T

    def to_patch(self, pose: Pose) -> np.ndarray:
        """Return the affine [2, 3] from pixels of the picture to pixels of the patch."""
        there = np.vstack([self.head(pose), [0, 0, 1]])
        scale = np.array(PATCH) / (2 * np.array(_HALF))
        patch = np.zeros((2, 3))
        patch[:, :2] = np.diag(scale)
        patch[:, 2] = np.array(PATCH) / 2 - scale * np.array(_FACE)
        return patch @ np.linalg.inv(there)

    def landmarks(self, points: np.ndarray) -> np.ndarray:
        """Return 41 landmarks in pixels: outer lips, inner lips, jaw."""
        mouth, spans = self._painter._mouth, self._painter._skeleton.splines.span
        upper, lower, cavity = (points[spans(s)] for s in (mouth._upper, mouth._lower, mouth._cavity))
        outer = np.concatenate(
            [_along(upper[:9], 11), _along(np.vstack([lower[8], lower[9:], lower[0]]), 11)[1:-1]]
        )
        top, bottom = cavity[:9], np.vstack([cavity[8], cavity[9:], cavity[0]])
        inner = np.concatenate([_along_x(top, 7), _along_x(bottom[::-1], 7)[::-1][1:-1]])
        skin = points[spans(self._painter._face._skin)]
        low = skin[skin[:, 1] > np.quantile(skin[:, 1], 0.55)]
        jaw = low[np.argsort(low[:, 0])]
        return np.concatenate([outer, inner, _along(jaw, 9)])


def _along(line: np.ndarray, count: int) -> np.ndarray:
    """Return `count` points evenly along a line of points."""
    way = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.linspace(0, way[-1], count)
    return np.column_stack([np.interp(at, way, line[:, k]) for k in range(2)])


def _along_x(line: np.ndarray, count: int) -> np.ndarray:
    """Return `count` points of a line evenly across, so that upper and lower ones stand above each other."""
    order = np.argsort(line[:, 0], kind="stable")
    x = np.linspace(line[order[0], 0], line[order[-1], 0], count)
    return np.column_stack([x, np.interp(x, line[order, 0], line[order, 1])])


def encode(
    path: Path, frames: Iterable[np.ndarray], keyframes: set[int], crf: int = 18, **options: str
) -> None:
    """Write yuv420p pictures as H.264 with keyframes where told."""
    with av.open(str(path), "w") as container:
        stream = None
        for n, pixels in enumerate(frames):
            if stream is None:
                stream = container.add_stream("libx264", rate=FPS)
                stream.width, stream.height = pixels.shape[1], pixels.shape[0] * 2 // 3
                stream.pix_fmt = "yuv420p"
                stream.codec_context.colorspace = 6
                stream.codec_context.color_range = 1
                stream.options = {
                    "crf": str(crf), "preset": "faster", "forced-idr": "1", "sc_threshold": "0",
                    "keyint": "600", "tune": "fastdecode", **options,
                }  # fmt: skip
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="yuv420p")
            frame.pts, frame.time_base = n, Fraction(1, FPS)
            frame.colorspace, frame.color_range = 6, 1
            frame.pict_type = (
                av.video.frame.PictureType.I if n in keyframes else av.video.frame.PictureType.NONE
            )
            container.mux(stream.encode(frame))
        assert stream is not None
        container.mux(stream.encode(None))


def _blend(a: Mapping[str, float], b: Mapping[str, float], share: float) -> dict[str, float]:
    return {key: (1 - share) * a.get(key, 0.0) + share * b.get(key, 0.0) for key in {*a, *b}}


def _segment(begins: str, ends: str, frames: int, way: Mapping[str, float]) -> list[dict[str, float]]:
    """Return changes per frame: at rest in the first anchor before frame 0, in the second at the last."""
    found = []
    for n in range(frames):
        t = (n + 1) / frames
        ease = t * t * t * (t * (6 * t - 15) + 10)
        bump = (16 * t * t * (1 - t) * (1 - t)) ** 1.5
        changes = _blend(ANCHORS[begins], ANCHORS[ends], ease)
        for key, value in way.items():
            share = (np.sin(np.pi * np.clip((t - 0.4) * 5, 0, 1)) ** 2) if key == "blink" else bump
            changes[key] = changes.get(key, 0.0) + share * value
        found.append(changes)
    return found


def _into_patch(pixels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the patch yuv420p that the affine cuts from a picture."""
    width, height = pixels.shape[1], pixels.shape[0] * 2 // 3
    columns, rows = PATCH
    out = np.empty((rows * 3 // 2, columns), np.uint8)
    planes = [(pixels[:height], out[:rows], 1.0)]
    chroma = pixels[height:].reshape(2, height // 2, width // 2)
    planes += [(chroma[k], out[rows:].reshape(2, rows // 2, columns // 2)[k], 2.0) for k in range(2)]
    for plane, target, step in planes:
        matrix = affine.copy()
        matrix[:, 2] = (affine[:, :2] @ [step / 2, step / 2] + affine[:, 2]) / step - 0.5
        size = (target.shape[1], target.shape[0])
        target[...] = cv2.warpAffine(
            plane, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return out


def soft_mask() -> np.ndarray:
    """Return a soft ellipse over mouth and chin, uint8[h, w]."""
    columns, rows = PATCH
    x = (np.arange(columns) + 0.5) / columns * 2 - 1
    y = (np.arange(rows) + 0.5) / rows * 2 - 1
    far = np.hypot(x[None] / 0.68, (y[:, None] - 0.14) / 0.66)
    share = np.clip((1.0 - far) / 0.30, 0, 1)
    mask = np.rint(255 * share * share * (3 - 2 * share)).astype(np.uint8)
    mask[[0, -1]] = mask[:, [0, -1]] = 0
    return mask


def _emotions(sitting: Sitting) -> dict[str, np.ndarray]:
    """Return displacement fields and veils: what the rig's features do, spread over the face."""
    names = [e for e in Emotion if e is not Emotion.NEUTRAL]
    columns, rows = 96, 128
    neutral = sitting.pose({})
    affine = sitting.to_patch(neutral)
    scale = np.array(PATCH) / (2 * np.array(_HALF))
    middle = np.array(PATCH) / 2 - scale * np.array(_FACE)
    canvas = np.concatenate([middle - scale * _CANVAS, middle + scale * _CANVAS])
    x = canvas[0] + (np.arange(columns) + 0.5) / columns * (canvas[2] - canvas[0])
    y = canvas[1] + (np.arange(rows) + 0.5) / rows * (canvas[3] - canvas[1])
    grid = np.stack(np.meshgrid(x, y), -1)
    edge = np.minimum(grid - canvas[:2], canvas[2:] - grid).min(-1)
    hold = np.clip((edge - 6) / 40, 0, 1)
    _, before = sitting.picture(neutral)
    spans = sitting._painter._skeleton.splines.span
    mouth, eyes = sitting._painter._mouth, sitting._painter._eyes
    shapes = [mouth._upper, mouth._lower, *(eye._brow for eye in eyes)]
    index = np.concatenate([np.arange(spans(s).start, spans(s).stop) for s in shapes])
    flows, ratios = [], []
    for emotion in names:
        fields = {**PRESETS[Emotion.NEUTRAL], **PRESETS[emotion]}
        skew = 0.5 * fields.get("smile_skew", 0.0)
        after_pose = sitting.pose({
            "smile": (fields["smile"] - skew, fields["smile"] + skew),
            "mouth_width": fields.get("mouth_width", 0.0),
            "brow_raise": (fields.get("brow_raise", 0.0),) * 2,
            "brow_inner": fields.get("brow_inner", 0.0),
            "brow_outer": fields.get("brow_outer", 0.0),
            "brow_knit": fields.get("brow_knit", 0.0),
        })  # fmt: skip
        _, after = sitting.picture(after_pose)
        to = after[index] @ affine[:, :2].T + affine[:, 2]
        moved = (before[index] - after[index]) @ affine[:, :2].T
        weight = np.exp(-((grid[:, :, None] - to) ** 2).sum(-1) / (2 * 14.0**2))
        flow = (weight @ moved) / (weight.sum(-1) + 0.3)[..., None]
        flows.append(flow * hold[..., None])
        veil = 1 + 0.05 * fields["smile"] * np.exp(-((grid - middle) ** 2).sum(-1) / (2 * 60.0**2))
        ratios.append(1 + (veil - 1) * hold)
    return {
        "emotions": np.array([e.value for e in names]),
        "emotion_flow": np.array(flows, np.float16),
        "emotion_ratio": np.clip(np.rint(np.array(ratios) * 128), 0, 255).astype(np.uint8),
        "face_canvas": canvas.astype(np.float32),
    }


def make_arrays(sitting: Sitting, views: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return what face.npz holds but for what depends on frames and patches."""
    return {
        "version": 1,
        "fps": FPS,
        "size": np.array([sitting.width, sitting.height]),
        "views": np.array(views, np.float32),
        "shapes": np.array(list(MOUTHS.values()), np.float32),
        "mask": soft_mask(),
        **_emotions(sitting),
    }


def make(folder: Path, width: int = 640, height: int = 360, repeat: int = 1, face: str = "") -> Path:
    """Write persona.toml, face.npz, life.mp4 and mouths.mp4 into `folder`; returns it.

    `repeat` varies the plan that often, for a longer life; `face` are further lines of [face].
    """
    folder.mkdir(parents=True, exist_ok=True)
    sitting = Sitting(width, height)
    views = [(yaw, pitch) for yaw in YAWS for pitch in PITCHES]
    arrays = make_arrays(sitting, views)
    rng = np.random.default_rng(1)
    rows: list[tuple[int, int, str, str, str]] = []
    changes: list[dict[str, float]] = []
    for turn in range(repeat):
        for activity, begins, ends, length_s, way in PLAN:
            varied = {
                k: v * (1 if turn == 0 else rng.uniform(-1.3, 1.3)) if k != "blink" else v
                for k, v in way.items()
            }
            frames = round(FPS * length_s * (1 if turn == 0 else rng.uniform(0.9, 2.2)))
            rows.append((len(changes), frames, activity.value, begins, ends))
            changes += _segment(begins, ends, frames, varied)
    poses = [sitting.pose(each) for each in changes]
    encode(folder / "life.mp4", (sitting.picture(pose)[0] for pose in poses), {row[0] for row in rows})
    arrays["segment_first"], arrays["segment_frames"] = (np.array([r[k] for r in rows]) for k in (0, 1))
    for k, name in ((2, "activity"), (3, "from"), (4, "to")):
        arrays[f"segment_{name}"] = np.array([row[k] for row in rows])
    arrays["frame_to_patch"] = np.array([sitting.to_patch(pose) for pose in poses], np.float32)
    arrays["frame_view"] = np.array([(pose.yaw, pose.pitch) for pose in poses], np.float32)
    close = Sitting(width, height)
    landmarks, patches = [], []
    for yaw, pitch in views:
        for values in MOUTHS.values():
            pose = close.pose({"yaw": yaw, "pitch": pitch, "mouth": np.array(values, np.float32)})
            pixels, points = close.picture(pose)
            affine = close.to_patch(pose)
            patches.append(_into_patch(pixels, affine))
            landmarks.append(close.landmarks(points) @ affine[:, :2].T + affine[:, 2])
    arrays["landmarks"] = np.array(landmarks, np.float32).reshape(len(views), len(MOUTHS), -1, 2)
    encode(folder / "mouths.mp4", patches, set(range(len(patches))), 14)
    np.savez_compressed(folder / "face.npz", **arrays)
    (folder / "persona.toml").write_text(TOML.format(face=face), encoding="utf-8")
    return folder


@cache
def shared() -> Path:
    """Return the folder of one that all tests of a process may read; made at the first call, in seconds."""
    root = Path(tempfile.mkdtemp(prefix="vcam_talker_clip_"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return make(root / "pictures")


def with_one_mouth(folder: Path) -> Path:
    """Write the shared one as if it came from a photograph: only the mouth at rest is known."""
    folder.mkdir(parents=True)
    for file in ("persona.toml", "life.mp4"):
        os.link(shared() / file, folder / file)
    with np.load(shared() / "face.npz") as arrays:
        changed = dict(arrays)
    changed["shapes"], changed["landmarks"] = changed["shapes"][:1], changed["landmarks"][:, :1]
    np.savez_compressed(folder / "face.npz", **changed)
    return folder


if __name__ == "__main__":
    size = [int(n) for n in sys.argv[2:4]] or [640, 360]
    print(make(Path(sys.argv[1]), *size, *[int(n) for n in sys.argv[4:5]]))
