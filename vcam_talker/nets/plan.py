"""Channel plans: what is left of a network after pruning, as JSON that rebuilds it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from vcam_talker.core.errors import BadInputError

PLAN_FORMAT: Final = 1

Plan = dict[str, Any]
"""`{"format": 1, "net": "wav2lip", "size": 96, "channels": {"face_encoder_blocks.0.0": 16, ...}}`."""


class PlanError(BadInputError):
    """A channel plan that no network can be built from."""


def plan_hash(plan: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the plan's canonical JSON, 64 hexadecimal digits: part of engine caches' keys.

    Neither the order of the keys nor white space in the file it came from counts. Pure.
    """
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
