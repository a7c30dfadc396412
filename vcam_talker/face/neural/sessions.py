"""Opens the networks of a model through `vcam_talker.inference`, and checks what they take and give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from vcam_talker.config import LipsConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.face.neural.package import Package
from vcam_talker.inference import Array, Session, open_session


class Opener(Protocol):
    """Opens a part of a model, as `open_part` does."""

    def __call__(
        self, package: Package, config: LipsConfig, part: str, example: Mapping[str, Array] | None = None
    ) -> Session:
        """Return a session, warmed up. Blocks. Raises EngineError."""
        ...


def open_part(
    package: Package, config: LipsConfig, part: str, example: Mapping[str, Array] | None = None
) -> Session:
    """Return a session of a part of the model, warmed up, for the shapes of `example`. Blocks.

    Raises EngineError.
    """
    path, variants = package.network(part)
    return open_session(
        path, config.engine, config.precision, config.threads or None, variants=variants, example=example
    )


def checked_ports(package: Package, session: Session, part: str, inputs: set[str], outputs: set[str]) -> None:
    """Raise EngineError unless a session has at least these inputs and outputs."""
    for what, wanted, ports in (("input", inputs, session.inputs), ("output", outputs, session.outputs)):
        if missing := wanted - {port.name for port in ports}:
            raise EngineError(
                str(package.folder / package.spec.parts[part].file),
                f"has no {what} {', '.join(sorted(missing))}",
                f"It is no '{part}' of a model of kind '{package.spec.kind}'",
            )


def checked_channels(package: Package, part: str, name: str, output: Array, channels: int) -> None:
    """Raise EngineError unless the output `name` is pictures of so many channels, which come last."""
    if output.ndim != 4 or output.shape[3] != channels:
        raise EngineError(
            str(package.folder / package.spec.parts[part].file),
            f"answers with '{name}' of shape {output.shape}, not [N, height, width, {channels}]",
            f"It is no '{part}' of a model of kind '{package.spec.kind}'",
        )
