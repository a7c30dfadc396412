"""Where OBS is and how it is entered: its own settings, ours, the secret, and what wins."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from vcam_talker.config import ObsConfig
from vcam_talker.control.obs.settings import ServerFinder, obs_folders, read_own_settings
from vcam_talker.core.secrets import write_secret

pytestmark = pytest.mark.unit

INI = """\
[General]
FirstRun=true

[OBSWebSocket]
FirstLoad=false
ServerEnabled={enabled}
ServerPort=4477
AuthRequired={auth}
ServerPassword=from=ini

[Other]
ServerPort=1
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return tmp_path


def ini(folder: Path, enabled: str = "true", auth: str = "true") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "global.ini").write_text(INI.format(enabled=enabled, auth=auth), encoding="utf-8-sig")
    return folder


def own_json(folder: Path, **changes: Any) -> Path:
    path = folder / "plugin_config" / "obs-websocket" / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"server_enabled": True, "server_port": 4466, "auth_required": True, "server_password": "json"}
    path.write_text(json.dumps(values | changes))
    return folder


def test_settings_of_both_generations_are_read(tmp_path: Path) -> None:
    old = read_own_settings(ini(tmp_path / "old"))
    assert old is not None
    assert (old.enabled, old.port, old.password) == (True, 4477, "from=ini")
    # OBS 31 leaves the old section where it was.
    new = read_own_settings(own_json(ini(tmp_path / "new")))
    assert new is not None
    assert (new.enabled, new.port, new.password) == (True, 4466, "json")


def test_a_password_that_is_not_asked_for_is_none(tmp_path: Path) -> None:
    old = read_own_settings(ini(tmp_path / "old", auth="false"))
    new = read_own_settings(own_json(tmp_path / "new", auth_required=False))
    assert old is not None
    assert new is not None
    assert old.password == new.password == ""


@pytest.mark.parametrize("text", ["", "[]", "{", '{"server_port": "x", "server_enabled": 1}', "\x00\xff"])
def test_spoilt_settings_mean_switched_off(tmp_path: Path, text: str) -> None:
    path = own_json(tmp_path) / "plugin_config/obs-websocket/config.json"
    path.write_text(text, encoding="latin-1")
    found = read_own_settings(tmp_path)
    assert found is None or not found.enabled


def test_auto_looks_only_where_a_server_is_on(tmp_path: Path) -> None:
    off, on = ini(tmp_path / "off", enabled="false"), own_json(tmp_path / "on")
    assert ServerFinder(ObsConfig(), ()).find() is None
    assert ServerFinder(ObsConfig(), (off,)).find() is None
    found = ServerFinder(ObsConfig(), (off, on)).find()
    assert found is not None
    assert (found.address, found.password) == ("127.0.0.1:4466", "json")


def test_on_looks_in_any_case(tmp_path: Path) -> None:
    found = ServerFinder(ObsConfig(connect="on"), (ini(tmp_path, enabled="false"),)).find()
    assert found is not None
    assert (found.port, found.password) == (4477, "from=ini")
    nothing = ServerFinder(ObsConfig(connect="on"), ()).find()
    assert nothing is not None
    assert (nothing.port, nothing.password) == (4455, "")


def test_the_secret_and_the_configured_port_win(tmp_path: Path) -> None:
    write_secret("obs-password", "mine")
    found = ServerFinder(ObsConfig(connect="on", port=5000), (own_json(tmp_path),)).find()
    assert found is not None
    assert (found.port, found.password) == (5000, "mine")


def test_another_port_is_another_obs(tmp_path: Path) -> None:
    found = ServerFinder(ObsConfig(connect="on", port=5000), (own_json(tmp_path),)).find()
    assert found is not None
    assert found.password == "", "the password belongs to the OBS on port 4466"


def test_another_machine_has_no_settings_here(tmp_path: Path) -> None:
    own_json(tmp_path)
    found = ServerFinder(ObsConfig(host="10.0.0.7"), (tmp_path,)).find()
    assert found is not None
    assert (found.address, found.password) == ("10.0.0.7:4455", "")


def test_a_changed_file_is_read_again_and_only_then(tmp_path: Path) -> None:
    finder = ServerFinder(ObsConfig(), (own_json(tmp_path, server_enabled=False),))
    assert finder.find() is None
    before = finder.changes
    assert finder.find() is None
    assert finder.changes == before
    own_json(tmp_path, server_port=4488)
    found = finder.find()
    assert found is not None
    assert found.port == 4488
    assert finder.changes == before + 1
    write_secret("obs-password", "mine")
    found = finder.find()
    assert found is not None
    assert found.password != "json"  # noqa: S105


def test_an_unusable_secret_is_told_and_not_shown(tmp_path: Path) -> None:
    write_secret("obs-password", "my secret").chmod(0o644)
    found = ServerFinder(ObsConfig(connect="on"), (own_json(tmp_path),)).find()
    assert found is not None
    assert "chmod 600" in found.problem
    assert "my secret" not in found.problem


def test_no_password_is_ever_printed(tmp_path: Path) -> None:
    folder = own_json(tmp_path)
    assert "json'" not in repr(ServerFinder(ObsConfig(), (folder,)).find())
    assert "password='json'" not in repr(read_own_settings(folder))


@pytest.mark.parametrize(
    ("system", "env", "first"),
    [
        ("linux", {}, ".config/obs-studio"),
        ("linux", {"XDG_CONFIG_HOME": "/x"}, "/x/obs-studio"),
        ("win32", {"APPDATA": "/roaming"}, "/roaming/obs-studio"),
        ("darwin", {}, "Library/Application Support/obs-studio"),
    ],
)
def test_folders_of_every_system(system: str, env: dict[str, str], first: str) -> None:
    folders = obs_folders(system, env, Path("/home/ada"))
    assert folders[0] == Path("/home/ada") / first
    flatpak = Path("/home/ada/.var/app/com.obsproject.Studio/config/obs-studio")
    assert (flatpak in folders) == (system == "linux")


def test_this_user_has_folders() -> None:
    assert all(folder.name == "obs-studio" for folder in obs_folders(env=os.environ))
