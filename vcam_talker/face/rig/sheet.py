"""Contact sheets of a persona: everything its face can do on a few PNGs, to be looked at and redrawn.

`python -m vcam_talker.face.rig.sheet --persona mira --out DIR`
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import av
import numpy as np
import skia

from vcam_talker.core.types import NS_PER_S, Activity, Emotion, FaceInput, MouthPose, Pixels, Pts
from vcam_talker.face.rig.scene import RigScene
from vcam_talker.persona import Persona, load_persona

MOUTHS: Final[dict[str, Sequence[float]]] = {
    # jaw, width, rounding, protrusion, teeth, tongue, press
    "rest": (0, 0, 0, 0, 0, 0, 0),
    "m b p": (0, 0, 0, 0, 0, 0, 1),
    "f v": (0.04, 0.1, 0, 0, 1, 0, 0),
    "aa": (0.8, 0.1, 0, 0, 0.25, 0, 0),
    "ae": (0.6, 0.5, 0, 0, 0.5, 0.1, 0),
    "ah": (0.45, 0, 0, 0, 0.3, 0, 0),
    "eh": (0.35, 0.4, 0, 0, 0.5, 0.2, 0),
    "iy": (0.14, 0.9, 0, 0, 0.7, 0.3, 0),
    "ow": (0.45, -0.3, 0.8, 0.5, 0, 0, 0),
    "uw": (0.16, -0.6, 1, 0.9, 0, 0, 0),
    "l n d": (0.28, 0.2, 0, 0, 0.4, 1, 0),
    "s z": (0.08, 0.5, 0, 0, 1, 0.2, 0),
    "sh ch": (0.12, -0.3, 0.6, 0.8, 0.8, 0, 0),
    "th": (0.18, 0.1, 0, 0, 0.5, 0.9, 0),
    "wide": (1, 0.2, 0, 0, 0.4, 0.2, 0),
}
"""Typical poses of the sounds of speech."""

_BLINKS: Final = (0.0, 0.3, 0.6, 0.8, 0.9, 1.0)
_TURNS: Final = (
    (-14, 0, 0), (0, 0, 0), (14, 0, 0), (0, 9, 0), (0, -9, 0), (0, 0, 9), (0, 0, -9), (12, 6, 5),
)  # fmt: skip
"""Degrees of yaw, pitch and roll."""


def picture(scene: RigScene, faces: Iterable[FaceInput], start_s: float = 20.0, fps: int = 30) -> Pixels:
    """Return the last of the pictures drawn for `faces` in turn, as uint8[H, W, 3] RGB."""
    frame = scene.still()
    for n, face in enumerate(faces):
        frame = scene.draw(Pts(int(start_s * NS_PER_S) + n * NS_PER_S // fps), face)
    return to_rgb(frame.pixels)


def to_rgb(pixels: Pixels) -> Pixels:
    """Return a yuv420p picture as uint8[H, W, 3]."""
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="yuv420p").to_ndarray(
        format="rgb24"
    )
    return rgb.astype(np.uint8, copy=False)


def contact_sheet(cells: Sequence[tuple[str, Pixels]], columns: int) -> Pixels:
    """Return labelled pictures (uint8[H, W, 3], all of one size) in a grid, uint8[.., .., 3]."""
    height, width = cells[0][1].shape[:2]
    rows = -(-len(cells) // columns)
    sheet = np.full((rows * height, columns * width, 4), 255, np.uint8)
    for n, (_, rgb) in enumerate(cells):
        y, x = n // columns * height, n % columns * width
        sheet[y : y + height, x : x + width, :3] = rgb
    info = skia.ImageInfo.Make(
        sheet.shape[1], sheet.shape[0], skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType
    )
    canvas = skia.Surface.MakeRasterDirect(info, sheet).getCanvas()
    face = skia.FontMgr().matchFamilyStyle("sans-serif", skia.FontStyle.Normal())
    font = skia.Font(face, 18)
    for n, (label, _) in enumerate(cells):
        y, x = n // columns * height, n % columns * width
        for dx, colour in ((1, 0xFF000000), (0, 0xFFFFFFFF)):
            canvas.drawString(label, x + 8 + dx, y + 22 + dx, font, skia.Paint(Color=colour))
    return sheet[..., :3].copy()


def save_png(rgb: Pixels, path: Path) -> None:
    """Write uint8[H, W, 3] as PNG."""
    height, width = rgb.shape[:2]
    rgba = np.dstack([rgb, np.full((height, width, 1), 255, np.uint8)])
    skia.Image.fromarray(np.ascontiguousarray(rgba), colorType=skia.kRGBA_8888_ColorType).save(
        str(path), skia.kPNG
    )


def hold(face: FaceInput, seconds: float = 1.2, fps: int = 30) -> list[FaceInput]:
    """Return the same input for long enough to settle."""
    return [face] * round(seconds * fps)


def mouth_of(values: Sequence[float]) -> MouthPose:
    """Return a mouth pose, float32[7]."""
    return np.array(values, np.float32)


def render_sheets(persona: Persona, out: Path) -> list[Path]:
    """Write all sheets into `out`; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    calm = persona.model_copy(
        update={"idle": persona.idle.model_copy(update={"sway": 0.0, "gaze": 0.0, "blinks_per_min": 0.0})}
    )
    full = RigScene(persona, 1280, 720)
    still = RigScene(calm, 1280, 720)
    x0, y0, size = 640 - 190, 130, 380
    paths: list[Path] = []

    def save(name: str, rgb: Pixels) -> None:
        paths.append(out / f"{name}.png")
        save_png(rgb, paths[-1])

    def close(rgb: Pixels, box: tuple[int, int, int, int] | None = None) -> Pixels:
        left, top, w, h = box or (x0, y0 - 70, size, size + 90)
        return rgb[top : top + h, left : left + w]

    save("full", picture(full, hold(FaceInput())))
    talking = FaceInput(mouth_of(MOUTHS["aa"]), Emotion.HAPPY, Activity.SPEAKING, 0.7)
    save("full_happy", picture(full, hold(talking)))
    lips = (520, 340, 240, 170)
    save(
        "mouths",
        contact_sheet(
            [
                (name, close(picture(still, hold(FaceInput(mouth_of(values)), 0.1)), lips))
                for name, values in MOUTHS.items()
            ],
            5,
        ),
    )
    save(
        "emotions",
        contact_sheet([(e.value, close(picture(full, hold(FaceInput(emotion=e))))) for e in Emotion], 4),
    )
    save(
        "emotions_talking",
        contact_sheet(
            [
                (
                    e.value,
                    close(picture(full, hold(FaceInput(mouth_of(MOUTHS["ae"]), e, Activity.SPEAKING, 0.5)))),
                )
                for e in Emotion
            ],
            4,
        ),
    )
    blinks = [(f"lids {1 - b:.2f}", close(to_rgb(still.posed(0, 0, 0, b).pixels))) for b in _BLINKS]
    save("blink", contact_sheet(blinks, 4))
    save("turns", contact_sheet([(n, close(p)) for n, p in _turns(calm)], 4))
    save(
        "activities",
        contact_sheet([(a.value, close(picture(full, hold(FaceInput(activity=a))))) for a in Activity], 4),
    )
    save(
        "idle",
        contact_sheet([(f"{t} s", picture(full, [FaceInput()], 40 + t)[::2, ::2]) for t in range(12)], 4),
    )
    return paths


def _turns(persona: Persona) -> list[tuple[str, Pixels]]:
    scene = RigScene(persona, 1280, 720)
    return [(f"yaw {y} pitch {p} roll {r}", to_rgb(scene.posed(y, p, r).pixels)) for y, p, r in _TURNS]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persona", default="mira")
    parser.add_argument("--out", type=Path, default=Path("sheets"))
    args = parser.parse_args()
    for path in render_sheets(load_persona(args.persona), args.out):
        print(path)


if __name__ == "__main__":
    main()
