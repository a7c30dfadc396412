"""`vcam-talker run`: the daemon itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vcam_talker.cli.output import SizeType, speaks_errors
from vcam_talker.core.errors import ConfigError

_FLAGS = {
    "persona": "--persona",
    "camera.device": "--camera",
    "microphone.device": "--mic",
    "air.fps": "--fps",
    "control.host": "--host",
    "control.port": "--port",
}
"""Key of the configuration -> the flag that wins over it."""


@click.command(
    epilog="""Examples:

\b
  vcam-talker run
  vcam-talker run --persona kofi --camera /dev/video10
  vcam-talker run --camera file:show.mp4 --mic null --for 60
"""
)
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="TOML file to use.")
@click.option("--persona", help="Built-in name, a name of yours, or a folder.")
@click.option("--camera", metavar="DEVICE", help="auto, /dev/videoN, obs, unitycapture, null, file:PATH.mp4")
@click.option("--mic", metavar="DEVICE", help="auto, NAME, null, file:PATH.wav")
@click.option("--size", type=SizeType(), metavar="WxH", help="Picture size, 1280x720.")
@click.option("--fps", type=click.IntRange(10, 60), metavar="N", help="Pictures a second, 10 to 60.")
@click.option("--host", help="Address of the page; anything but loopback needs a token in the config.")
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="N", help="Port of the page; 0 takes a free one."
)
@click.option("--greet/--no-greet", default=None, help="Speak the greeting when going on air.")
@click.option("--for", "for_s", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Stop after that.")
@click.option("--frame-log", type=click.Path(path_type=Path), help="Log when each frame left (for benches).")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@speaks_errors
def run(
    config_path: Path | None,
    persona: str | None,
    camera: str | None,
    mic: str | None,
    size: tuple[int, int] | None,
    fps: int | None,
    host: str | None,
    port: int | None,
    greet: bool | None,
    for_s: float | None,
    frame_log: Path | None,
    verbose: bool,
) -> None:
    """Go on air, and stay there until Ctrl+C."""
    from vcam_talker.app.daemon import run_daemon
    from vcam_talker.config import load_config, override

    config = load_config(config_path)
    changes: dict[str, Any] = {
        "persona": persona,
        "camera.device": camera,
        "microphone.device": mic,
        "air.fps": fps,
        "control.host": host,
        "control.port": port,
        "greet": greet,
        "log_level": "debug" if verbose else None,
    }
    if size is not None:
        changes["air.width"], changes["air.height"] = size
    for key, value in changes.items():
        if value is None:
            continue
        try:
            config = override(config, {key: value})
        except ConfigError as e:
            raise click.BadParameter(e.why, param_hint=_FLAGS.get(key)) from None
    run_daemon(config, for_s=for_s, frame_log=frame_log, announce=click.echo)
