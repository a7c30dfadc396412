"""Secrets: where they are looked for, who may read them, and that no error repeats them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from vcam_talker.cli import main
from vcam_talker.core.errors import BadInputError, ConfigError
from vcam_talker.core.secrets import (
    MAX_SECRET_BYTES,
    read_secret,
    remove_secret,
    secret_names,
    secrets_dir,
    write_secret,
)

pytestmark = pytest.mark.unit

NAME = "obs-password"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return tmp_path


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


def put(path: Path, content: bytes, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def test_none_where_there_is_none() -> None:
    assert read_secret(NAME) is None
    assert secret_names() == ()
    assert not remove_secret(NAME)


@pytest.mark.parametrize("value", ["hunter2", " spaces stay ", "pässwörd 密码", "=#%$\"'\\"])
def test_what_is_written_is_read(value: str) -> None:
    path = write_secret(NAME, value)
    assert read_secret(NAME) == value
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == [NAME]
    assert secret_names() == (NAME,)
    assert remove_secret(NAME)
    assert read_secret(NAME) is None


def test_writing_again_replaces_and_mends_the_folder() -> None:
    write_secret(NAME, "old")
    secrets_dir().chmod(0o755)
    (secrets_dir() / NAME).chmod(0o644)
    write_secret(NAME, "new")
    assert read_secret(NAME) == "new"
    assert stat.S_IMODE(secrets_dir().stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("content", "value"), [(b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b"a", "a"), (b"a \n", "a ")]
)
def test_one_newline_at_the_end_is_not_part_of_it(content: bytes, value: str) -> None:
    put(secrets_dir() / NAME, content)
    assert read_secret(NAME) == value


@pytest.mark.parametrize("file", [NAME, f"vcam-talker_{NAME}"])
def test_systemds_credentials_come_first(credentials: Path, file: str) -> None:
    write_secret(NAME, "mine")
    assert read_secret(NAME) == "mine"
    # Its access list for the service's user shows as the group's bits.
    put(credentials / file, b"systemd's\n", 0o440)
    assert read_secret(NAME) == "systemd's"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_file_that_others_can_read_is_refused(mode: int) -> None:
    put(secrets_dir() / NAME, b"hunter2", mode)
    with pytest.raises(ConfigError, match=r"can be read by others\. .*chmod 600") as caught:
        read_secret(NAME)
    assert "hunter2" not in str(caught.value)


def test_a_credential_that_others_can_read_is_refused(credentials: Path) -> None:
    put(credentials / NAME, b"hunter2", 0o444)
    with pytest.raises(ConfigError, match="can be read by others"):
        read_secret(NAME)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"x" * (MAX_SECRET_BYTES + 1), "more than"),
        (b"\xff\xfehunter2", "UTF-8"),
    ],
)
def test_what_can_be_no_secret_is_named_but_not_repeated(content: bytes, why: str) -> None:
    put(secrets_dir() / NAME, content)
    with pytest.raises(ConfigError, match=why) as caught:
        read_secret(NAME)
    assert "hunter2" not in str(caught.value)


def test_a_fifo_and_a_folder_do_not_hang_the_reader() -> None:
    secrets_dir().mkdir(parents=True)
    os.mkfifo(secrets_dir() / "a", 0o600)
    (secrets_dir() / "b").mkdir()
    for name in ("a", "b"):
        with pytest.raises(ConfigError, match="is no file"):
            read_secret(name)


@pytest.mark.parametrize("name", ["", "A", "../x", "a/b", "a.b", "x" * 61, "a\n", "ä"])
def test_names_are_checked(name: str) -> None:
    for call in (lambda: read_secret(name), lambda: write_secret(name, "x"), lambda: remove_secret(name)):
        with pytest.raises(BadInputError, match="no name of a secret"):
            call()


@pytest.mark.parametrize("value", ["", "\n", "a\nb", "a\x00b", "x" * (MAX_SECRET_BYTES + 1), "bad\udcff"])
def test_values_are_checked_and_nothing_is_written(value: str) -> None:
    with pytest.raises(BadInputError, match="one line of text"):
        write_secret(NAME, value)
    assert not secrets_dir().exists()


def test_a_folder_that_can_not_be_made_is_one_error(home: Path) -> None:
    (home / "config").write_text("a file in the way")
    with pytest.raises(ConfigError, match="can't be written"):
        write_secret(NAME, "x")
    assert read_secret(NAME) is None


# --- the command


def test_the_command_takes_it_from_a_pipe_and_shows_it_nowhere() -> None:
    done = CliRunner().invoke(main, ["setup", "secret", NAME], input="hunter2\n")
    assert done.exit_code == 0, done.output
    assert read_secret(NAME) == "hunter2"
    assert "hunter2" not in done.output
    listed = CliRunner().invoke(main, ["setup", "secret"]).output
    assert f"{NAME:20} set" in listed
    assert "openai-api-key       not set" in listed
    assert "hunter2" not in listed


def test_the_command_forgets() -> None:
    write_secret(NAME, "x")
    assert "is forgotten" in CliRunner().invoke(main, ["setup", "secret", NAME, "--remove"]).output
    assert "There was no" in CliRunner().invoke(main, ["setup", "secret", NAME, "--remove"]).output


@pytest.mark.parametrize("value", ["", "one\ntwo\n", "x" * 10_000])
def test_the_command_refuses_with_one_line(value: str) -> None:
    done = CliRunner().invoke(main, ["setup", "secret", NAME], input=value)
    assert done.exit_code == 7
    assert done.output.startswith("error: ")
    assert len(done.output.splitlines()) == 1


def test_an_unknown_name_is_kept_and_remarked() -> None:
    done = CliRunner().invoke(main, ["setup", "secret", "obs-pasword"], input="x")
    assert done.exit_code == 0
    assert "known are obs-password" in done.output
