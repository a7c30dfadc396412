"""`make lips-train` and `make lips-evaluate`: what they run, in what order, and what ends them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

SCRIPTS = Path(__file__).parents[1] / "scripts"
PYTHON = """#!/usr/bin/env bash
echo "$*" >>calls
[[ "$*" != *"$FAILS"* ]]
"""
NOTHING = "nothing fails"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like this repository to the scripts; its Python writes down what it is asked."""
    for name in ("train-lips.sh", "evaluate-lips.sh"):
        (tmp_path / "scripts").mkdir(exist_ok=True)
        shutil.copy(SCRIPTS / name, tmp_path / "scripts")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    return tmp_path


def calls(checkout: Path, script: str, *steps: str, fails: str = NOTHING) -> tuple[int, list[str]]:
    """Return the exit status and what Python was asked."""
    (checkout / "calls").unlink(missing_ok=True)
    done = subprocess.run(
        [checkout / "scripts" / script, *steps],
        env={"PATH": "/usr/bin:/bin", "FAILS": fails},
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, (checkout / "calls").read_text().splitlines()


def test_a_student_that_misses_its_bars_does_not_ship(checkout: Path) -> None:
    status, made = calls(checkout, "train-lips.sh", "picture", fails="picture shrink")
    assert status == 1
    assert "picture shrink" in made[-1]
    # Neither is it taken for done: the same command asks again, and goes on from there.
    status, made = calls(checkout, "train-lips.sh", "picture")
    assert status == 0
    assert "picture shrink" in made[0]
    assert "picture export" in made[1]


def test_what_listens_ships_with_its_figures(checkout: Path) -> None:
    _, made = calls(checkout, "train-lips.sh", "sound")
    judged = next(call for call in made if "sound evaluate" in call)
    figures = judged.split("--to ")[1]
    assert figures.endswith(".json")
    assert made[-1].endswith(f"sound export --run build/lips/sound --figures {figures}")


@pytest.mark.parametrize("script", ["train-lips.sh", "evaluate-lips.sh"])
def test_both_draw_the_same_faces_for_the_test(script: str, checkout: Path) -> None:
    _, made = calls(checkout, script, "landmarks")
    (drawn,) = (call for call in made if "landmarks make" in call and "--split test" in call)
    assert "--people 30" in drawn


@pytest.mark.parametrize("script", ["train-lips.sh", "evaluate-lips.sh"])
def test_an_unknown_step_is_said(script: str, checkout: Path) -> None:
    (checkout / "calls").touch()
    done = subprocess.run(
        [checkout / "scripts" / script, "lisp"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no step is called 'lisp'" in done.stderr
