"""The built-in presenters before the judges, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from studio.lips.sync.clips import SIZE
from studio.lips.sync.drawn import SceneStage, TruthStage
from studio.lips.sync.measure import Judges, Rows, Seen, measure, rows
from studio.lips.sync.spoken import Said, drivers
from studio.pack import StudioError
from studio.truth.render import TruthRenderer, open_renderer
from vcam_talker.persona import load_persona

SHAPES: Final = "shapes"
_CHARACTERS: Final = Path("studio/characters")


def everything(
    pieces: Sequence[Said],
    personas: Sequence[str],
    models: Sequence[Path],
    judges: Judges,
    say: Callable[[str], None],
    renderer: str = "raster",
) -> Rows:
    """Return the figures of all presenters together, by who draws and what drives. Blocks for minutes.

    Raises StudioError, PersonaError, EngineError.
    """
    if len({SHAPES, *(model.name for model in models)}) <= len(models):
        raise StudioError("the models", "have names in common", "Rename a folder, the table goes by them")
    tracks = drivers(pieces)
    studio: TruthRenderer | None = None
    if any(piece.reference is not None for piece in pieces):
        studio = open_renderer(renderer, SIZE)
    seen: dict[tuple[str, str], Seen] = {}
    for name in personas:
        persona = load_persona(name)
        with ExitStack() as open_stages:
            stages: dict[str, SceneStage] = {}
            for model in (None, *models):
                stage = SceneStage(persona, model)
                open_stages.callback(stage.close)
                stages[model.name if model else SHAPES] = stage
            truth = TruthStage(_CHARACTERS / f"{name}.toml", studio) if studio is not None else None
            say(f"{name}: {len(pieces)} pieces, {len(tracks)} drivers, drawn by {', '.join(stages)}")
            measure(pieces, tracks, stages, truth, judges, seen, say)
    return rows(seen)
