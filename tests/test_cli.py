"""The command line without a daemon: help, errors, exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from vcam_talker.cli import main

pytestmark = pytest.mark.unit

_VERBS = [
    "run",
    "say",
    "ask",
    "interrupt",
    "persona",
    "status",
    "devices",
    "doctor",
    "render",
    "bench",
    "setup",
]


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCAM_TALKER_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.parametrize("verb", _VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    result = CliRunner().invoke(main, [verb, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"vcam-talker {verb}" in result.output


@pytest.mark.parametrize(
    "arguments",
    [["say", "hi"], ["ask", "hi"], ["interrupt"], ["status"], ["status", "--json"], ["persona", "mira"]],
)
def test_verbs_without_a_daemon_say_so(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 5
    assert result.output.count("\n") == 1
    assert "vcam-talker run" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "names"),
    [
        (["run", "--persona", "mirra"], 3, "mira"),
        (["run", "--fps", "500"], 3, "air.fps"),
        (["run", "--size", "wide"], 3, "1280x720"),
        (["run", "--size", "1281x720"], 3, "even"),
        (["run", "--camera", "/dev/video99", "--mic", "null", "--port", "0"], 4, "/dev/video99"),
        (["run", "--camera", "file:/nowhere/x.mp4", "--mic", "null", "--port", "0"], 4, "/nowhere"),
        (["run", "--host", "0.0.0.0", "--camera", "null", "--mic", "null"], 3, "token"),  # noqa: S104
        (["run", "--config", "/nowhere.toml"], 3, "/nowhere.toml"),
        (["render", "--text", "hi", "--out", "x.avi"], 7, ".mp4"),
        (["render", "--audio", "/nowhere.wav", "--out", "x.mp4"], 7, "/nowhere.wav"),
        (["render", "--persona", "nobody", "--text", "hi", "--out", "x.mp4"], 3, "nobody"),
        (["render", "--text", "\x07", "--out", "x.mp4"], 7, ""),
        (["say"], 2, "TEXT"),
        (["run", "--for", "0"], 2, "--for"),
    ],
)
def test_bad_input_is_one_line_and_its_exit_code(arguments: list[str], code: int, names: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code, result.output
    assert names in result.output
    assert "Traceback" not in result.output


def test_an_unknown_key_is_named_with_line_and_suggestion(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('persona = "mira"\n\n[camera]\ndevise = "auto"\n')
    result = CliRunner().invoke(main, ["run", "--config", str(path)])
    assert result.exit_code == 3
    assert "bad.toml:4" in result.output
    assert "device" in result.output


def test_personas_are_listed_without_a_daemon() -> None:
    result = CliRunner().invoke(main, ["persona"])
    assert result.exit_code == 0
    assert "mira" in result.output
    assert "testcard" in result.output
