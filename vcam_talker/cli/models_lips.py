"""`vcam-talker models lips`: models that draw lips."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vcam_talker.cli.output import json_option, print_json, speaks_errors

if TYPE_CHECKING:
    from vcam_talker.core.errors import VcamTalkerError
    from vcam_talker.nets.wav2lip import Wav2Lip

_LABEL_CHARACTERS = 80
_BYTES_PER_PARAMETER: Final = 2 * 4
"""A folder holds each twice, as ONNX and as safetensors, in float32."""
_BESIDE_BYTES: Final = 2_000_000
"""The graphs and the descriptions, amply."""
_ELSEWHERE: Final = "Name a folder elsewhere with --out"


@click.group(epilog="Example:  vcam-talker models lips import wav2lip.pth")
def lips() -> None:
    """Models that draw a presenter's lips."""


@lips.command(
    "import",
    epilog="""Examples:

\b
  vcam-talker models lips import wav2lip.pth
  vcam-talker models lips import pruned/weights.safetensors --plan pruned/plan.json --out ~/lips/small
""",
)
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder to make; default: one among your models."
)
@click.option("--plan", "plan_path", type=click.Path(path_type=Path), help="plan.json of a pruned network.")
@click.option("--label", default="", help="What it is called on the page; default: the checkpoint's name.")
@json_option
@speaks_errors
def import_checkpoint(
    checkpoint: Path, out: Path | None, plan_path: Path | None, label: str, as_json: bool
) -> None:
    """Make a model of CHECKPOINT, a Wav2Lip generator's weights (faces of 96 or 256 pixels).

    Public checkpoints are for non-commercial use; bring one that you may use. Nothing in the file is run. It
    takes a minute, and 300 MB for a full-size network; every part must compute what the checkpoint does.
    """
    from vcam_talker.core.errors import EngineError, VcamTalkerError
    from vcam_talker.core.extras import how_to_install
    from vcam_talker.face.neural.package import user_models

    name = out.name if out is not None else checkpoint.stem
    folder = out if out is not None else user_models() / name
    _check_place(folder)  # writing tells all that too, but only after a minute
    try:
        from vcam_talker.nets.checkpoint import load_wav2lip
        from vcam_talker.nets.plan import load_plan
        from vcam_talker.nets.wav2lip_export import export_wav2lip
    except ImportError as e:
        raise EngineError("import of a checkpoint", f"needs a package ({e})", how_to_install("prune")) from e

    net = load_wav2lip(checkpoint, load_plan(plan_path) if plan_path is not None else None)
    size = f"{_parameters(net) / 1e6:.1f} M parameters, {net.size}x{net.size} pixels"
    _check_space(folder, _parameters(net) * _BYTES_PER_PARAMETER + _BESIDE_BYTES)
    if not as_json:
        click.echo(f"{checkpoint}: {size}. Writing its parts takes a minute.")
    try:
        differences = export_wav2lip(
            net,
            folder,
            (label or checkpoint.stem)[:_LABEL_CHARACTERS],
            trained_on=f"as the checkpoint {checkpoint.name[:200]} was",
        )
    except VcamTalkerError as e:
        if isinstance(e.__cause__, OSError):  # of one of its files under a name of the moment
            raise _unwritable(folder, folder.parent, e.__cause__) from e
        raise
    if as_json:
        print_json({"folder": str(folder), "size": net.size, "differences": differences})
        return
    click.echo(f"Written to {folder}; it differs by {max(differences.values()):.0e} at most.")
    model = name if out is None else str(folder.resolve())
    click.echo(f"To use it, set  model = {json.dumps(model, ensure_ascii=False)}  under [lips]")


def _check_place(folder: Path) -> None:
    """Look whether a model can be put into `folder`, by making and removing a folder near it.

    Raises BadInputError for a name that means something else, or is taken; DeviceError for a place that
    can't be written.
    """
    from vcam_talker.core.errors import BadInputError
    from vcam_talker.face.neural.package import meaning, user_models

    try:
        whole = folder.resolve()
        if whole.parent == user_models().resolve() and (means := meaning(whole.name)):
            raise BadInputError(
                f"the model's name '{whole.name}'", means, f"{_ELSEWHERE}, or rename the checkpoint"
            )
        if folder.exists():
            raise BadInputError(f"model folder {folder}", "is there already", "Name another with --out")
    except (
        OSError,
        RuntimeError,
    ) as e:  # a name too long, a loop of links, a folder that nobody may look into
        raise _unwritable(folder, folder.parent, e) from e
    parent = _nearest(folder)
    try:
        tempfile.TemporaryDirectory(dir=parent, prefix=".vcam-talker.").cleanup()
    except OSError as e:
        raise _unwritable(folder, parent, e) from e


def _check_space(folder: Path, needed_bytes: int) -> None:
    """Raise DeviceError where a model of that size has no room."""
    from vcam_talker.core.errors import DeviceError

    parent = _nearest(folder)
    free_bytes = shutil.disk_usage(parent).free
    if free_bytes < needed_bytes:
        why = f"needs {needed_bytes / 1e6:.0f} MB, and in {parent} are {free_bytes / 1e6:.0f} MB free"
        raise DeviceError(f"model folder {folder}", why, f"Make room. {_ELSEWHERE}")


def _unwritable(folder: Path, parent: Path, error: Exception) -> VcamTalkerError:
    from vcam_talker.core.errors import DeviceError

    reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOENT:  # of a place that is there: /proc
        reason = "no folder can be made there"
    return DeviceError(f"model folder {folder}", f"can't be written in {parent} ({reason})", _ELSEWHERE)


def _nearest(folder: Path) -> Path:
    """Return the first folder above that is there; those between will be made."""
    return next(path for path in folder.absolute().parents if path.exists())


def _parameters(net: Wav2Lip) -> int:
    return sum(p.numel() for p in net.parameters())


@lips.command(
    epilog="""Example:

\b
  vcam-talker models lips quantise wav2lip --persona elena
"""
)
@click.argument("model")
@click.option("--persona", default="", help="Whose face and clip to calibrate with; default: the first one.")
@click.option(
    "--limit",
    type=click.FloatRange(0.001, 0.5),
    default=0.05,
    show_default=True,
    help="How far outputs may deviate, in shares of their spread; layers stay in float until it holds.",
)
@click.option("--count", type=click.IntRange(4, 1000), default=48, show_default=True, help="Mouths to see.")
@json_option
@speaks_errors
def quantise(model: str, persona: str, limit: float, count: int, as_json: bool) -> None:
    """Add numbers of 8 bits to MODEL, a name or a folder: often quicker, and a quarter of the memory.

    The daemon takes them where they are the fastest, or with precision = "int8" under [lips]. A presenter
    speaks some sentences in flite's voice to calibrate; it takes minutes.
    """
    from vcam_talker.core.errors import EngineError
    from vcam_talker.core.extras import how_to_install
    from vcam_talker.core.paths import DEFAULT_PERSONA
    from vcam_talker.face.neural.package import find_model
    from vcam_talker.persona import load_persona

    try:
        from vcam_talker.prune.calibrate import quantise_lips
    except ImportError as e:
        raise EngineError("8 bits for a model", f"needs a package ({e})", how_to_install("prune")) from e

    folder = find_model(model, Path.cwd())
    done = quantise_lips(folder, load_persona(persona or DEFAULT_PERSONA), count=count, limit=limit)
    if as_json:
        parts = {
            name: {"file": str(part.path), "error": part.error, "in_float": part.in_float}
            for name, part in done.parts.items()
        }
        print_json({"folder": str(folder), "parts": parts, "difference": done.difference})
        return
    for name, part in done.parts.items():
        click.echo(f"{name}: outputs deviate by {part.error:.3f}; {len(part.in_float)} layers stay in float")
    click.echo(f"Drawn mouths differ by {done.difference:.2f} of 255 on average.")
