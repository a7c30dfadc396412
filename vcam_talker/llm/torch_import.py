"""Importing torch and transformers beside a loop that must not stand still."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vcam_talker.core.errors import EngineError
from vcam_talker.core.extras import how_to_install

if TYPE_CHECKING:
    from vcam_talker.llm.local_model import LocalModel

_LIBRARIES: Final = ("*torch_cpu.*", "*torch_python.*")
_BLOCK_BYTES: Final = 4 * 2**20
_KERNEL_CACHES: Final = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")
_KERNELS: Final = "64"
"""torch and oneDNN keep 1024 compiled kernels each, others for every length of a prompt's last chunk: in
bfloat16 that is 400 MB after some hundred questions. One question needs about 20."""


def import_local_model() -> type[LocalModel]:
    """Return LocalModel, whose module imports torch and transformers: seconds. Raises EngineError."""
    for name in _KERNEL_CACHES:
        os.environ.setdefault(name, _KERNELS)  # read once, when torch first multiplies
    try:
        _read_libraries()
        from vcam_talker.llm.local_model import LocalModel
    except (ImportError, OSError, RuntimeError) as e:  # a library may be missing or of another system
        raise EngineError(
            "brain 'transformers'",
            f"needs torch and transformers, which can't be imported ({' '.join(str(e).split())[:120]})",
            how_to_install("llm"),
        ) from e
    return LocalModel


def _read_libraries() -> None:
    """Bring torch's libraries into the page cache, without the interpreter's lock.

    The dynamic linker reads them under the lock: from a cold, slow disk that is longer than heartbeats wait.
    """
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return
    for pattern in _LIBRARIES:
        for path in (Path(spec.origin).parent / "lib").glob(pattern):
            # What can't be read here tells so when it is imported.
            with contextlib.suppress(OSError), path.open("rb", buffering=0) as file:
                while file.read(_BLOCK_BYTES):
                    pass
