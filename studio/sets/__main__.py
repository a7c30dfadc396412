"""`python -m studio.sets render`: one set as a picture, and its light."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from studio.character import SetSection, load_character
from studio.sets.blender import Quality
from studio.sets.render import KINDS, render_set
from vcam_talker.core.errors import BadInputError, VcamTalkerError


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.character:
            section = load_character(asked.character).stage
        else:
            section = SetSection(kind=asked.kind, wall=asked.wall, accent=asked.accent, seed=asked.seed)
        width, height = _size(asked.size)
        if asked.samples < 1:
            raise BadInputError(f"--samples {asked.samples}", "is less than 1")
        quality = Quality(asked.samples, asked.threads)
        render_set(section, width, height, asked.out, ambient=asked.ambient, quality=quality)
    except ValidationError as e:
        first = e.errors()[0]
        print(f"--{first['loc'][0]}: {first['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        return int(BadInputError.exit_code)
    except VcamTalkerError as e:
        print(e, file=sys.stderr)
        return int(e.exit_code)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m studio.sets", description="Render the room behind a presenter."
    )
    render = parser.add_subparsers(required=True).add_parser("render", help="path-trace one set")
    default = SetSection()
    render.add_argument(
        "--character", type=Path, help="the room of this description; instead of the next four"
    )
    render.add_argument("--kind", default=default.kind, help=", ".join(sorted(KINDS)))
    render.add_argument("--wall", default=default.wall, help="sRGB, such as #3c4654")
    render.add_argument("--accent", default=default.accent, help="sRGB")
    render.add_argument("--seed", type=int, default=default.seed)
    render.add_argument("--size", default="1920x1080", help="pixels")
    render.add_argument("--samples", type=int, default=Quality().samples, help="paths per pixel at most")
    render.add_argument("--threads", type=int, default=0, help="0: one per core")
    render.add_argument("--out", type=Path, required=True, help="the picture, PNG")
    render.add_argument("--ambient", type=Path, help="the light around the head, npy")
    return parser


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) > 0 and int(height) > 0):
        raise BadInputError(f"--size {text}", "is no size", "Write it as 1920x1080")
    return int(width), int(height)


if __name__ == "__main__":
    sys.exit(main())
