"""The command line without a daemon: help, errors, exit codes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import BaseModel, ConfigDict

from tests.support.server import RunningServer
from tests.support.station import FakeStation
from vcam_talker.cli import main
from vcam_talker.config import ControlConfig
from vcam_talker.control.address import publish_address
from vcam_talker.core.errors import ConfigError
from vcam_talker.core.status import DeviceReport, DeviceView, SinkView
from vcam_talker.tomlfile import load_model

pytestmark = pytest.mark.unit

_VERBS = [
    "run",
    "say",
    "ask",
    "interrupt",
    "mute",
    "unmute",
    "pause",
    "resume",
    "emotion",
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
    [
        ["say", "hi"],
        ["ask", "hi"],
        ["interrupt"],
        ["mute"],
        ["unmute"],
        ["pause"],
        ["resume"],
        ["emotion", "sad"],
        ["status"],
        ["status", "--json"],
        ["persona", "mira"],
    ],
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
        (["run", "--fps", "61"], 2, "--fps"),
        (["render", "--text", "hi", "--out", "x.mp4", "--fps", "61"], 2, "--fps"),
        (["run", "--size", "wide"], 2, "'--size'"),
        (["run", "--size", "1281x720"], 2, "even"),
        (["run", "--size", "100x100"], 2, "between 160 and 3840"),
        (["render", "--text", "hi", "--out", "x.mp4", "--size", "abc"], 2, "'--size'"),
        (["run", "--port", "70000"], 2, "--port"),
        (["run", "--camera", ""], 2, "--camera"),
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
        (["emotion", "hapy"], 2, "happy"),
    ],
)
def test_bad_input_is_one_line_and_its_exit_code(arguments: list[str], code: int, names: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code, result.output
    assert names in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("[air]\nfps = 61\n", "bad.toml:2: 'air.fps' = 61"),
        ("[microphone]\nname = 'a b'\n", "letters, digits, '_', '.' and '-' only"),
        ("[camera]\nlabel = 'a, b'\n", "commas"),
        ("[control]\ntoken = 'hunter2'\n", "secrets.token_urlsafe"),
    ],
)
def test_a_wrong_value_in_the_file_is_no_usage_error(tmp_path: Path, lines: str, says: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(lines)
    result = CliRunner().invoke(main, ["run", "--config", str(path)])
    assert result.exit_code == 3
    assert says in result.output
    assert "hunter2" not in result.output


def test_a_misspelt_key_comes_before_the_one_it_should_have_been(tmp_path: Path) -> None:
    class Model(BaseModel):
        model_config = ConfigDict(extra="forbid")
        title: str

    path = tmp_path / "x.toml"
    path.write_text('# a persona\ntitel = "Lena"\n')
    with pytest.raises(ConfigError, match=r"x\.toml:2: unknown key 'titel' .*Did you mean 'title'\?"):
        load_model(path, Model)


def test_a_taken_port_names_the_flag() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, ["run", "--camera", "null", "--mic", "null", "--port", port])
    assert result.exit_code == 4
    assert "--port" in result.output


def test_ctrl_c_is_told_from_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vcam_talker.app.render.render_file", interrupted)
    result = CliRunner().invoke(main, ["render", "--text", "hi", "--out", "x.mp4"])
    assert (result.exit_code, result.output) == (130, "Aborted!\n")


@pytest.fixture
def daemon() -> Iterator[FakeStation]:
    station = FakeStation()
    with RunningServer(station, ControlConfig(port=0)) as server:
        publish_address(server.url)
        yield station


@pytest.mark.usefixtures("daemon")
def test_receipts_and_refusals_speak_to_a_person() -> None:
    assert CliRunner().invoke(main, ["say", "one"]).output == "turn 1: now\n"
    assert CliRunner().invoke(main, ["say", "two"]).output == "turn 2: waits for 1 other\n"
    assert CliRunner().invoke(main, ["say", "three"]).output == "turn 3: waits for 2 others\n"
    refused = CliRunner().invoke(main, ["say", ""])
    assert (refused.exit_code, refused.output) == (
        7, "error: text: is empty. Write at least one letter or number\n",
    )  # fmt: skip
    refused = CliRunner().invoke(main, ["persona", "./lena"])
    assert "a path can't be chosen while on air" in refused.output
    assert "/api" not in refused.output
    refused = CliRunner().invoke(main, ["say", "-"], input="x" * 1_000_000)
    assert refused.exit_code == 7
    assert "2,000 characters" in refused.output


def test_the_show_is_steered(daemon: FakeStation) -> None:
    said = [
        CliRunner().invoke(main, verb).output
        for verb in (["mute"], ["pause"], ["emotion", "sad"], ["unmute"], ["resume"], ["emotion", "none"])
    ]
    assert daemon.calls == [
        ("mute", {"muted": True}),
        ("pause", {"paused": True}),
        ("emotion", {"emotion": "sad"}),
        ("mute", {"muted": False}),
        ("pause", {"paused": False}),
        ("emotion", {"emotion": None}),
    ]
    assert said[0].startswith("the microphone is silent")
    assert said[2] == "the mood is sad\n"
    assert all(text.count("\n") == 1 for text in said)


def test_status_names_what_is_absent(daemon: FakeStation) -> None:
    sinks = (SinkView("null", "null", "open"), SinkView("null", "null", "open"))
    engine = replace(daemon.current.engine, restarts=1)
    daemon.current = replace(daemon.current, sinks=sinks, engine=engine)
    lines = CliRunner().invoke(main, ["status"]).output.splitlines()
    assert "  camera      none" in lines
    assert "  microphone  none" in lines
    assert any(line.endswith("1 restart") for line in lines)


@pytest.mark.usefixtures("daemon")
def test_devices_on_air_are_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    report = DeviceReport(
        (DeviceView("camera", "/dev/video10", "vcam_talker", usable=False, detail="a program writes to it"),),
        outputs=(DeviceView("output", "Speakers", "Speakers", usable=True, detail="ALSA"),),
    )
    monkeypatch.setattr("vcam_talker.air.devices.list_devices", lambda *_, **__: report)
    lines = CliRunner().invoke(main, ["devices"]).output.splitlines()
    assert lines[0].startswith("* camera")
    assert lines[0].endswith("on air")
    assert lines[1].startswith("+ output      Speakers")
    found = json.loads(CliRunner().invoke(main, ["devices", "--json"]).output)
    assert "/dev/video10" in found["on_air"]


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
