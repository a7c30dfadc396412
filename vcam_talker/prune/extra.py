"""Whether the packages of the extra `prune` are there. Imports none of them by itself."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from vcam_talker.core.errors import EngineError
from vcam_talker.core.extras import how_to_install

_PACKAGES: Final = {"torch": "torch", "torch_pruning": "torch-pruning", "safetensors": "safetensors"}


def need_packages() -> None:
    """Import what pruning needs; blocks for a second or two. Raises EngineError for what is missing."""
    for module, package in _PACKAGES.items():
        try:
            import_module(module)
        except (ImportError, OSError) as e:  # a library may be missing or of another system
            why = f"needs {package}, which can't be imported ({e})"
            raise EngineError("pruning", why, how_to_install("prune")) from e
