"""What is known of a network that `bench lipsync` measures.

Free of torch: it comes back from the process that makes the networks, and the one that measures imports this.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vcam_talker.inference import Array

SMALL_FILE: Final = "small.onnx"
"""Of a network of a few weights, beside the others: what it takes of memory is the engine's library."""


@dataclass(frozen=True, slots=True)
class Made:
    """One network and what is known of it."""

    exact: Path
    int8: Path
    example: dict[str, Array]
    parameters: int
    macs: int
    macs_lower: int
    """Of the lower half alone, encoders included."""
    onnx_off: float
    """Largest difference between torch and ONNX Runtime."""
    lower_off: float
    """Largest difference between the lower half computed alone, and that of the whole picture."""
    channels: int = 0
    """Outputs of all layers but the last, as plans count them."""

    def told(self, dense: Made) -> str:
        """Return its size for people: of a pruned one with its shares of the dense network."""
        channels, parameters, macs = (
            f"{self.channels:,} channels",
            f"{self.parameters / 1e6:.1f} M parameters",
            f"{self.macs / 1e9:.2f} GMAC a frame",
        )
        if self.channels != dense.channels:
            channels = (
                f"{self.channels:,} of {dense.channels:,} channels ({self.channels / dense.channels:.1%})"
            )
            parameters += f" ({self.parameters / dense.parameters:.2f} of dense)"
            macs += f" ({self.macs / dense.macs:.2f})"
        lower = f"{self.macs_lower / 1e9:.2f} for the lower half"
        return f"{channels}, {parameters}, {macs}, {lower}; random weights"
