"""Weights from files that anybody may have made: torch checkpoints and safetensors, read as data only."""

from __future__ import annotations

import io
import lzma
import os
import pickle
import pickletools
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from vcam_talker.core.errors import BadInputError
from vcam_talker.core.extras import how_to_install
from vcam_talker.nets.wav2lip import Wav2Lip
from vcam_talker.nets.wav2lip_layers import FACE, dense_channels, make_plan

_MAX_BYTES: Final = 2 * 2**30
"""A public checkpoint of 256 pixels with its optimizer's state has 0.7 GB."""
_PREFIX: Final = "module."
"""What torch's DataParallel puts before every name."""
_COUNTER: Final = ".num_batches_tracked"
"""Of training only; old checkpoints have none."""
_AGAIN: Final = "Fetch it again, whole"
_BRING: Final = "Bring a checkpoint of a Wav2Lip generator for faces of 96 or 256 pixels"
_FIT: Final = f"{_BRING}; a pruned one needs its plan"
_DENSE: Final = "Save its state_dict again, every tensor as an ordinary one (.to_dense())"
_ALONE: Final = "Have whoever made it save the state_dict alone"
_ZIP: Final = b"PK\x03\x04"
_PICKLE: Final = b"\x80"
_SHOWN: Final = 120
_PROTOCOL: Final = 2
"""Of pickles, which torch writes, and the last one whose instructions its safe reader knows."""
_MAX_SCANNED_BYTES: Final = 2**20
"""Of a pickle; that of a network, whose numbers lie elsewhere, has 0.1 MB."""
_MAX_PICKLES: Final = 5
"""In a row: what torch wrote until 1.5 has five before its numbers."""
_CHUNK_BYTES: Final = 2**20
# All that torch's reader, a restricted unpickler in Python, was seen to raise over damaged or hostile files.
_DAMAGE: Final = (
    RuntimeError,
    pickle.UnpicklingError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


class CheckpointError(BadInputError):
    """A file of weights that can't be used."""


def load_wav2lip(path: Path, plan: Mapping[str, Any] | None = None) -> Wav2Lip:
    """Return the generator of a checkpoint, on the CPU, in float32 and evaluation mode. Blocks for seconds.

    Without a `plan` it is a published one, of 96 or 256 pixels; with it, the pruned network of that plan.
    Nothing in the file is executed. Raises CheckpointError, PlanError.
    """
    tensors = load_tensors(path)
    _check_kind(path, tensors)
    if plan is None:
        size = 256 if any(n.startswith(f"{FACE}.7.") for n in tensors) else 96
        plan = make_plan(size, dense_channels(size))
    with torch.device("meta"):  # no memory and no random numbers for what is replaced
        net = Wav2Lip.from_plan(plan)
    assign_tensors(net, tensors, path)
    return net.eval()


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a torch checkpoint (`{"state_dict": ...}` or bare) or a safetensors file.

    A prefix `module.` that all names have is taken off. Values are not looked at, but where the file has
    checksums they must hold. Executes nothing. Raises CheckpointError.
    """
    match _format_of(path):
        case "torch":
            found = _read_torch(path)
        case "safetensors":
            found = _read_safetensors(path)
        case other:
            raise CheckpointError(_name(path), f"is {other}, not a checkpoint", _BRING)
    content = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(content, dict) or not content:
        raise CheckpointError(_name(path), "holds no table of weights", _BRING)
    if odd := [n for n, value in content.items() if not isinstance(n, str) or not isinstance(value, Tensor)]:
        raise CheckpointError(_name(path), _odd(content, odd[0]), _BRING)
    if all(n.startswith(_PREFIX) for n in content):
        return {n.removeprefix(_PREFIX): t for n, t in content.items()}
    return content


def assign_tensors(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Give `module`, which may be on torch's meta device, the tensors of the file `path`, in float32.

    Raises CheckpointError unless names and shapes are exactly the module's and all values finite.
    """
    wanted = module.state_dict()
    needed = {n for n in wanted if not n.endswith(_COUNTER)}
    if missing := sorted(needed - set(tensors)):
        raise CheckpointError(_name(path), f"lacks {_some(missing)}", _FIT)
    if extra := sorted(set(tensors) - set(wanted)):
        raise CheckpointError(_name(path), f"has {_some(extra)}, which the network has not", _FIT)
    given: dict[str, Tensor] = {}
    for name, like in wanted.items():
        if name.endswith(_COUNTER):
            given[name] = torch.zeros((), dtype=torch.long)
            continue
        tensor = tensors[name]
        if tensor.shape != like.shape:
            why = f"'{name}' is {_shape(tensor)} instead of {_shape(like)}"
            raise CheckpointError(_name(path), why, _FIT)
        given[name] = _checked(path, name, tensor)
    module.load_state_dict(given, assign=True)


def save_tensors(module: nn.Module, path: Path) -> None:
    """Write the module's tensors as safetensors; `path` appears only whole. Raises CheckpointError."""
    try:
        from safetensors.torch import save
    except ImportError as e:
        raise CheckpointError(_name(path), f"needs safetensors ({e})", how_to_install("prune")) from e
    tensors = {n: t.detach().cpu().contiguous() for n, t in module.state_dict().items()}
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(save(tensors))
        partial.replace(path)
    except OSError as e:
        raise CheckpointError(_name(path), f"can't be written ({e.strerror or e})") from e
    finally:
        partial.unlink(missing_ok=True)


def _format_of(path: Path) -> str:
    """Return `torch`, `safetensors`, or in words what the file is else. Raises CheckpointError."""
    try:
        if path.is_dir():
            raise CheckpointError(_name(path), "is a folder", "Name the checkpoint's file in it")
        if not path.exists():
            raise CheckpointError(_name(path), "there is no such file", "Check the path")
        if not path.is_file():
            raise CheckpointError(_name(path), "is no ordinary file", "Name the checkpoint's file")
        size = path.stat().st_size
        with path.open("rb") as file:
            begins = file.read(64)
    except OSError as e:
        raise CheckpointError(_name(path), f"can't be read ({e.strerror or e})") from e
    if size == 0:
        raise CheckpointError(_name(path), "is empty", _AGAIN)
    if size > _MAX_BYTES:
        why = f"is {size / 2**30:.1f} GB large; checkpoints have less than {_MAX_BYTES / 2**30:.0f}"
        raise CheckpointError(_name(path), why, _BRING)
    if begins.startswith((_ZIP, _PICKLE)):
        return "torch"
    if begins[8:9] == b"{" and int.from_bytes(begins[:8], "little") < size:
        return "safetensors"
    if begins.lstrip()[:1] == b"<":
        return "a web page"
    return "a pointer of Git LFS" if begins.startswith(b"version https://git-lfs") else "of an unknown kind"


def _read_torch(path: Path) -> Any:  # noqa: ANN401 (whatever was put in the file)
    try:
        if zipfile.is_zipfile(path):
            _check_archive(path)
        with warnings.catch_warnings():  # it finds some files odd; the error or the tensors say all there is
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as e:
        unsafe = re.search(r"GLOBAL ([\w.]+)", str(e))
        held = unsafe[1] if unsafe else ""
        if "Unsupported operand" in str(e):  # a program that torch.save did not write, or no program
            begins = _pickle_of(path)
            held = _program_in(begins)
            if not held and begins[:1] == _PICKLE and begins[1:2] > bytes([_PROTOCOL]):
                why = f"is a pickle of protocol {begins[1]}, which torch's safe reader does not read"
                raise CheckpointError(_name(path), why, "Save its state_dict again, by torch.save") from None
        if held:
            why = f"holds {held[:80]}, not only weights; it was not run"
            raise CheckpointError(_name(path), why, _ALONE) from None
        raise CheckpointError(_name(path), f"is damaged or cut short ({_line(e)})", _AGAIN) from e


def _check_archive(path: Path) -> None:
    """Check what torch's reader does not: the kind, the size unpacked, and the checksum of every part.

    Reads all of the file. Raises CheckpointError, and what `zipfile` raises over damage.
    """
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        unpacked = sum(part.file_size for part in parts)
        if any(part.filename.endswith("/constants.pkl") for part in parts):
            raise CheckpointError(_name(path), "is a TorchScript program, not a table of weights", _BRING)
        if unpacked > _MAX_BYTES:
            raise CheckpointError(_name(path), f"unpacks to {unpacked / 2**30:.1f} GB", _BRING)
        if not any(part.CRC for part in parts):
            return  # written after torch.serialization.set_crc32_options(False): there are none
        for part in parts:
            try:
                with archive.open(part) as content:
                    while content.read(_CHUNK_BYTES):
                        pass
            except zipfile.BadZipFile as e:
                why = f"is damaged: the checksum of its part '{part.filename[-_SHOWN:]}' is wrong"
                if "CRC" not in str(e):
                    raise
                raise CheckpointError(_name(path), why, _AGAIN) from None


def _pickle_of(path: Path) -> bytes:
    """Return the beginning of what describes the tensors in a torch file, b"" where it can't be found."""
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                return file.read(_MAX_SCANNED_BYTES)
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.endswith("data.pkl")]
            with archive.open(names[0]) as content:
                return content.read(_MAX_SCANNED_BYTES)
    except _DAMAGE:
        return b""


def _program_in(pickled: bytes) -> str:
    """Return the first name in a pickle that is neither torch's nor a plain container; "": there is none.

    For what torch's reader gave up before it came to that name. Only looks at the instructions.
    """
    stream = io.BytesIO(pickled)
    try:
        for _ in range(_MAX_PICKLES):
            pushed: list[str] = []
            memo: dict[int, str] = {}
            for code, arg, _at in pickletools.genops(stream):
                if code.name in {"GLOBAL", "INST"}:
                    found = str(arg).replace(" ", ".")
                elif code.name == "STACK_GLOBAL":
                    found = ".".join(pushed[-2:])
                else:
                    _follow(code.name, arg, pushed, memo)
                    continue
                if not found.startswith("torch.") and found != "collections.OrderedDict":
                    return found
    except _DAMAGE:  # cut short, or something else begins: the numbers
        pass
    return ""


def _follow(code: str, arg: object, pushed: list[str], memo: dict[int, str]) -> None:
    """Keep track of texts, of which a pickle of protocol 4 makes the names it wants."""
    if code in {"MEMOIZE", "BINPUT", "LONG_BINPUT"}:
        memo[arg if isinstance(arg, int) else len(memo)] = pushed[-1] if pushed else ""
    elif code in {"BINGET", "LONG_BINGET"}:
        pushed.append(memo.get(arg, "") if isinstance(arg, int) else "")
    elif isinstance(arg, str):
        pushed.append(arg)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as e:
        raise CheckpointError(_name(path), f"needs safetensors ({e})", how_to_install("prune")) from e
    try:
        return load_file(path)
    except (SafetensorError, *_DAMAGE) as e:
        raise CheckpointError(_name(path), f"is damaged or cut short ({_line(e)})", _AGAIN) from e


def _check_kind(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Tell what the networks are that lie beside the generator's checkpoints. Raises CheckpointError."""
    if any(n.startswith("binary_pred.") for n in tensors):
        raise CheckpointError(_name(path), "is the discriminator of a training, not the generator", _BRING)
    if any(n.startswith("face_encoder.") for n in tensors):
        raise CheckpointError(_name(path), "is a SyncNet, which judges mouths and draws none", _BRING)
    if not any(n.startswith(f"{FACE}.") for n in tensors):
        what = f"is of another network: its first tensor is '{next(iter(tensors))[:60]}'"
        raise CheckpointError(_name(path), what, _BRING)
    if any(n.endswith(".act.weight") for n in tensors):
        raise CheckpointError(_name(path), "is of a variant of Wav2Lip with other activations", _BRING)


def _checked(path: Path, name: str, tensor: Tensor) -> Tensor:
    if tensor.layout != torch.strided:
        layout = str(tensor.layout).removeprefix("torch.")
        raise CheckpointError(_name(path), f"'{name}' is stored sparsely ({layout}), not in full", _DENSE)
    if tensor.device.type != "cpu":
        raise CheckpointError(_name(path), f"'{name}' has a shape and no values", _BRING)
    if not tensor.is_floating_point():
        raise CheckpointError(_name(path), f"'{name}' holds {tensor.dtype}, no plain decimal numbers", _BRING)
    plain = tensor.detach().to(torch.float32, copy=True).contiguous()
    if not torch.isfinite(plain).all():
        raise CheckpointError(_name(path), f"'{name}' holds values that are not finite", _BRING)
    if name.endswith(".running_var") and (plain < 0).any():
        raise CheckpointError(_name(path), f"'{name}' holds a variance below 0", _BRING)
    return plain


def _name(path: Path) -> str:
    return f"checkpoint {path}"


def _odd(content: Mapping[Any, Any], odd: object) -> str:
    """Return what is wrong with a table in which `odd` is the first entry that is no named tensor."""
    if not any(isinstance(n, str) and isinstance(value, Tensor) for n, value in content.items()):
        return f"holds no table of weights, but {', '.join(_quoted(n) for n in list(content)[:4])}"
    if not isinstance(odd, str):
        return f"names one of its tensors {_quoted(odd)}, which is no text"
    return f"{_quoted(odd)} is no tensor, but of type {type(content[odd]).__name__[:40]}"


def _quoted(name: object) -> str:
    shown = name if isinstance(name, str) else repr(name)
    cut = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown[:_SHOWN])
    cut += "..." if len(shown) > _SHOWN else ""
    return f"'{cut}'" if isinstance(name, str) else cut


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{_quoted(names[0])}{more}"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _line(error: BaseException) -> str:
    line = " ".join(str(error).split())
    if line.startswith("Weights only load failed"):  # and then torch's advice
        line = re.sub(r" Check the documentation of torch\.load .*", "", line)
        line = re.sub(r"^Weights only load failed.*(?:WeightsUnpickler error:|trusted source\.) *", "", line)
    line = line.partition(". This is an internal miniz error")[0]
    return (line if len(line) <= _SHOWN else f"{line[:_SHOWN]}...") or type(error).__name__
