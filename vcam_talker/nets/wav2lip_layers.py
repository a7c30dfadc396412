"""The layers of the Wav2Lip generator (Prajwal et al., arXiv 2008.10010) as a table: shapes, rows, costs.

Free of torch, so that plans can be checked and costs told without it. Names are those of the published
checkpoints. What is called a block here is one convolution with its batch norm and ReLU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from vcam_talker.nets.plan import PLAN_FORMAT, Plan, PlanError

NET: Final = "wav2lip"
SIZES: Final = (96, 256)
"""Side of the square face in pixels: the published network, and the public 256 one with a level more."""
MEL_BANDS: Final = 80
MEL_FRAMES: Final = 16
FACE_CHANNELS: Final = 6
"""B, G, R with the lower half black, then B, G, R of the reference; each / 255."""

FACE: Final = "face_encoder_blocks"
SOUND: Final = "audio_encoder"
DECODER: Final = "face_decoder_blocks"
OUTPUT: Final = "output_block"
LAST: Final = f"{OUTPUT}.1"
"""The 1x1 convolution to B, G, R: no batch norm, a sigmoid behind it, never pruned."""
_MAX_CHANNELS: Final = 4096


@dataclass(frozen=True, slots=True)
class Block:
    """One convolution of the table. Pairs are (rows, columns), where rows of a mel window are its bands."""

    name: str
    dense: int
    """Output channels of the published network."""
    kernel: int = 3
    stride: tuple[int, int] = (1, 1)
    padding: int = 1
    residual: bool = False
    """The input is added before the ReLU; so it has as many channels as the output."""
    transposed: bool = False
    output_padding: int = 0
    source: str = ""
    """Block whose output goes in; empty for the face or the mel window."""
    skip: str = ""
    """Block of the face encoder whose output is put behind the source's channels."""


def blocks(size: int) -> tuple[Block, ...]:
    """Return the table for faces of `size` pixels, in order of computation. Raises PlanError."""
    if size not in SIZES:
        raise PlanError(f"face size {size}", "is neither 96 nor 256 pixels", "Use a plan of one of these")
    return _table(size)


def dense_channels(size: int) -> dict[str, int]:
    """Return the output channels of every block but LAST in the published network."""
    return {b.name: b.dense for b in blocks(size) if b.name != LAST}


def scaled_channels(size: int, width: float, multiple: int = 8) -> dict[str, int]:
    """Return the dense channels times `width`, each rounded to the nearest multiple, at least one of them."""
    dense = dense_channels(size)
    return {n: max(multiple, round(c * width / multiple) * multiple) for n, c in dense.items()}


def make_plan(size: int, channels: Mapping[str, int]) -> Plan:
    """Return the plan as JSON data. Residual blocks may be left out of `channels`. Raises PlanError."""
    return {"format": PLAN_FORMAT, "net": NET, "size": size, "channels": _checked(size, channels)}


def read_plan(plan: Mapping[str, Any]) -> tuple[int, dict[str, int]]:
    """Return size and channels of a plan, residual blocks filled in. Raises PlanError for what is none."""
    remedy = "Bring the plan.json that was written beside the weights"
    if plan.get("format") != PLAN_FORMAT or plan.get("net") != NET:
        found = f"format {str(plan.get('format'))[:20]!r} of net {str(plan.get('net'))[:40]!r}"
        raise PlanError("channel plan", f"is {found} instead of {PLAN_FORMAT} of {NET!r}", remedy)
    size, channels = plan.get("size"), plan.get("channels")
    if type(size) is not int or not isinstance(channels, Mapping):
        raise PlanError("channel plan", "lacks a size in pixels or its channels", remedy)
    return size, _checked(size, channels)


def input_channels(size: int, channels: Mapping[str, int]) -> dict[str, int]:
    """Return how many channels go into every block that is there. `channels` as `read_plan` gives them."""
    given: dict[str, int] = {}
    leaving = {"": 0}
    for block in blocks(size):
        if not block.source:
            entering = 1 if block.name.startswith(SOUND) else FACE_CHANNELS
        else:
            entering = leaving[block.source] + (leaving[block.skip] if block.skip else 0)
        width = 3 if block.name == LAST else channels[block.name]
        if width:
            given[block.name] = entering
        leaving[block.name] = width or entering
    return given


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows of a picture one block reads and writes: `[first, height)` of each."""

    reads: int
    writes: int
    height_in: int
    height_out: int


def rows(size: int, channels: Mapping[str, int], first: int) -> dict[str, Rows]:
    """Return what every block of decoder and output must read and write for the picture's rows from `first`.

    Receptive-field arithmetic from the last block back to the first: for output rows from c on, a convolution
    with kernel k, stride s and padding p reads from c * s - p; a transposed one from
    ceil((c + p - k + 1) / s), the first input row whose stamp reaches c.
    """
    table = [b for b in blocks(size) if b.name.startswith((DECODER, OUTPUT))]
    heights = {b.name: h for b, (h, _) in output_sizes(size).items()}
    result: dict[str, Rows] = {}
    wanted = first
    for block in reversed(table):
        height_in = heights[block.source] if block.source.startswith((DECODER, OUTPUT)) else 1
        stride = block.stride[0]
        if channels.get(block.name) == 0:
            reads = wanted
        elif block.transposed:
            reads = -((block.kernel - 1 - block.padding - wanted) // stride)
        else:
            reads = wanted * stride - block.padding
        reads = min(max(0, reads), height_in - 1)
        result[block.name] = Rows(reads, wanted, height_in, heights[block.name])
        wanted = reads
    return result


def output_sizes(size: int) -> dict[Block, tuple[int, int]]:
    """Return rows and columns of what every block gives out."""
    sizes = {"": (0, 0)}
    result: dict[Block, tuple[int, int]] = {}
    for b in blocks(size):
        if b.source:
            entering = sizes[b.source]
        else:
            entering = (MEL_BANDS, MEL_FRAMES) if b.name.startswith(SOUND) else (size, size)
        sizes[b.name] = result[b] = _output_size(b, entering)
    return result


def macs(size: int, channels: Mapping[str, int], first_row: int = 0) -> dict[str, int]:
    """Return multiply-accumulates of every block for one face, those that make picture rows from `first_row`.

    Transposed convolutions are counted at their input's resolution, where the arithmetic happens. Of the
    encoders everything is counted: the face's depends on no sound and is cached.
    """
    entering = input_channels(size, channels)
    sizes = {b.name: s for b, s in output_sizes(size).items()}
    needed = rows(size, channels, first_row)
    result = {}
    for b in blocks(size):
        if b.name not in entering:
            continue
        width = 3 if b.name == LAST else channels[b.name]
        height, columns = sizes[b.source] if b.transposed else sizes[b.name]
        if b.name in needed:
            height -= needed[b.name].reads if b.transposed else needed[b.name].writes
        result[b.name] = height * columns * entering[b.name] * width * b.kernel**2
    return result


def _checked(size: int, channels: Mapping[str, Any]) -> dict[str, int]:
    table = [b for b in blocks(size) if b.name != LAST]
    known = {b.name for b in table}
    if unknown := [str(n)[:60] for n in channels if n not in known]:
        raise PlanError("channel plan", f"names {unknown[0]!r}, which the network has not", "Use its names")
    result: dict[str, int] = {}
    leaving: dict[str, int] = {}
    for b in table:
        default = leaving[b.source] if b.residual else None
        width = channels.get(b.name, default)
        if type(width) is not int or not (0 if b.residual else 1) <= width <= _MAX_CHANNELS:
            what = "is missing" if width is None else f"has {str(width)[:40]!r} channels"
            raise PlanError("channel plan", f"{b.name} {what}", f"Give it 1 to {_MAX_CHANNELS}")
        if b.residual and width not in (0, default):
            why = f"{b.name} has {width} channels, but what it adds has {default}"
            raise PlanError("channel plan", why, "Give a residual block its input's channels, or 0 for none")
        result[b.name] = width
        leaving[b.name] = width or leaving[b.source]
    return result


def _output_size(b: Block, entering: tuple[int, int]) -> tuple[int, int]:
    if b.transposed:
        grown = [
            (n - 1) * s - 2 * b.padding + b.kernel + b.output_padding
            for n, s in zip(entering, b.stride, strict=True)
        ]
    else:
        grown = [(n + 2 * b.padding - b.kernel) // s + 1 for n, s in zip(entering, b.stride, strict=True)]
    return grown[0], grown[1]


@lru_cache(maxsize=len(SIZES))
def _table(size: int) -> tuple[Block, ...]:
    return (*_face(size), *_sound(), *_decoder(size), *_output(size))


def _face(size: int) -> Iterator[Block]:
    # (channels, residual blocks behind the one that halves the picture)
    levels = [(32, 2), (64, 3), (128, 2), (256, 2), (512, 1)]
    levels += [(512, 1)] if size == 256 else []
    name = f"{FACE}.0.0"
    yield Block(name, 16, kernel=7, padding=3)
    for level, (width, residuals) in enumerate(levels, 1):
        yield Block(f"{FACE}.{level}.0", width, stride=(2, 2), source=name)
        for i in range(1, residuals + 1):
            yield Block(f"{FACE}.{level}.{i}", width, residual=True, source=f"{FACE}.{level}.{i - 1}")
        name = f"{FACE}.{level}.{residuals}"
    level = len(levels) + 1
    smallest = size >> len(levels)  # 3 or 4 pixels, taken in by one kernel
    yield Block(f"{FACE}.{level}.0", 512, kernel=smallest, padding=0, source=name)
    yield Block(f"{FACE}.{level}.1", 512, kernel=1, padding=0, source=f"{FACE}.{level}.0")


def _sound() -> Iterator[Block]:
    # (channels, stride, padding, residual blocks behind)
    steps = [
        (32, (1, 1), 1, 2),
        (64, (3, 1), 1, 2),
        (128, (3, 3), 1, 2),
        (256, (3, 2), 1, 1),
        (512, (1, 1), 0, 0),
    ]
    index, name = 0, ""
    for width, stride, padding, residuals in steps:
        for i in range(residuals + 1):
            first = i == 0
            yield Block(
                f"{SOUND}.{index}",
                width,
                stride=stride if first else (1, 1),
                padding=padding if first else 1,
                residual=not first,
                source=name,
            )
            name, index = f"{SOUND}.{index}", index + 1
    yield Block(f"{SOUND}.{index}", 512, kernel=1, padding=0, source=name)


def _decoder(size: int) -> Iterator[Block]:
    # (channels, residual blocks) behind each doubling
    levels = [(512, 2), (384, 2), (256, 2), (128, 2), (64, 2)]
    levels = [(512, 1), *levels] if size == 256 else levels
    encoder = _last_of_level(_face(size))
    deepest = len(encoder) - 1
    name = f"{DECODER}.0.0"
    yield Block(name, 512, kernel=1, padding=0, source=_last_sound())
    yield Block(
        f"{DECODER}.1.0",
        512,
        kernel=size >> (len(levels)),
        padding=0,
        transposed=True,
        source=name,
        skip=encoder[deepest],
    )
    yield Block(f"{DECODER}.1.1", 512, residual=True, source=f"{DECODER}.1.0")
    name = f"{DECODER}.1.1"
    for level, (width, residuals) in enumerate(levels, 2):
        yield Block(
            f"{DECODER}.{level}.0",
            width,
            stride=(2, 2),
            transposed=True,
            output_padding=1,
            source=name,
            skip=encoder[deepest - level + 1],
        )
        for i in range(1, residuals + 1):
            yield Block(f"{DECODER}.{level}.{i}", width, residual=True, source=f"{DECODER}.{level}.{i - 1}")
        name = f"{DECODER}.{level}.{residuals}"


def _output(size: int) -> Iterator[Block]:
    yield Block(f"{OUTPUT}.0", 32, source=list(_decoder(size))[-1].name, skip=_last_of_level(_face(size))[0])
    yield Block(LAST, 3, kernel=1, padding=0, source=f"{OUTPUT}.0")


def _last_of_level(table: Iterator[Block]) -> list[str]:
    return list({b.name.split(".")[1]: b.name for b in table}.values())


def _last_sound() -> str:
    return list(_sound())[-1].name
