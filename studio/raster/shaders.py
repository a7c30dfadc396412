"""The programs that colour a presenter (glsl/). All light is linear; the figure's own is baked per point."""

from __future__ import annotations

from pathlib import Path
from typing import Final, cast

import moderngl

LAMPS: Final = 4
"""How many lamps a light has, as the programs count them."""
LABELS: Final = 8
"""Masks hold label / LABELS."""
_FOLDER: Final = Path(__file__).with_name("glsl")


def load(context: moderngl.Context, vertex: str, fragment: str) -> moderngl.Program:
    """Return a program of two files; fragments are given what they all share.

    A context compiles each but once, so whoever draws sets all of its uniforms.
    """
    body = _text(f"{fragment}.frag")
    shared = "" if body.startswith("#version") else _text("common.glsl")
    return _once(context, _text(f"{vertex}.vert"), shared + body)


def load_lit(context: moderngl.Context, name: str) -> moderngl.Program:
    """Return what draws as `NAME.frag` does, but finds light at vertices; compiled once too."""
    version, shared = _text("common.glsl").split("\n", 1)
    parts = (version, "#define AT_VERTICES", shared, _text(f"{name}.frag"), _text(f"{name}_lit.vert"))
    return _once(context, "\n".join(parts), _text("lit.frag"))


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _once(context: moderngl.Context, vertex: str, fragment: str) -> moderngl.Program:
    made = context.extra = context.extra or {}
    key = (vertex, fragment)
    if key not in made:
        made[key] = context.program(vertex_shader=vertex, fragment_shader=fragment)
    return cast("moderngl.Program", made[key])
