"""`vcam-talker cache`: look at the hot phrases on disk, make the persona's, forget them all."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vcam_talker.cli.output import json_option, print_json, speaks_errors
from vcam_talker.core.errors import DeviceError

if TYPE_CHECKING:
    from vcam_talker.cache.folder import PhraseFolder, StoredPhrase

_TEXT_CHARS = 60
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))

_config_option = click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="TOML file to use."
)


@click.group(epilog="Example:  vcam-talker cache stats")
def cache() -> None:
    """Hot phrases: finished sentences that are spoken at once. Safe while the daemon runs."""


@cache.command(epilog="Example:  vcam-talker cache stats --json")
@_config_option
@json_option
@speaks_errors
def stats(config_path: Path | None, as_json: bool) -> None:
    """Tell how many phrases are on disk, how large they are, and how many there may be."""
    folder = _folder(config_path)
    with _readable(folder):
        phrases = list(folder.listing())
    spoken_s = round(sum(p.duration_s for p in phrases), 1)
    disk_mb, limit_mb = round(folder.size / 1e6, 1), folder.capacity / 1e6
    if as_json:
        print_json(
            {
                "folder": str(folder.path),
                "phrases": folder.entries,
                "disk_mb": disk_mb,
                "limit_mb": limit_mb,
                "spoken_s": spoken_s,
            }
        )
        return
    count = f"{folder.entries} phrase{'s' * (folder.entries != 1)}"
    click.echo(f"{count}, {spoken_s:.0f} s of speech, in {folder.path}")
    click.echo(f"{disk_mb} MB of {limit_mb:g} MB")


@cache.command("list", epilog="Example:  vcam-talker cache list --json")
@_config_option
@json_option
@speaks_errors
def list_phrases(config_path: Path | None, as_json: bool) -> None:
    """List the phrases on disk, the one used last first."""
    folder = _folder(config_path)
    with _readable(folder):
        phrases = sorted(folder.listing(), key=lambda p: p.used_s, reverse=True)
    now_s = time.time()
    if as_json:
        print_json([_plain(p, now_s) for p in phrases])
        return
    if phrases:
        click.echo(f"{'used':>8} {'made':>8} {'kB':>6} {'voice':20} {'emotion':10} text")
    for p in phrases:
        click.echo(
            f"{_ago(now_s - p.used_s):>8} {_ago(now_s - p.head.made_s):>8} {p.file_bytes // 1000:>6}"
            f" {_shown(p.head.voice, 20):20} {p.head.emotion:10} {_shown(p.head.text, _TEXT_CHARS)}"
        )


@cache.command(epilog="Example:  vcam-talker cache warm --persona kofi")
@click.option("--persona", help="Whose phrases; default: the one of the configuration.")
@_config_option
@json_option
@speaks_errors
def warm(persona: str | None, config_path: Path | None, as_json: bool) -> None:
    """Make everything the persona is sure to say, so that it is spoken at once from the first time on."""
    from vcam_talker.config import load_config
    from vcam_talker.engine.offline import warm_now
    from vcam_talker.persona import load_persona

    config = load_config(config_path)
    chosen = load_persona(persona or config.persona)
    begun_s = time.monotonic()
    outcomes = warm_now(chosen, config, _progress)
    took_s = time.monotonic() - begun_s
    counts = {name: outcomes[name] for name in ("made", "there", "failed", "full")}
    if as_json:
        print_json({"persona": chosen.name, **counts, "took_s": round(took_s, 1)})
        return
    click.echo(f"{counts['made']} phrases made in {took_s:.1f} s, {counts['there']} were there")
    if counts["failed"]:
        click.echo(f"{counts['failed']} can't be made here; vcam-talker doctor tells what is missing")
    if counts["full"]:
        click.echo(f"{counts['full']} were left out for want of room; raise cache.disk_mb")


@cache.command(epilog="Example:  vcam-talker cache clear --yes")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_config_option
@json_option
@speaks_errors
def clear(yes: bool, config_path: Path | None, as_json: bool) -> None:
    """Remove every phrase; a running daemon forgets its own within seconds."""
    folder = _folder(config_path)
    with _readable(folder):
        folder.look()
        if not yes:
            click.confirm(f"Remove {folder.entries} phrases from {folder.path}?", abort=True)
        removed = folder.clear()
    if as_json:
        print_json({"removed": removed})
    else:
        click.echo(f"removed {removed} phrases")


def _progress(done: int, of: int) -> None:
    """Show how far it is, to people who watch."""
    if sys.stderr.isatty():
        click.echo(f"\r{done} of {of} phrases" if done < of else "\r\033[K", nl=False, err=True)


def _folder(config_path: Path | None) -> PhraseFolder:
    from vcam_talker.cache.phrases import phrase_folder
    from vcam_talker.config import load_config

    return phrase_folder(load_config(config_path).cache)


@contextmanager
def _readable(folder: PhraseFolder) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        why = f"can't be used ({e.strerror or e})"
        raise DeviceError(str(folder.path), why, "Set cache.folder to another one") from None


def _plain(phrase: StoredPhrase, now_s: float) -> dict[str, object]:
    return {
        "text": phrase.head.text,
        "language": phrase.head.language,
        "emotion": phrase.head.emotion,
        "voice": phrase.head.voice,
        "duration_s": phrase.duration_s,
        "bytes": phrase.file_bytes,
        "age_s": round(now_s - phrase.head.made_s),
        "used_s_ago": round(now_s - phrase.used_s),
        "key": phrase.key,
    }


def _shown(text: str, chars: int) -> str:
    """Return `text` cut to `chars`; a file may hold anything, and a terminal obeys control characters."""
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return plain if len(plain) <= chars else plain[: chars - 1] + "…"


def _ago(seconds: float) -> str:
    """Return a time in its largest unit, `3 h`."""
    size, unit = next((u for u in _UNITS if seconds >= u[0]), _UNITS[-1])
    return f"{max(0, int(seconds // size))} {unit}"
