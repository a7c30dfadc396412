"""`vcam-talker setup obs`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from vcam_talker.cli.output import json_option, print_json, speaks_errors
from vcam_talker.core.errors import ExitCode


@click.command(
    "obs",
    epilog="""Examples:

\b
  vcam-talker setup obs --dry-run
  vcam-talker setup obs --scene "Live"

Exit code 4 when picture or sound does not arrive in OBS.""",
)
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="TOML file to use.")
@click.option("--scene", default="vcam_talker", show_default=True, metavar="NAME", help="Scene to set up.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--remove", is_flag=True, help="Undo it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@speaks_errors
def setup_obs(
    config_path: Path | None, scene: str, dry_run: bool, remove: bool, yes: bool, as_json: bool
) -> None:
    """Put camera, microphone and captions into a running OBS, and check there that they work.

    With the daemon on air OBS itself is asked whether a moving picture and the voice arrive. What you have
    arranged in OBS stays as it is.
    """
    from vcam_talker.config import load_config
    from vcam_talker.setup_obs import run_setup

    if not scene.strip():
        raise click.BadParameter("is empty", param_hint="--scene")
    outcome = run_setup(
        load_config(config_path),
        scene=scene,
        dry_run=dry_run,
        remove=remove,
        ask=(lambda _question: True) if yes else (lambda question: click.confirm(question, err=as_json)),
        announce=(lambda line: click.echo(line, err=True)) if as_json else click.echo,
    )
    if as_json:
        print_json({**asdict(outcome), "ok": not outcome.failed})
    if outcome.failed:
        raise SystemExit(int(ExitCode.DEVICE))
