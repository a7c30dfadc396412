"""Networks that draw a mouth into a crop of a face: what each kind promises, and how one is opened.

They live in the lips process, or in the one process of an offline program; never on air itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from vcam_talker.config import LipsConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.core.types import MOUTH_PARAMS, SAMPLE_RATE, Pixels
from vcam_talker.face.neural.package import Package
from vcam_talker.face.neural.sessions import Opener, open_part
from vcam_talker.inference.memory import give_back_freed

Floats = npt.NDArray[np.float32]

_KINDS: Final = {
    "pose": "vcam_talker.face.neural.pose_model:PoseModel",
    "wav2lip": "vcam_talker.face.neural.wav2lip_model:Wav2LipModel",
}
SOUND_S: Final = (0.04, 0.24)
"""Before and after a picture's moment: what Wav2Lip's mel windows are made of, and some for resampling."""
_WARM_RUNS: Final = 3


class LipsModel(Protocol):
    """Draws mouths. Used from one thread; blocks."""

    @property
    def label(self) -> str:
        """What a user would call it: name, engine, number format."""
        ...

    def begin(self, references: Sequence[Pixels]) -> None:
        """Take another face: crops of it with its mouth wide open, if there are any."""
        ...

    def draw(
        self, crops: Sequence[Pixels], keys: Sequence[int], conditions: Sequence[Floats]
    ) -> list[Pixels]:
        """Return crops (yuv420p, all of one size) with the mouth drawn in.

        `crops` show the mouth at rest. Under equal `keys` lie equal crops, since `begin`: what was computed
        of one is kept. `conditions` are mouth poses float32[7], or sounds float32[round(0.28 * 48000)], by
        the model's `condition`. Raises EngineError.
        """
        ...

    @property
    def faces_computed(self) -> int:
        """How often the network has looked at a face, since the model was opened: each look costs time."""
        ...

    def close(self) -> None:
        """Free memory. Idempotent."""
        ...


def open_model(
    package: Package, config: LipsConfig, face: Pixels, batch: int = 1, opener: Opener = open_part
) -> LipsModel:
    """Return the model, its sessions open and warm; `batch`: how many pictures are drawn at once at most.

    `face`: a crop of a face at rest, of any size, which engines are measured and compared with. `opener`
    opens its sessions.
    Blocks for seconds; with TensorRT for minutes, the first time. Raises EngineError: a damaged file, a
    network that does not do what its kind does, no engine to run it.
    """
    module, _, name = _KINDS[package.spec.kind].partition(":")
    found: LipsModel = getattr(import_module(module), name)(package, config, face, batch, opener)
    return found


def condition_length(package: Package) -> int:
    """Return how many numbers a mouth is drawn from."""
    if package.spec.condition == "pose":
        return len(MOUTH_PARAMS)
    return round(sum(SOUND_S) * SAMPLE_RATE)


def warm_up(model: LipsModel, package: Package, size: tuple[int, int]) -> None:
    """Draw a few grey crops of `size` (width, height), so that the first real one takes no longer.

    Raises EngineError.
    """
    width, height = size
    crop = np.full((height * 3 // 2, width), 128, np.uint8)
    condition = np.zeros(condition_length(package), np.float32)
    for _ in range(_WARM_RUNS):
        drawn = model.draw([crop], [-1], [condition])
        if drawn[0].shape != crop.shape:
            raise EngineError(package.spec.label, f"draws {drawn[0].shape}, not {crop.shape}")
    give_back_freed()  # what no run needs of loading
