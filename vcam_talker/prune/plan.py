"""The channel plan: which channels of a dense network are kept, layer by layer. JSON, never a pickle.

`plan.json` is the network's own plan, from which its class builds the pruned network (`from_plan`), with the
table `cut` added. That one tells the indices, so the very same cut can be made again in the dense checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from vcam_talker.core.errors import BadInputError

VERSION: Final = 1
_MAX_BYTES: Final = 32 * 1024 * 1024
_MAX_CHANNELS: Final = 1 << 20
_REMEDY: Final = "Bring the plan.json that `vcam-talker prune` wrote"


@dataclass(frozen=True, slots=True)
class LayerCut:
    """What is kept of one layer; indices count the dense layer's channels and ascend."""

    dense_in: int
    dense_out: int
    keep_in: tuple[int, ...]
    keep_out: tuple[int, ...]

    @classmethod
    def whole(cls, dense_in: int, dense_out: int) -> LayerCut:
        """Return the one that keeps everything."""
        return cls(dense_in, dense_out, tuple(range(dense_in)), tuple(range(dense_out)))

    def then(self, keep_in: Sequence[int], keep_out: Sequence[int]) -> LayerCut:
        """Return this layer cut further; indices count the channels that are left."""
        return LayerCut(
            self.dense_in,
            self.dense_out,
            tuple(self.keep_in[i] for i in keep_in),
            tuple(self.keep_out[i] for i in keep_out),
        )


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """What is kept of a network."""

    dense: Mapping[str, Any]
    """The dense network's own plan: what its class's `from_plan` takes. It has `net` and `channels`."""
    layers: Mapping[str, LayerCut]
    made: Mapping[str, Any] = field(default_factory=dict)
    """How it came about, for people and reports: importance, ratios, rounds."""

    @property
    def net(self) -> dict[str, Any]:
        """The pruned network's own plan."""
        channels = {key: self._width(key, dense) for key, dense in self.dense["channels"].items()}
        return {**self.dense, "channels": channels}

    @property
    def channels(self) -> tuple[int, int]:
        """(channels kept, channels of the dense network), as the network's own plan counts them."""
        return sum(self.net["channels"].values()), sum(self.dense["channels"].values())

    def digest(self) -> str:
        """Return the SHA-256 of what is kept, 64 hexadecimal digits; how it came about doesn't matter."""
        content = {"dense": dict(self.dense), "layers": _layers_json(self.layers)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        """Return the content of plan.json, one layer a line."""
        lines = ",\n".join(
            f"   {json.dumps(name)}: {json.dumps(row)}" for name, row in _layers_json(self.layers).items()
        )
        cut = {
            "version": VERSION,
            "digest": self.digest(),
            "made": dict(self.made),
            "dense": dict(self.dense),
            "layers": None,
        }
        # `layers` comes last, so the last null is its place.
        head, _, tail = json.dumps({**self.net, "cut": cut}, ensure_ascii=False, indent=1).rpartition("null")
        return f"{head}{{\n{lines}\n  }}{tail}\n"

    @classmethod
    def from_json(cls, text: str, what: str = "channel plan") -> ChannelPlan:
        """Read plan.json. Raises BadInputError naming `what` and the fault."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as e:
            raise BadInputError(what, f"isn't JSON ({e})", _REMEDY) from None
        cut = raw.get("cut") if isinstance(raw, dict) else None
        if not isinstance(cut, dict):
            raise BadInputError(what, "doesn't tell what was cut", _REMEDY)
        if cut.get("version") != VERSION:
            raise BadInputError(what, f"has version {cut.get('version')!r}; this program reads {VERSION}")
        dense, made, layers = (cut.get(k) for k in ("dense", "made", "layers"))
        if not (isinstance(dense, dict) and isinstance(made, dict) and isinstance(layers, dict)):
            raise BadInputError(what, "lacks dense, made or layers", _REMEDY)
        channels = dense.get("channels")
        if not isinstance(channels, dict) or not all(type(n) is int for n in channels.values()):
            raise BadInputError(what, "doesn't tell the dense network's channels", _REMEDY)
        plan = cls(dense, {name: _layer(what, name, row) for name, row in layers.items()}, made)
        if cut.get("digest") != plan.digest() or any(raw.get(k) != v for k, v in plan.net.items()):
            raise BadInputError(what, "was changed or damaged: its digest doesn't fit", _REMEDY)
        return plan

    @classmethod
    def read(cls, path: Path) -> ChannelPlan:
        """Read a plan's file. Raises BadInputError."""
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise BadInputError(str(path), f"is larger than {_MAX_BYTES >> 20} MB")
            text = path.read_text(encoding="utf-8")
        except OSError as e:
            raise BadInputError(str(path), e.strerror or "can't be read") from None
        except UnicodeDecodeError:
            raise BadInputError(str(path), "isn't UTF-8", _REMEDY) from None
        return cls.from_json(text, str(path))

    def _width(self, key: str, dense: int) -> int:
        """Return how many channels the layers under a key of the network's plan have left."""
        for name, layer in self.layers.items():
            if (name == key or name.startswith(f"{key}.")) and layer.dense_out == dense:
                return len(layer.keep_out)
        return dense


def _layers_json(layers: Mapping[str, LayerCut]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "in": layer.dense_in,
            "out": layer.dense_out,
            "keep_in": _keep_json(layer.keep_in, layer.dense_in),
            "keep_out": _keep_json(layer.keep_out, layer.dense_out),
        }
        for name, layer in layers.items()
    }


def _keep_json(keep: tuple[int, ...], dense: int) -> str | list[int]:
    return "all" if len(keep) == dense else list(keep)


def _layer(what: str, name: str, row: Any) -> LayerCut:  # noqa: ANN401 - what JSON holds
    if not isinstance(row, dict):
        raise BadInputError(what, f"layer {name!r} is no table", _REMEDY)
    dense_in, dense_out = (_count(what, name, row.get(k)) for k in ("in", "out"))
    return LayerCut(
        dense_in,
        dense_out,
        _keep(what, name, row.get("keep_in"), dense_in),
        _keep(what, name, row.get("keep_out"), dense_out),
    )


def _count(what: str, name: str, value: Any) -> int:  # noqa: ANN401 - what JSON holds
    if type(value) is int and 0 < value <= _MAX_CHANNELS:
        return value
    raise BadInputError(what, f"layer {name!r} has {value!r} for a number of channels", _REMEDY)


def _keep(what: str, name: str, value: Any, dense: int) -> tuple[int, ...]:  # noqa: ANN401 - what JSON holds
    if value == "all":
        return tuple(range(dense))
    if isinstance(value, list) and value and all(type(i) is int for i in value):
        inside = value[0] >= 0 and value[-1] < dense
        if inside and all(a < b for a, b in pairwise(value)):
            return tuple(value)
    raise BadInputError(what, f"layer {name!r}: kept channels must ascend and lie below {dense}", _REMEDY)
