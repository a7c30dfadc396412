"""What is told of the processor, from what the kernel says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vcam_talker.inference.processor import Processor, this_processor

pytestmark = pytest.mark.unit

CPUINFO = """processor\t: 0
model name\t: Test  CPU
flags\t\t: fpu avx2 avx512f avx512_bf16

processor\t: 1
model name\t: Test  CPU
flags\t\t: fpu
"""


def test_the_processor_is_read_from_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(CPUINFO)
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings + "\n")
    found = this_processor(tmp_path)
    assert found == Processor("Test CPU", frozenset({"fpu", "avx2", "avx512f", "avx512_bf16"}), 2)
    assert found.computes_bfloat16
    assert found.family == "AVX-512"
    assert found.spare_threads == 1


def test_wide_instructions_that_openvino_may_not_use_are_not_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text("flags : avx2 avx512f avx512_bf16 amx_tile amx_bf16\n")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "avx2")
    capped = this_processor(tmp_path)
    assert (capped.family, capped.computes_bfloat16) == ("AVX2", False)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "ALL")
    assert this_processor(tmp_path).computes_bfloat16


def test_a_processor_that_the_kernel_says_nothing_of_still_has_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    found = this_processor(tmp_path)
    assert (found.cores, found.spare_threads, found.computes_bfloat16) == (1, 1, False)
