"""`vcam-talker models lips`: models that draw lips."""

from __future__ import annotations

from pathlib import Path

import click

from vcam_talker.cli.output import json_option, print_json, speaks_errors

_LABEL_CHARACTERS = 80


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
    from vcam_talker.core.errors import BadInputError, EngineError
    from vcam_talker.core.extras import how_to_install
    from vcam_talker.core.paths import data_dir

    try:
        from vcam_talker.nets.checkpoint import load_wav2lip
        from vcam_talker.nets.plan import load_plan
        from vcam_talker.nets.wav2lip_export import export_wav2lip
    except ImportError as e:
        raise EngineError("import of a checkpoint", f"needs a package ({e})", how_to_install("prune")) from e

    name = out.name if out is not None else checkpoint.stem
    folder = out if out is not None else data_dir() / "models" / "lips" / name
    if folder.exists():  # export says so too, but only after a minute
        raise BadInputError(f"model folder {folder}", "is there already", "Name another with --out")
    net = load_wav2lip(checkpoint, load_plan(plan_path) if plan_path is not None else None)
    size = f"{sum(p.numel() for p in net.parameters()) / 1e6:.1f} M parameters, {net.size}x{net.size} pixels"
    if not as_json:
        click.echo(f"{checkpoint}: {size}. Writing its parts takes a minute.")
    differences = export_wav2lip(
        net,
        folder,
        (label or checkpoint.stem)[:_LABEL_CHARACTERS],
        trained_on=f"as the checkpoint {checkpoint.name[:200]} was",
    )
    if as_json:
        print_json({"folder": str(folder), "size": net.size, "differences": differences})
        return
    click.echo(f"Written to {folder}; it differs by {max(differences.values()):.0e} at most.")
    model = name if out is None else folder.resolve()
    click.echo(f'To use it, set  model = "{model}"  under [lips]')
