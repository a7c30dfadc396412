"""What may be asked for: names and bounds, for the command line and for what it calls.

Imports nothing of the toolkit: torch takes seconds, and the command line must start without it.
"""

from __future__ import annotations

from typing import Final, Literal

ImportanceName = Literal["magnitude", "bn", "taylor", "random"]
Ranking = Literal["uniform", "global"]

MAX_ROUNDS: Final = 99
"""Folders of rounds have two digits, and no network bears as many."""
MAX_STEPS: Final = 10_000_000
"""Of training, in a round."""
MAX_ROWS: Final = 4096
"""Samples in a step of training."""
MAX_RATE: Final = 1.0
"""Of learning."""
