"""How many cores this process may use, by affinity and by the quotas of its control groups."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.engines_world import BF16, World, net, start, world
from tests.support.small_net import write_folder, write_onnx
from vcam_talker.inference import Session, open_session
from vcam_talker.inference.model import find_model
from vcam_talker.inference.processor import Processor, this_processor
from vcam_talker.inference.threads import (
    LARGE_NET_THREADS,
    SMALL_NET_THREADS,
    net_threads,
    quota_cores,
    spare_threads,
    usable_cores,
)

__all__ = ["net", "start", "world"]
pytestmark = pytest.mark.unit

V1 = "12:cpuset:/a\n4:cpu,cpuacct:/a/b\n1:name=systemd:/a/b\n0::/elsewhere\n"


@pytest.fixture
def host_of_64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


def quota_v1(group: str, quota_us: str, period_us: str = "100000") -> dict[str, str]:
    return {f"{group}/cpu.cfs_quota_us": quota_us, f"{group}/cpu.cfs_period_us": period_us}


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, math.inf),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}, math.inf),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "200000 100000"}, 2),
        ({"sys/fs/cgroup/cpu.max": "200000 100000"}, 2),
        ({"proc/self/cgroup": "0::/docker/of-the-host", "sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        ({"proc/self/cgroup": "0::/a/b/c", "sys/fs/cgroup/a/b/c/cpu.max": "25000 50000"}, 0.5),
        (
            {
                "proc/self/cgroup": "0::/a/b/c",
                "sys/fs/cgroup/a/cpu.max": "800000 100000",
                "sys/fs/cgroup/a/b/cpu.max": "300000 100000",
                "sys/fs/cgroup/a/b/c/cpu.max": "max 100000",
                "sys/fs/cgroup/other/cpu.max": "100000 100000",
            },
            3,
        ),
        ({"proc/self/cgroup": "0::/../../x", "sys/fs/cgroup/x/cpu.max": "100000 100000"}, math.inf),
        ({"proc/self/cgroup": V1, **quota_v1("sys/fs/cgroup/cpu,cpuacct/a/b", "-1")}, math.inf),
        ({"proc/self/cgroup": V1, **quota_v1("sys/fs/cgroup/cpu,cpuacct/a/b", "200000")}, 2),
        ({"proc/self/cgroup": V1, **quota_v1("sys/fs/cgroup/cpu/a", "150000", "50000")}, 3),
        ({"proc/self/cgroup": V1, **quota_v1("sys/fs/cgroup/cpu", "400000")}, 4),
        ({"proc/self/cgroup": V1, **quota_v1("sys/fs/cgroup/cpuset/a", "100000")}, math.inf),
        ({"proc/self/cgroup": V1, "sys/fs/cgroup/elsewhere/cpu.max": "500000 100000"}, 5),
        ({"proc/self/cgroup": "damaged", "sys/fs/cgroup/cpu.max": "many 0"}, math.inf),
        ({"sys/fs/cgroup/cpu.max": "200000 0"}, math.inf),
        ({"sys/fs/cgroup/cpu.max": "200000"}, math.inf),
    ],
)
def test_the_least_quota_of_all_groups_counts(tmp_path: Path, files: dict[str, str], cores: float) -> None:
    assert quota_cores(write(tmp_path, files)) == cores


@pytest.mark.usefixtures("host_of_64")
@pytest.mark.parametrize(
    ("quota", "cores", "threads"),
    [
        ("max 100000", 64, 63),
        ("200000 100000", 2, 1),
        ("399000 100000", 3, 2),
        ("50000 100000", 1, 1),
        ("9900000 100000", 64, 63),
    ],
)
def test_of_a_quota_the_whole_cores_are_used(tmp_path: Path, quota: str, cores: int, threads: int) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": quota})
    assert usable_cores(tmp_path) == cores
    found = this_processor(tmp_path)
    assert (found.cores, found.spare_threads) == (cores, threads)


@pytest.mark.usefixtures("host_of_64")
def test_siblings_are_one_core(tmp_path: Path) -> None:
    for cpu in range(64):
        write(
            tmp_path,
            {f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": f"{cpu % 32},{cpu % 32 + 32}"},
        )
    assert usable_cores(tmp_path) == 32
    write(tmp_path, {"sys/fs/cgroup/cpu.max": "4000000 100000"})
    assert usable_cores(tmp_path) == 32


def test_this_machine_has_cores() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_a_small_network_gets_few_threads(net: Path, tmp_path: Path) -> None:
    small = find_model(net)
    assert [net_threads(small, cores) for cores in (1, 2, 3, 5, 64)] == [1, 1, 2, 4, SMALL_NET_THREADS]
    folder = write_folder(tmp_path / "torch")
    assert net_threads(find_model(folder), 64) == SMALL_NET_THREADS
    whole = find_model(net, [folder])
    with (folder / "weights.safetensors").open("rb+") as file:
        file.truncate(20_000_000)
    assert [net_threads(whole, cores) for cores in (1, 2, 5, 64)] == [1, 1, 4, LARGE_NET_THREADS]
    net.unlink()
    assert net_threads(small, 64) == SMALL_NET_THREADS, "whoever opens it tells that it is gone"


def test_a_language_model_gets_all_but_one() -> None:
    assert [spare_threads(cores) for cores in (1, 2, 64)] == [1, 1, 63]


def test_a_session_is_opened_with_so_many(world: World, start: Callable[..., Session]) -> None:
    start("ort", threads=None, processor=Processor("Test", BF16.flags, 64))
    start("ort", threads=None, processor=Processor("Test", BF16.flags, 2))
    start("ort", threads=7, processor=Processor("Test", BF16.flags, 2))
    assert world.threads == [SMALL_NET_THREADS, 1, 7]


@pytest.mark.usefixtures("host_of_64")
def test_what_was_chosen_under_another_quota_is_not_used_again(world: World, tmp_path: Path) -> None:
    model = write_onnx(tmp_path / "net.onnx")

    def start_under(quota: str) -> int:
        root = write(tmp_path / "root", {"sys/fs/cgroup/cpu.max": quota})
        open_session(model, cache=tmp_path / "cache", processor=this_processor(root)).close()
        return len(world.measured)

    assert start_under("max 100000") == 1
    assert start_under("6400000 100000") == 1, "no less than there are"
    assert start_under("1600000 100000") == 2, "as many threads, fewer cores"
    assert start_under("200000 100000") == 3
    assert start_under("max 100000") == 3
    assert world.threads == [4, 4, 4, 1, 4]
