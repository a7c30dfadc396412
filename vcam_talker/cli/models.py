"""`vcam-talker models`: the models that its ears can use, and those that draw lips."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from vcam_talker.cli.models_lips import lips
from vcam_talker.cli.output import json_option, print_json, speaks_errors

_DRAW_EVERY_S = 0.2
_TELL_EVERY_S = 10.0


@click.group(epilog="Example:  vcam-talker models get base")
def models() -> None:
    """Models for hearing: what is on this machine, and how more get here; and those that draw lips."""


models.add_command(lips)


@models.command("list", epilog="Example:  vcam-talker models list --json")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="TOML file to use.")
@json_option
@speaks_errors
def list_models(config_path: Path | None, as_json: bool) -> None:
    """List the models that are there, and which of them the ears use."""
    from vcam_talker.asr.models import installed, is_folder, models_dir
    from vcam_talker.config import load_config

    wanted = load_config(config_path).ears.model
    found = installed()
    if as_json:
        rows = [
            {
                "name": m.name,
                "folder": str(m.folder),
                "bytes": m.size_bytes,
                "repository": m.repository,
                "source": m.source,
                "problem": m.problem,
                "used_by_ears": m.name == wanted,
            }
            for m in found
        ]
        print_json({"folder": str(models_dir()), "ears_model": wanted, "models": rows})
        return
    for m in found:
        mark = "*" if m.name == wanted else " "
        origin = f"{m.repository} at {m.source}" if m.repository else "put there by hand"
        click.echo(f"{mark} {m.name:20} {m.size_bytes / 1e6:8,.1f} MB  {m.problem or origin}")
    if is_folder(wanted):
        click.echo(f"The ears use the folder {wanted} (ears.model)")
    elif wanted in {m.name for m in found}:
        click.echo(f"* is the one that the ears use (ears.model); all are in {models_dir()}")
    else:
        click.echo(f"The ears want '{wanted}' (ears.model). Fetch it: vcam-talker models get {wanted}")


@models.command(
    "get",
    epilog="""Examples:

\b
  vcam-talker models get base
  vcam-talker models get small.en --mirror https://mirror.example.org
""",
)
@click.argument("name")
@click.option(
    "--mirror", default="", metavar="URL", help="Fetch from there; default: HF_ENDPOINT, else the usual hub."
)
@json_option
@speaks_errors
def get(name: str, mirror: str, as_json: bool) -> None:
    """Fetch the model NAME: tiny, base, small, medium, large-v3, turbo, distil-large-v3, base.en (English).

    It is verified, and appears only when it is whole. Interrupted, the next run goes on where this one
    stopped; one that is there already is verified and, where damaged, mended.
    """
    from vcam_talker.asr.models_fetch import get_model
    from vcam_talker.asr.models_hub import Hub

    hub = Hub(mirror)
    begun_s = time.monotonic()
    try:
        with _bar(name, hidden=as_json) as progress:
            folder, fetched = get_model(name, hub, progress)
    except KeyboardInterrupt:
        if not as_json:
            click.echo("Stopped. What has arrived stays; run it again to go on.", err=True)
        raise
    took_s = round(time.monotonic() - begun_s, 1)
    size_bytes = sum(f.stat().st_size for f in folder.iterdir() if f.is_file())
    if as_json:
        print_json(
            {"name": name, "folder": str(folder), "bytes": size_bytes, "fetched": fetched, "took_s": took_s}
        )
    elif fetched:
        click.echo(f"{name}: {size_bytes / 1e6:,.1f} MB in {took_s} s, verified, in {folder}")
        click.echo(f'To use it, set  model = "{name}"  under [ears]')
    else:
        click.echo(f"{name} was there already, and is whole: {folder}")


@contextmanager
def _bar(name: str, *, hidden: bool) -> Iterator[Callable[[int, int], None]]:
    """Yield what draws progress: a bar with the speed on a terminal, else a line on stderr now and then."""
    begun_s = drawn_s = time.monotonic()
    first = -1
    drawing = sys.stdout.isatty()
    pause_s = _DRAW_EVERY_S if drawing else _TELL_EVERY_S

    with click.progressbar(
        length=1, label=name, hidden=hidden or not drawing, show_pos=False, item_show_func=_shown
    ) as bar:

        def progress(there: int, of: int) -> None:
            nonlocal drawn_s, first
            now_s = time.monotonic()
            first = there if first < 0 else first
            if now_s - drawn_s < pause_s and (there < of or not drawing):
                return
            drawn_s = now_s
            rate_mb = (there - first) / 1e6 / max(now_s - begun_s, 0.1)
            text = f"{there / 1e6:,.0f} of {of / 1e6:,.0f} MB, {rate_mb:.1f} MB/s"
            bar.length = of
            bar.update(there - bar.pos, text)
            if not (drawing or hidden):
                click.echo(f"{name}: {text}", err=True)

        yield progress


def _shown(text: str | None) -> str:
    return text or ""
