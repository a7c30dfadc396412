"""The programs that colour a presenter (glsl/). All light is linear; the figure's own is baked per point."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import moderngl

LAMPS: Final = 4
"""How many lamps a light has, as the programs count them."""
LABELS: Final = 8
"""Masks hold label / LABELS."""
_FOLDER: Final = Path(__file__).with_name("glsl")


def load(context: moderngl.Context, vertex: str, fragment: str) -> moderngl.Program:
    """Return a program of two files; fragments are given what they all share."""
    body = (_FOLDER / f"{fragment}.frag").read_text()
    shared = "" if body.startswith("#version") else (_FOLDER / "common.glsl").read_text()
    return context.program(
        vertex_shader=(_FOLDER / f"{vertex}.vert").read_text(), fragment_shader=shared + body
    )
