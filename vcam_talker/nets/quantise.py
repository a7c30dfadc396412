"""Static int8 of an ONNX network: weights and activations in 8 bits, what suffers most from it left in float.

Written as quantise-dequantise pairs (QDQ), which ONNX Runtime, OpenVINO and TensorRT each fuse into their own
kernels. Needs the packages of the extra `prune`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.extras import how_to_install
from vcam_talker.nets.quantise_graph import QuantiseError, end_layers, layer_names, with_neighbours

Batch = Mapping[str, npt.NDArray[np.float32]]
"""Feeds of one run, by input."""

_SCANNED: Final = 8
"""Batches that single layers are tried on."""
_IN_FLOAT: Final = "Leave it in float"


@dataclass(frozen=True, slots=True)
class Quantised:
    """What came of it."""

    path: Path
    error: float
    """RMS difference from the float network over all batches, as a share of its outputs' own RMS deviation
    from their mean: 0 is exact, 1 as bad as a constant."""
    greatest: float
    """Greatest difference of any output, in the outputs' own units."""
    in_float: tuple[str, ...]
    """Layers that were left in float."""


def quantise(
    onnx_path: Path,
    batches: Sequence[Batch],
    keep_float: Sequence[str] = (),
    *,
    out: Path | None = None,
    keep_ends: bool = True,
    per_channel: bool = True,
    reduce_range: bool = False,
) -> Quantised:
    """Write the int8 form of a float ONNX file, `<stem>.int8.onnx` beside it unless `out` is given.

    `batches` are what it is calibrated on (least and greatest of every activation) and compared over: what
    the network will really see. `keep_float` are patterns (`*output_block*`) of layers, by the names that
    `export_module` gave them, to leave in float; with `keep_ends` so are the first and last layers, which see
    raw input and make the output. `reduce_range`: weights of 7 bits, for processors without VNNI, whose 8 bit
    products may saturate. The file appears only whole. Blocks. Raises QuantiseError.
    """
    target = _target(onnx_path, out)
    layers = layer_names(onnx_path)
    if not layers:
        raise QuantiseError(f"quantise {onnx_path}", "it has no layers with weights", _IN_FLOAT)
    kept = [n for n in layers if any(fnmatchcase(n, p) for p in keep_float)]
    if unused := [p for p in keep_float if not any(fnmatchcase(n, p) for n in layers)]:
        raise QuantiseError(
            f"quantise {onnx_path}", f"no layer is called '{unused[0]}'", f"There are: {layers}"
        )
    if len(kept) == len(layers):
        raise QuantiseError(f"quantise {onnx_path}", "every layer is to stay in float", "Keep fewer")
    if keep_ends:
        kept += [n for n in end_layers(onnx_path) if n not in kept]
    if len(kept) == len(layers):
        why = "its first and last layers stay in float, and no other is left for 8 bits"
        raise QuantiseError(f"quantise {onnx_path}", why, "Keep fewer" if keep_float else _IN_FLOAT)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with _prepared(onnx_path) as source:
            chosen = set(layers) - set(kept)
            _quantise(onnx_path, source, partial, batches, chosen, per_channel, reduce_range)
        error, greatest = compare(onnx_path, partial, batches)
        partial.replace(target)
    except OSError as e:
        raise QuantiseError(f"quantise {onnx_path}", f"can't be written ({e.strerror or e})") from e
    finally:
        partial.unlink(missing_ok=True)
    return Quantised(target, error, greatest, tuple(n for n in layers if n in kept))


def quantise_within(
    onnx_path: Path, batches: Sequence[Batch], limit: float, *, out: Path | None = None
) -> Quantised:
    """Quantise so that `Quantised.error` is `limit` at most: what suffers most from 8 bits stays in float.

    Layers are tried alone, and twice as many of the worst are left out each time. `out`, as
    `quantise` has it, is only written when the limit holds. Blocks for as many calibrations as there are
    layers, and some more. Raises QuantiseError, also when the limit can't be held.
    """
    target = _target(onnx_path, out)
    trial = target.with_name(f".{target.name}.{os.getpid()}.trial")
    try:
        done = _first_within(onnx_path, batches, limit, trial)
        trial.replace(target)
    except OSError as e:
        raise QuantiseError(f"quantise {onnx_path}", f"can't be written ({e.strerror or e})") from e
    finally:
        trial.unlink(missing_ok=True)
    return replace(done, path=target)


def _first_within(onnx_path: Path, batches: Sequence[Batch], limit: float, trial: Path) -> Quantised:
    done = quantise(onnx_path, batches, out=trial)
    if done.error <= limit:
        return done
    # Those that are in float by now can't be what spoils the outputs.
    worst = [name for name, _ in sensitivity(onnx_path, batches[:_SCANNED]) if name not in done.in_float]
    count = 1
    while count < len(worst):
        done = quantise(onnx_path, batches, [escape(name) for name in worst[:count]], out=trial)
        if done.error <= limit:
            return done
        count *= 2
    raise QuantiseError(
        f"quantise {onnx_path}",
        f"outputs deviate by {done.error:.3f} of their spread with {len(done.in_float)} layers in float, "
        f"where {limit:g} is allowed",
        "Allow more, or leave it in float",
    )


def sensitivity(onnx_path: Path, batches: Sequence[Batch]) -> list[tuple[str, float]]:
    """Return how much each layer alone in int8 spoils the outputs: (name, `Quantised.error`), worst first.

    Blocks: every layer costs a calibration. Raises QuantiseError.
    """
    found = []
    with _prepared(onnx_path) as source:
        for layer in layer_names(onnx_path):
            trial = source.with_name("trial.onnx")
            _quantise(onnx_path, source, trial, batches, {layer}, per_channel=True, reduce_range=False)
            found.append((layer, compare(onnx_path, trial, batches)[0]))
    return sorted(found, key=lambda pair: -pair[1])


def compare(exact: Path, other: Path, batches: Iterable[Batch]) -> tuple[float, float]:
    """Return `Quantised.error` and `Quantised.greatest` of `other`, both run by ONNX Runtime on the CPU."""
    first, second = _session(exact), _session(other)
    squares, spread, greatest = 0.0, 0.0, 0.0
    for batch in batches:
        for a, b in zip(first.run(None, dict(batch)), second.run(None, dict(batch)), strict=True):
            difference = b.astype(np.float64) - a
            squares += float(np.sum(difference**2))
            spread += float(np.sum((a - a.mean(dtype=np.float64)) ** 2))
            greatest = max(greatest, float(np.abs(difference).max(initial=0.0)))
    return float(np.sqrt(squares / max(spread, 1e-30))), greatest


def _target(onnx_path: Path, out: Path | None) -> Path:
    return out or onnx_path.with_name(f"{onnx_path.stem}.int8.onnx")


@contextmanager
def _prepared(path: Path) -> Iterator[Path]:
    """Yield a copy in a folder of its own whose tensors all have shapes, which the quantiser asks for."""
    try:
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as e:
        raise QuantiseError("quantise", f"needs a package ({e})", how_to_install("prune")) from e
    with TemporaryDirectory(prefix="vcam-talker-") as folder:
        copy = Path(folder) / "prepared.onnx"
        quant_pre_process(str(path), str(copy), skip_symbolic_shape=True, skip_optimization=True)
        yield copy


def _quantise(
    asked: Path,
    source: Path,
    target: Path,
    batches: Sequence[Batch],
    layers: set[str],
    per_channel: bool,
    reduce_range: bool,
) -> None:
    """Quantise these layers of `source`, the prepared copy of `asked`, which errors name."""
    from onnxruntime import quantization as q

    if not batches:
        raise QuantiseError(f"quantise {asked}", "there is nothing to calibrate on", "Give it some batches")

    class Reader(q.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = iter(batches)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._left, None)
            return None if batch is None else dict(batch)

    try:
        q.quantize_static(
            source,
            target,
            Reader(),
            quant_format=q.QuantFormat.QDQ,
            # After a ReLU nothing is negative: unsigned activations have a bit more, and the ReLU is free.
            activation_type=q.QuantType.QUInt8,
            weight_type=q.QuantType.QInt8,
            per_channel=per_channel,
            reduce_range=reduce_range,
            nodes_to_quantize=with_neighbours(source, layers),
        )
    except (RuntimeError, ValueError, TypeError, KeyError) as e:
        raise QuantiseError(f"quantise {asked}", f"failed ({' '.join(str(e).split())[:200]})") from e


def _session(path: Path) -> Any:  # noqa: ANN401 (ONNX Runtime has no types)
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
