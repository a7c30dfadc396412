"""`vcam-talker render` and `bench face` with a persona made of pictures: real voice, real files."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support import clip_persona

pytestmark = pytest.mark.real


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vcam_talker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_it_talks_in_a_file(tmp_path: Path) -> None:
    out = tmp_path / "talk.mp4"
    text = "[happy] My mom and Bob prefer five fresh mushrooms."
    persona = str(clip_persona.shared())
    done = run("render", "--persona", persona, "--text", text, "--out", str(out), "--size", "640x360")
    assert done.returncode == 0, done.stderr
    with av.open(str(out)) as container:
        frames = [frame.to_ndarray()[:360].astype(int) for frame in container.decode(video=0)]
    assert len(frames) > 90
    # Around the mouth everything moves while she speaks, and far more than while she is silent.
    mouth = [frame[190:250, 280:360] for frame in frames]
    motion = np.array([np.abs(b - a).mean() for a, b in pairwise(mouth)])
    assert motion[20:80].mean() > 2.5 * motion[:12].mean()
    assert min(frame.mean() for frame in frames) > 40


def test_a_damaged_persona_ends_with_one_line(tmp_path: Path) -> None:
    for file in clip_persona.shared().iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[: 2000 if file.name == "life.mp4" else None])
    done = run("render", "--persona", str(tmp_path), "--text", "Hello.", "--out", str(tmp_path / "x.mp4"))
    assert done.returncode == 3
    assert "life.mp4" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "x.mp4").exists()


def test_its_figures_are_measured() -> None:
    done = run("bench", "face", "--persona", str(clip_persona.shared()), "--seconds", "2", "--json")
    figures = {f["name"].partition(": ")[2]: f for f in json.loads(done.stdout)["figures"]}
    assert figures["pixels that silence changes"]["value"] == 0
    assert figures["gap between the lips in silence"]["value"] == 0
    assert figures["bilabials shut on their frames"]["value"] >= 98
    assert figures["drawing, idle"]["value"] > 0


def test_a_persona_without_pictures_has_no_such_figures() -> None:
    done = run("bench", "face", "--persona", "mira")
    assert done.returncode == 3
    assert "is not made of pictures" in done.stderr
