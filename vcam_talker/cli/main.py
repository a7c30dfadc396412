"""The verb table. Heavy modules are imported by the verb that needs them, so that `say` answers at once."""

from __future__ import annotations

import click

from vcam_talker import __version__
from vcam_talker.cli import cache, models, offline, persona, prune, remote, running

_EPILOG = """Exit codes: 0 done, 1 internal fault, 2 wrong usage, 3 configuration or persona, 4 device,
5 no daemon is running, 6 a daemon is already running, 7 bad input, 8 a voice or model failed,
130 stopped with Ctrl+C. In addition, doctor ends with 4 when something essential fails, and bench with 1
when a figure misses its bar."""


@click.group(
    epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="vcam-talker")
def main() -> None:
    """Put a talking person on a virtual webcam and a virtual microphone, around the clock."""


for _verb in (
    running.run,
    remote.say,
    remote.ask,
    remote.interrupt,
    remote.mute,
    remote.unmute,
    remote.pause,
    remote.resume,
    remote.emotion,
    persona.persona,
    remote.status,
    remote.devices,
    cache.cache,
    models.models,
    offline.doctor,
    offline.render,
    offline.bench,
    prune.prune,
    offline.setup,
):
    main.add_command(_verb)
