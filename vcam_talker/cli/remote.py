"""Verbs that talk to the running daemon."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from vcam_talker.cli.output import json_option, print_json, speaks_errors
from vcam_talker.cli.report import status_lines
from vcam_talker.control.client import MAX_BODY_BYTES, ControlClient
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.status import TurnReceipt
from vcam_talker.core.types import Emotion


def _text(words: tuple[str, ...]) -> str:
    """Return the words as one text; `-` reads standard input."""
    if words != ("-",):
        return " ".join(words)
    # More than the client sends is not worth reading: it refuses that much, naming the limit.
    return sys.stdin.buffer.read(MAX_BODY_BYTES + 1).decode("utf-8", errors="replace")


def _print_receipt(receipt: TurnReceipt, *, as_json: bool) -> None:
    if as_json:
        print_json(receipt)
        return
    others = receipt.position
    soon = "next" if receipt.note else "now"
    where = soon if others == 0 else f"waits for {others} other{'s' * (others > 1)}"
    click.echo(f"turn {receipt.turn}: {where}{f' ({receipt.note})' if receipt.note else ''}")


@click.command(epilog='Example:  vcam-talker say "Welcome to the show!" --emotion happy')
@click.argument("text", nargs=-1, required=True)
@click.option("--emotion", type=click.Choice([e.value for e in Emotion]), help="How it is said.")
@json_option
@speaks_errors
def say(text: tuple[str, ...], emotion: str | None, as_json: bool) -> None:
    """Speak TEXT word for word; `-` reads it from standard input."""
    _print_receipt(ControlClient.discover().say(_text(text), emotion=emotion), as_json=as_json)


@click.command(epilog='Example:  vcam-talker ask "Do you ship to Norway?" --user ada')
@click.argument("text", nargs=-1, required=True)
@click.option("--user", default="", help="Who asks.")
@json_option
@speaks_errors
def ask(text: tuple[str, ...], user: str, as_json: bool) -> None:
    """Answer TEXT as if a viewer had typed it; `-` reads it from standard input."""
    _print_receipt(ControlClient.discover().ask(_text(text), user=user), as_json=as_json)


@click.command(epilog="Example:  vcam-talker interrupt --clear")
@click.option("--clear", "clear_queue", is_flag=True, help="Drop what waits, too.")
@json_option
@speaks_errors
def interrupt(clear_queue: bool, as_json: bool) -> None:
    """Stop what is being said, at once."""
    ended = ControlClient.discover().interrupt(clear_queue=clear_queue)
    if as_json:
        print_json({"ended": ended})
    else:
        click.echo("nothing was being said" if ended == 0 else f"stopped {ended} turn{'s' * (ended > 1)}")


@click.command(epilog="Example:  vcam-talker mute")
@speaks_errors
def mute() -> None:
    """Send silence to the microphone; lips and the page go on."""
    ControlClient.discover().mute(muted=True)
    click.echo("the microphone is silent; 'vcam-talker unmute' brings the sound back")


@click.command(epilog="Example:  vcam-talker unmute")
@speaks_errors
def unmute() -> None:
    """Send sound to the microphone again."""
    ControlClient.discover().mute(muted=False)
    click.echo("the microphone has sound")


@click.command(epilog="Example:  vcam-talker pause")
@speaks_errors
def pause() -> None:
    """Begin no further turn; what is being said ends normally, and what comes waits."""
    ControlClient.discover().pause(paused=True)
    click.echo("no further turn begins; 'vcam-talker resume' goes on")


@click.command(epilog="Example:  vcam-talker resume")
@speaks_errors
def resume() -> None:
    """Go on after a pause."""
    ControlClient.discover().pause(paused=False)
    click.echo("turns begin again")


@click.command(
    epilog="""Examples:

\b
  vcam-talker emotion playful
  vcam-talker emotion none
"""
)
@click.argument("name", type=click.Choice([*(e.value for e in Emotion), "none"]))
@speaks_errors
def emotion(name: str) -> None:
    """Set the mood of the face at rest and of texts without one; `none`: the persona's own."""
    ControlClient.discover().emotion(None if name == "none" else name)
    click.echo("the mood is the persona's own" if name == "none" else f"the mood is {name}")


@click.command(epilog="Example:  vcam-talker status --json")
@json_option
@speaks_errors
def status(as_json: bool) -> None:
    """Tell who is on air, what is said, what waits, and how well it runs."""
    report = ControlClient.discover().status()
    if as_json:
        print_json(report)
        return
    for line in status_lines(report):
        click.echo(line)


@click.command(
    epilog="""Example:  vcam-talker devices

Marks: * on air now, + can be used, - can't. An output is named with 'run --mic NAME'."""
)
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="TOML file to use.")
@json_option
@speaks_errors
def devices(config_path: Path | None, as_json: bool) -> None:
    """List the cameras, microphones and sound outputs of this machine; works without a daemon, too."""
    from vcam_talker.air.devices import list_devices
    from vcam_talker.config import load_config

    report = list_devices(load_config(config_path), outputs=True)
    on_air = _names_on_air()
    if as_json:
        print_json({**asdict(report), "on_air": sorted(on_air)})
        return
    for device in (*report.cameras, *report.microphones, *report.outputs):
        mark = "*" if device.id in on_air else "+" if device.usable else "-"
        label = "" if device.label == device.id else device.label
        columns = [mark, f"{device.kind:11}", f"{device.id:24}", label, device.detail]
        if mark == "*":
            columns.append("on air")
        click.echo(" ".join(column for column in columns if column).rstrip())
    for note in report.notes:
        click.echo(f"  {note}")


def _names_on_air() -> set[str]:
    """Return the names of the devices a daemon has open; none without one that answers."""
    try:
        sinks = ControlClient.discover(timeout_s=2.0).status()["sinks"]
    except VcamTalkerError:
        return set()
    return {
        sink["name"] for sink in sinks if sink["kind"] in {"camera", "microphone"} and sink["state"] == "open"
    }
