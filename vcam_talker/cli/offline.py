"""Verbs that need no daemon: doctor, render, bench, setup."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from vcam_talker.bench import NAMES, ON_AIR, ON_GPU
from vcam_talker.cli.obs import setup_obs
from vcam_talker.cli.output import SizeType, json_option, print_json, speaks_errors, telling
from vcam_talker.core.errors import ExitCode
from vcam_talker.core.paths import DEFAULT_PERSONA
from vcam_talker.core.types import Emotion


@click.command(
    epilog="""Example:  vcam-talker doctor

Exit code 4 when something essential fails; warnings end with 0."""
)
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="TOML file to use.")
@json_option
@speaks_errors
def doctor(config_path: Path | None, as_json: bool) -> None:
    """Check this machine: what works, what is missing, and the command that mends it."""
    from dataclasses import asdict

    from vcam_talker.config import load_config
    from vcam_talker.doctor import diagnose, render_findings

    findings = diagnose(load_config(config_path))
    if as_json:
        print_json([asdict(f) for f in findings])
    else:
        click.echo(render_findings(findings))
    if any(f.state == "fail" for f in findings):
        raise SystemExit(int(ExitCode.DEVICE))


@click.command(
    epilog="""Examples:

\b
  vcam-talker render --persona elena --text "Hello, world." --out hello.mp4
  vcam-talker render --audio speech.wav --out speech.mp4
"""
)
@click.option("--persona", default=DEFAULT_PERSONA, show_default=True, help="Who speaks.")
@click.option("--text", help="What to say.")
@click.option("--audio", type=click.Path(path_type=Path), help="WAV whose speech moves the lips.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="FILE.mp4 to write.")
@click.option("--emotion", type=click.Choice([e.value for e in Emotion]), help="How it is said.")
@click.option(
    "--size", default="1280x720", show_default=True, type=SizeType(), metavar="WxH", help="Picture size."
)
@click.option(
    "--fps",
    default=30,
    show_default=True,
    type=click.IntRange(10, 60),
    metavar="N",
    help="Pictures a second, 10 to 60.",
)
@click.option(
    "--lips",
    default="",
    metavar="MODEL",
    help="Network that draws the mouth: a name, or a folder with a slash in it; 'shapes' for none."
    " Default: what [lips] of the configuration says.",
)
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="TOML file to use.")
@json_option
@speaks_errors
def render(
    persona: str,
    text: str | None,
    audio: Path | None,
    out: Path,
    emotion: str | None,
    size: tuple[int, int],
    fps: int,
    lips: str,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Make a video file of a persona speaking TEXT or the sound of AUDIO.

    About three times faster than real time at 1280x720. The video is longer than the speech: 0.5 s of
    silence come before it and 0.8 s after it. Of the configuration [lips], [voice] and the disclosure
    count; an empty file for --config makes the same video whatever yours says.
    """
    from vcam_talker.app.render import render_file
    from vcam_talker.config import load_config

    if (text is None) == (audio is None):
        raise click.UsageError("give either --text or --audio")
    config = load_config(config_path)
    mood = Emotion(emotion) if emotion else None
    # What measures tells of it: the first time that looks like hanging. A recording may have holes.
    with telling("vcam_talker.inference"), telling("vcam_talker.dsp.wav"):
        report = render_file(
            persona, out, text=text, audio=audio, emotion=mood, size=size, fps=fps, lips=lips, config=config
        )
    if as_json:
        print_json(report)
    else:
        click.echo(
            f"{out}: {report.duration_s:.1f} s, {report.frames} frames, made in {report.took_s:.1f} s"
            f" ({report.speed:.1f}x real time)"
        )


@click.command(
    epilog="""Example:  vcam-talker bench latency --json

Exit code 1 when a figure misses its bar."""
)
@click.argument("name", type=click.Choice(NAMES))
@click.option("--seconds", type=click.FloatRange(min=1), help="How long to measure, where it matters.")
@click.option("--camera", default="null", show_default=True, help="Camera for the daemon under test.")
@click.option("--persona", help="Who is on air (default: mira); `bench face`: whose face (default: all).")
@click.option(
    "--everything", is_flag=True, help=f"With ears in a call and a chat as well: {', '.join(ON_AIR)}."
)
@click.option("--gpu", is_flag=True, help=f"On the GPU: {', '.join(ON_GPU)}.")
@json_option
@speaks_errors
def bench(
    name: str,
    seconds: float | None,
    camera: str,
    persona: str | None,
    everything: bool,
    gpu: bool,
    as_json: bool,
) -> None:
    """Measure the figure NAME on this machine, through the real daemon.

    Your configuration is not read: figures of two machines can be compared.
    """
    from vcam_talker.bench import run_bench
    from vcam_talker.bench.options import Options

    if everything and name not in ON_AIR:
        raise click.UsageError(f"--everything is for {', '.join(ON_AIR)}")
    if gpu and name not in ON_GPU:
        raise click.UsageError(f"--gpu is for {', '.join(ON_GPU)}")
    report = run_bench(name, Options(seconds, camera, persona, everything, gpu))
    if as_json:
        print_json(report.as_dict())
    else:
        for line in report.lines():
            click.echo(line)
    if not report.met:
        raise SystemExit(int(ExitCode.INTERNAL))


@click.group(epilog="Example:  vcam-talker setup camera")
def setup() -> None:
    """Prepare this machine; asks before it changes anything."""


setup.add_command(setup_obs)


@setup.command("camera", epilog="Example:  vcam-talker setup camera --dry-run")
@click.option("--dry-run", is_flag=True, help="Only show what would be done, or why nothing can be.")
@click.option("--remove", is_flag=True, help="Undo it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@speaks_errors
def setup_camera(dry_run: bool, remove: bool, yes: bool) -> None:
    """Add the virtual camera: v4l2loopback with a fixed number and name, there after every boot."""
    from vcam_talker.config import load_config
    from vcam_talker.setup_camera import run_setup

    run_setup(
        load_config(),
        dry_run=dry_run,
        remove=remove,
        ask=(lambda _question: True) if yes else click.confirm,
        announce=click.echo,
    )


@setup.command(
    "service",
    epilog="""Examples:

\b
  vcam-talker setup service --dry-run
  vcam-talker setup service --config ~/show.toml
""",
)
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="TOML file it shall use.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done, or why nothing can be.")
@click.option("--remove", is_flag=True, help="Undo it; secrets stay.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@speaks_errors
def setup_service(config_path: Path | None, dry_run: bool, remove: bool, yes: bool) -> None:
    """Be on air from boot on: a systemd service of yours, watched, restarted for ever."""
    from vcam_talker.config import load_config
    from vcam_talker.setup_service import run_setup

    load_config(config_path)  # a mistake in it shows here, not in the journal
    run_setup(
        config_path,
        dry_run=dry_run,
        remove=remove,
        ask=(lambda _question: True) if yes else click.confirm,
        announce=click.echo,
    )


@setup.command(
    "secret",
    epilog="""Examples:

\b
  vcam-talker setup secret obs-password
  pass show openai | vcam-talker setup secret openai-api-key
""",
)
@click.argument("name", required=False)
@click.option("--remove", is_flag=True, help="Forget it.")
@speaks_errors
def setup_secret(name: str | None, remove: bool) -> None:
    """Keep the secret NAME: asked for without an echo, or read from a pipe. Without NAME: list them.

    It is kept in a file that only you can read, never in the configuration, in arguments or in the
    environment.
    """
    from vcam_talker.core.secrets import KNOWN_SECRETS, remove_secret, secret_names, write_secret

    kept = secret_names()
    if name is None:
        for known in sorted({*KNOWN_SECRETS, *kept}):
            state = "set" if known in kept else "not set"
            click.echo(f"{known:20} {state:8} {KNOWN_SECRETS.get(known, '')}".rstrip())
        return
    if remove:
        click.echo(f"{name} is forgotten." if remove_secret(name) else f"There was no {name}.")
        return
    path = write_secret(name, _secret_value(name))
    click.echo(f"Kept in {path}. A running service takes it at its next start:")
    click.echo("  systemctl --user restart vcam-talker")
    if name not in KNOWN_SECRETS:
        click.echo(f"Note: nothing reads {name} yet; known are {', '.join(KNOWN_SECRETS)}.", err=True)


def _secret_value(name: str) -> str:
    from vcam_talker.core.secrets import MAX_SECRET_BYTES

    if not sys.stdin.isatty():
        return sys.stdin.buffer.read(MAX_SECRET_BYTES + 2).decode("utf-8", "replace")
    return str(click.prompt(name, hide_input=True, confirmation_prompt="once more"))
