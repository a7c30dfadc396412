"""Channel plans: what is left of a network after pruning, as JSON that rebuilds it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from vcam_talker.core.errors import BadInputError

PLAN_FORMAT: Final = 1
_MAX_BYTES: Final = 32 * 2**20
"""`vcam-talker prune` writes beside the plan which channels it took."""

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


def load_plan(path: Path) -> Plan:
    """Return the JSON object of a plan's file, which the network it is for checks. Raises PlanError."""
    what, remedy = f"channel plan {path}", "Bring the plan.json that was written beside the weights"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise PlanError(what, f"is larger than {_MAX_BYTES >> 20} MB", remedy)
        found = json.loads(path.read_bytes())
    except OSError as e:
        raise PlanError(what, f"can't be read ({e.strerror or e})", remedy) from e
    except (ValueError, RecursionError) as e:
        raise PlanError(what, "is no JSON", remedy) from e
    if not isinstance(found, dict):
        raise PlanError(what, "is no JSON object", remedy)
    return found
