"""`python -m studio.lips.keep`: put teacher, reader and expert where anybody finds them, in half precision.

With them what ships can be judged without the hours that their training took.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import torch
from safetensors.torch import save
from torch import nn

from studio.command import run
from studio.lips.picture.evaluate import reader_of
from studio.lips.picture.train import load as teacher_of
from studio.lips.sync.train import EXPERT_FILE, KEPT_FILE
from studio.lips.sync.train import load as expert_of
from studio.pack import StudioError
from vcam_talker.prune.apply import PLAN_FILE, WEIGHTS_FILE

PLACE = Path("studio/lips/trained")
READER = "reader.safetensors"

_folder = click.Path(path_type=Path, exists=True, file_okay=False)
_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(help=__doc__)
@click.option("--teacher", type=_folder, help="Training of the picture net's teacher.")
@click.option("--reader", type=_file, help="The reader of mouths.")
@click.option("--expert", type=_folder, help="Training of the expert of lips and sound.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=PLACE, show_default=True)
def cli(teacher: Path | None, reader: Path | None, expert: Path | None, out: Path) -> None:
    """Write those that are named; the others stay as they are."""
    if not (teacher or reader or expert):
        raise click.UsageError("nothing is named to be kept")
    if teacher:
        net = teacher_of(teacher)
        _save(net, out / "teacher" / WEIGHTS_FILE)
        (out / "teacher" / PLAN_FILE).write_text(json.dumps(net.plan(), indent=1) + "\n", "utf-8")
    if reader:
        _save(reader_of(reader), out / READER)
    if expert:
        _save(expert_of(expert)[0], out / "expert" / KEPT_FILE)
        (out / "expert" / EXPERT_FILE).write_bytes((expert / EXPERT_FILE).read_bytes())


def _save(net: nn.Module, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor.half().contiguous() if tensor.dtype == torch.float32 else tensor
        for name, tensor in net.state_dict().items()
    }
    if large := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise StudioError(str(path), f"half precision does not hold {large[0]}", "Nothing was written")
    path.write_bytes(save(tensors))
    click.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    sys.exit(run(cli))
