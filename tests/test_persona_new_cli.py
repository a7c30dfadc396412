"""`persona` is a group of verbs and takes names as before."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from vcam_talker.cli.main import main

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCAM_TALKER_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.parametrize("words", [["kofi"], ["kofi", "--json"], ["--json", "kofi"], ["./kofi"]])
def test_a_name_is_put_on_air(words: list[str]) -> None:
    done = CliRunner().invoke(main, ["persona", *words])
    assert done.exit_code == 5
    assert "no daemon is running" in done.output


def test_without_a_name_they_are_listed() -> None:
    done = CliRunner().invoke(main, ["persona"])
    assert done.exit_code == 0
    assert "kofi" in done.output
    assert '"name": "kofi"' in CliRunner().invoke(main, ["persona", "--json"]).output


@pytest.mark.parametrize(
    "words",
    [
        ["new", "ada"],
        ["new", "ada", "--portrait", "a", "--clip", "b"],
        ["new", "ada", "--portrait", "a", "--box", "1"],
    ],
)
def test_what_new_can_not_take_is_wrong_usage(words: list[str]) -> None:
    assert CliRunner().invoke(main, ["persona", *words]).exit_code == 2


def test_a_bad_name_or_picture_leaves_nothing(tmp_path: Path) -> None:
    for name, path in (("../ada", "a.jpg"), ("kofi", "a.jpg"), ("ada", str(tmp_path / "none.jpg"))):
        done = CliRunner().invoke(main, ["persona", "new", name, "--portrait", path])
        assert done.exit_code == 7, done.output
        assert done.output.startswith("error: ")
    personas = tmp_path / "config" / "vcam-talker" / "personas"
    assert not personas.is_dir() or not list(personas.iterdir())
