"""`vcam-talker models`: what it prints, and what Ctrl+C leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.model_mirror import REPOSITORY, Fault, Mirror, serving
from vcam_talker.asr import models_fetch
from vcam_talker.asr.models import known_models, models_dir
from vcam_talker.cli import main


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setattr(models_fetch, "known_models", lambda: {"tiny": REPOSITORY})
    with serving() as mirror:
        yield mirror


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["models", *arguments])


def ears(tmp_path: Path, model: str) -> str:
    file = tmp_path / "ears.toml"
    file.write_text(f'[ears]\nmodel = "{model}"\n')
    return str(file)


@pytest.mark.unit
@pytest.mark.parametrize("verb", [[], ["list"], ["get"]])
def test_help_has_an_example(verb: list[str]) -> None:
    result = invoke(*verb, "--help")
    assert result.exit_code == 0
    assert "Example" in result.output


@pytest.mark.unit
def test_without_any_model_the_next_step_is_told() -> None:
    result = invoke("list")
    assert result.exit_code == 0
    assert result.output == "The ears want 'base' (ears.model). Fetch it: vcam-talker models get base\n"


@pytest.mark.unit
def test_get_then_list(mirror: Mirror, tmp_path: Path) -> None:
    fetched = invoke("get", "tiny", "--mirror", mirror.url)
    assert fetched.exit_code == 0, fetched.output
    assert f"verified, in {models_dir() / 'tiny'}" in fetched.output
    assert 'model = "tiny"' in fetched.output
    again = invoke("get", "tiny", "--mirror", mirror.url)
    assert again.output == f"tiny was there already, and is whole: {models_dir() / 'tiny'}\n"
    listed = invoke("list", "--config", ears(tmp_path, "tiny"))
    assert listed.output.startswith("* tiny ")
    assert f"{REPOSITORY} at {mirror.url}" in listed.output
    other = invoke("list", "--config", ears(tmp_path, "small"))
    assert other.output.startswith("  tiny ")
    assert "The ears want 'small'" in other.output
    folder = invoke("list", "--config", ears(tmp_path, "/somewhere/else"))
    assert "The ears use the folder /somewhere/else" in folder.output


@pytest.mark.unit
def test_json_of_both(mirror: Mirror, tmp_path: Path) -> None:
    fetched = json.loads(invoke("get", "tiny", "--mirror", mirror.url, "--json").output)
    assert fetched["fetched"] is True
    assert fetched["folder"] == str(models_dir() / "tiny")
    assert fetched["bytes"] > 200_000
    listed = json.loads(invoke("list", "--json", "--config", ears(tmp_path, "tiny")).output)
    assert listed["ears_model"] == "tiny"
    (row,) = listed["models"]
    assert (row["name"], row["repository"], row["source"]) == ("tiny", REPOSITORY, mirror.url)
    assert row["used_by_ears"] is True
    assert row["problem"] == ""


@pytest.mark.unit
def test_a_damaged_model_is_listed_as_one(mirror: Mirror) -> None:
    invoke("get", "tiny", "--mirror", mirror.url)
    (models_dir() / "tiny" / "config.json").unlink()
    assert "config.json is missing" in invoke("list").output


@pytest.mark.unit
@pytest.mark.parametrize(
    ("name", "fault", "code", "says"),
    [
        ("tinny", None, 7, "Did you mean 'tiny'?"),
        ("tiny", Fault("missing"), 8, "HTTP 404"),
        ("tiny", Fault("html"), 8, "a web page"),
    ],
)
def test_errors_are_one_line_with_their_code(
    mirror: Mirror, name: str, fault: Fault | None, code: int, says: str
) -> None:
    if fault:
        mirror.faults["listing"] = fault
    result = invoke("get", name, "--mirror", mirror.url)
    assert result.exit_code == code
    assert says in result.output
    assert result.output.count("\n") == 1
    assert invoke("get", name, "--mirror", "mirror.example").exit_code == 7


@pytest.mark.unit
def test_the_table_is_faster_whispers_own() -> None:
    known = known_models()
    assert known["tiny"] == REPOSITORY
    assert {"base", "base.en", "small", "medium", "large-v3", "distil-large-v3"} <= set(known)
    assert all(repository.count("/") == 1 for repository in known.values())


@pytest.mark.real
def test_ctrl_c_leaves_no_model_and_loses_nothing() -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with serving() as mirror:
        command = [sys.executable, "-m", "vcam_talker", "models", "get", "tiny", "--mirror", mirror.url]
        mirror.faults["model.bin"] = Fault("stall", at=80_000)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as child:
            part = models_dir() / ".tiny.part"
            deadline = time.monotonic() + 60
            while sum(f.stat().st_size for f in part.glob("model.bin.*.part")) < 80_000:
                assert time.monotonic() < deadline
                assert child.poll() is None
                time.sleep(0.02)
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=30)
        assert child.returncode == 130
        assert "run it again to go on" in errors
        assert "Traceback" not in errors
        assert not (models_dir() / "tiny").exists()
        mirror.faults.clear()
        mirror.asked.clear()
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        assert mirror.bytes_asked("model.bin") == ["bytes=80000-"]
        assert (models_dir() / "tiny" / "model.bin").read_bytes() == mirror.files["model.bin"]
