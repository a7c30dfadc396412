"""A Hugging Face folder looked over before anything heavy is loaded: what is there, whole and usable.

Neither torch nor transformers is needed for this.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vcam_talker.core.errors import EngineError

FAMILIES: Final = ("llama", "qwen2", "qwen3", "mistral")
"""`model_type` of the architectures that are known here: causal attention, one key-value cache."""
_INDEX: Final = "model.safetensors.index.json"
_SINGLE: Final = "model.safetensors"
_MAX_JSON_BYTES: Final = 64 * 2**20
"""Of config, tokenizer, index and a shard's header; the largest known ones have a third of it."""
_FETCH: Final = "Fetch it again"


@dataclass(frozen=True, slots=True)
class HfFolder:
    """A folder that was found whole."""

    path: Path
    family: str
    """One of FAMILIES."""


def check_folder(name: str) -> HfFolder:
    """Return the folder of a model, found complete. Reads a few MB, blocks. Raises EngineError.

    Every shard's header is read and held against the shard's size, so that a download that broke off is told
    by its name.
    """
    if not name:
        raise EngineError(
            "brain.transformers.folder", "is not set", "Write the folder of a model in Hugging Face's format"
        )
    path = Path(name).expanduser()
    if not path.is_dir():
        raise EngineError(str(path), "is no folder", "Check brain.transformers.folder")
    config = _json(path / "config.json", "Is this a model's folder? It needs config.json")
    family = config.get("model_type")
    if family not in FAMILIES:
        raise EngineError(
            str(path / "config.json"),
            f"model_type is {json.dumps(family)[:60]}, which this brain does not know",
            f"It knows {', '.join(FAMILIES)}; run others on a server and use the brain 'openai'",
        )
    rope = config.get("rope_parameters") or config.get("rope_scaling")
    if isinstance(rope, dict) and "longrope" in {rope.get("rope_type"), rope.get("type")}:
        raise EngineError(
            str(path / "config.json"),
            "positions are scaled by 'longrope', whose keys change with the prompt's length",
            "Use another model, or a server and the brain 'openai'",
        )
    if config.get("quantization_config"):
        raise EngineError(
            str(path / "config.json"),
            "the weights are quantized, which this brain does not read",
            "Use the model's plain weights, or a server and the brain 'openai'",
        )
    _json(path / "tokenizer.json", "Fetch the model's tokenizer.json into the same folder")
    for shard in _shards(path):
        _check_shard(shard)
    return HfFolder(path, family)


def _shards(path: Path) -> list[Path]:
    if (path / _INDEX).is_file():
        weights = _json(path / _INDEX, _FETCH).get("weight_map")
        if not isinstance(weights, dict) or not weights:
            raise EngineError(str(path / _INDEX), "names no weights", _FETCH)
        names = sorted({str(shard) for shard in weights.values()})
        for shard in names:
            if Path(shard).name != shard:
                raise EngineError(
                    str(path / _INDEX), "names a file outside its folder", "Don't use this model"
                )
        return [path / shard for shard in names]
    if (path / _SINGLE).is_file():
        return [path / _SINGLE]
    if pickles := sorted(p.name for end in ("bin", "pt", "pth") for p in path.glob(f"*.{end}")):
        raise EngineError(
            str(path / pickles[0]),
            "is a Python pickle, which can run any code when it is read",
            "Fetch or convert the model's weights as *.safetensors",
        )
    raise EngineError(
        str(path), f"holds no weights: neither {_SINGLE} nor {_INDEX}", "Fetch the model's *.safetensors"
    )


def _check_shard(path: Path) -> None:
    """Hold a shard's header against its size (the safetensors format: length, JSON header, data)."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(_MAX_JSON_BYTES, size):
                raise EngineError(str(path), "is no safetensors file, or its beginning is damaged", _FETCH)
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            wanted = 8 + length + max(ends, default=0)
    except FileNotFoundError:
        raise EngineError(
            str(path), f"is missing; {_INDEX} names it", "Fetch it into the same folder"
        ) from None
    except OSError as e:
        raise EngineError(str(path), f"can't be read ({e.strerror})", "Check its permissions") from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise EngineError(str(path), "is no safetensors file, or its header is damaged", _FETCH) from None
    if size != wanted:
        raise EngineError(str(path), f"has {size:,} bytes where its header tells of {wanted:,}", _FETCH)


def _json(path: Path, remedy: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise EngineError(str(path), "is far too large for what it should be", _FETCH)
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise EngineError(str(path), "is missing", remedy) from None
    except OSError as e:
        raise EngineError(str(path), f"can't be read ({e.strerror})", "Check its permissions") from None
    except (ValueError, RecursionError):
        raise EngineError(str(path), "is damaged: no JSON", _FETCH) from None
    if not isinstance(data, dict):
        raise EngineError(str(path), "is damaged: no JSON object", _FETCH)
    return data
