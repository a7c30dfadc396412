"""What the studio's command lines share."""

from __future__ import annotations

import click

from vcam_talker.core.errors import VcamTalkerError


def run(cli: click.Command) -> int:
    """Run it from the command line; return the exit status. An expected failure is one line."""
    try:
        cli.main(standalone_mode=False)
    except VcamTalkerError as e:
        click.echo(str(e), err=True)
        return int(e.exit_code)
    except click.ClickException as e:
        e.show()
        return e.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    return 0
