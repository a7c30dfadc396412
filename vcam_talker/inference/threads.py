"""The cores that this process may use, and how many threads to compute on.

A container's quota is processor time, not cores: with two cores' worth of it on a host of 64, all 64 are
seen. A thread on each has used up a period of 100 ms after 3 ms, and then everything in the container, the
pacer too, stands still until the next period.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from vcam_talker.inference.model import WEIGHTS, Model

SMALL_NET_THREADS: Final = 4
"""At most for a small network. Its layers are done in some 50 us on one core: waking more threads costs more
than they bring (the student's mouth in ONNX Runtime, on 1, 2, 4 threads of two cores: 1.5, 1.3, 1.4 ms)."""
LARGE_NET_THREADS: Final = 16
"""At most for another: a layer of dense Wav2Lip, 1.4 ms on one core, is still 0.1 ms for each of so many."""
_SMALL_NET_BYTES: Final = 8_000_000
"""The student's parts have 1 MB, those of Wav2Lip, dense or pruned, tens of it."""
_GROUPS: Final = "sys/fs/cgroup"


def usable_cores(root: Path = Path("/")) -> int:
    """Return how many cores this process may keep busy, at least 1; reads small files under `root`.

    Physical ones: two threads of one core help each other little, and pacing gets neither. Of a quota its
    whole cores: one thread more would be halted in every period, in the middle of a frame.
    """
    return max(1, min(_physical_cores(root), math.floor(min(quota_cores(root), 1e6))))


def logical_processors() -> int:
    """Return how many processors the scheduler lets this process run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quota_cores(root: Path = Path("/")) -> float:
    """Return the processor time that control groups leave this process, in cores; infinite: no limit.

    The least of its own group and all those around it, in cgroup v2 and v1. Never raises.
    """
    quotas = [math.inf]
    for folder in _group_folders(root):
        quota, _, period = read_text(folder / "cpu.max").partition(" ")  # v2; "max" is none
        quotas.append(_quota(quota, period))
        quota, period = (read_text(folder / f"cpu.cfs_{what}_us") for what in ("quota", "period"))
        quotas.append(_quota(quota, period))  # v1; -1 is none
    return min(quotas)


def net_threads(model: Model, cores: int) -> int:
    """Return how many threads to run a network on: one core is left to picture and sound.

    Weights that lie outside an ONNX file don't count for its size. Reads nothing of the files.
    """
    files = [file.path for file in model.onnx.values()]
    if model.torch is not None:
        files.append(model.torch.path / WEIGHTS)
    size = 0
    for file in files:
        with suppress(OSError):  # whoever opens it tells
            size = max(size, file.stat().st_size)
    most = SMALL_NET_THREADS if size <= _SMALL_NET_BYTES else LARGE_NET_THREADS
    return min(spare_threads(cores), most)


def spare_threads(cores: int) -> int:
    """Return the threads that leave one core to picture and sound; at least 1."""
    return max(1, cores - 1)


def read_text(path: Path) -> str:
    """Return a small file's text; empty when it is missing or unreadable."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _physical_cores(root: Path) -> int:
    if not hasattr(os, "sched_getaffinity"):
        return logical_processors()
    siblings = (
        read_text(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").strip() or str(cpu)
        for cpu in os.sched_getaffinity(0)
    )
    return len(set(siblings))


def _group_folders(root: Path) -> Iterator[Path]:
    """Yield the folders of this process's groups, and of those around them, that may hold a quota.

    In a container the paths may be the host's, and lead nowhere; its own group then is what is mounted.
    """
    yield from (root / _GROUPS, root / _GROUPS / "cpu")
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        names = [name for name in group.split("/") if name]
        if ".." in names:  # outside what this container may see
            continue
        mounts = {root / _GROUPS / mount for mount in (controllers, "cpu" if controllers else "")}
        for mount in mounts:
            yield from (mount.joinpath(*names[:depth]) for depth in range(len(names) + 1))


def _quota(quota: str, period: str) -> float:
    """Return what two times in microseconds allow, in cores; infinite when that is nothing to go by."""
    quota, period = quota.strip(), period.strip()
    if not (quota.isdecimal() and period.isdecimal() and int(quota) and int(period)):
        return math.inf
    return int(quota) / int(period)
