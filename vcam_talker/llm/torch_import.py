"""Importing torch and transformers beside a loop that must not stand still."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vcam_talker.core.errors import EngineError

if TYPE_CHECKING:
    from vcam_talker.llm.local_model import LocalModel


def import_local_model() -> type[LocalModel]:
    """Return LocalModel, whose module imports torch and transformers: seconds. Raises EngineError."""
    try:
        from vcam_talker.llm.local_model import LocalModel
    except ImportError as e:
        raise EngineError(
            "brain 'transformers'",
            f"needs torch and transformers, which can't be imported ({' '.join(str(e).split())[:120]})",
            "pip install 'vcam-talker[llm]'",
        ) from e
    return LocalModel
