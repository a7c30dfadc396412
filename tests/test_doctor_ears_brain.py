"""What the doctor says of ears, brains and the extras they need."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.doctor import config, own_folders, states
from tests.support.llm_server import Behaviour, LlmServer, hangs, raw
from vcam_talker.config import Config, override
from vcam_talker.core.errors import DeviceError
from vcam_talker.core.secrets import write_secret
from vcam_talker.doctor import Finding, Machine, brain, ears, software

__all__ = ["own_folders"]

pytestmark = pytest.mark.unit


Packages = Callable[..., None]


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Packages:
    """Take distributions away; or have them in the versions that are given."""

    def take(*missing: str, **versions: str) -> None:
        def installed(name: str) -> str:
            return "" if name in missing else versions.get(name, "1.0")

        for module in (software, ears, brain):
            monkeypatch.setattr(module, "installed_version", installed)

    return take


# Extras


def test_every_optional_dependency_is_looked_at() -> None:
    import re
    import tomllib

    pyproject = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    declared = pyproject["project"]["optional-dependencies"]
    for extra, names in software.EXTRAS.items():
        assert {re.split(r"[><=;\s\[]", line)[0] for line in declared[extra]} == set(names)


def test_extras_that_nothing_needs_may_be_missing(without: Packages) -> None:
    without("torch", "pocketsphinx")
    assert states(software.check_extras(Config(), Machine())) == ["ok", "ok"]
    needing = config(ears__mode="call", brain__engines=["transformers", "script"])
    found = software.check_extras(needing, Machine())
    assert states(found) == ["warn", "warn"]
    assert "pocketsphinx" in found[0].message
    assert "vcam-talker[llm]" in found[1].remedy


def test_nothing_heavy_is_imported_to_look() -> None:
    code = """
import sys
from vcam_talker.config import Config, override
from vcam_talker.doctor import diagnose
changes = {"ears.mode": "call", "brain.engines": ["transformers", "script"], "obs.connect": "off"}
diagnose(override(Config(), changes), deadline_s=60)
print(sorted({"torch", "transformers", "ctranslate2", "faster_whisper", "onnxruntime"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=90, check=True
    )
    assert done.stdout.strip() == "[]"


# Ears


def whisper(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    whole = {"config.json": "{}", "tokenizer.json": "{}", "model.bin": "x", "vocabulary.json": "[]"}
    for name, content in {**whole, **files}.items():
        (folder / name).write_text(content)
    return folder


def test_ears_that_are_off() -> None:
    assert states(ears.check_ears(Config(), Machine())) == ["ok"]
    assert ears.check_listening(Config(), Machine()) == []


def test_a_whole_model_is_heard_with(tmp_path: Path, without: Packages) -> None:
    without(**{"faster-whisper": "1.2.1"})
    folder = whisper(tmp_path / "small")
    found = ears.check_ears(config(ears__mode="call", ears__model=str(folder)), Machine())
    assert states(found) == ["ok"]
    assert "'en' with faster-whisper 1.2.1, model small" in found[0].message


def test_without_a_model_pocketsphinx_hears_english(without: Packages) -> None:
    without()
    found = ears.check_ears(config(ears__mode="call"), Machine())
    assert states(found) == ["warn"]
    assert "pocketsphinx" in found[0].message
    assert found[0].remedy == "Fetch it: vcam-talker models get base"


def test_a_damaged_model_is_told_by_its_file(tmp_path: Path, without: Packages) -> None:
    without()
    folder = whisper(tmp_path / "small", **{"tokenizer.json": "{"})
    found = ears.check_ears(
        config(ears__mode="call", ears__engine="faster-whisper", ears__model=str(folder)), Machine()
    )
    assert states(found) == ["fail"]
    assert "tokenizer.json" in found[0].message
    assert "models get" in found[0].remedy


@pytest.mark.parametrize(
    ("language", "missing", "expected"),
    [
        ("zh", (), ["fail", "fail"]),
        ("en", ("pocketsphinx",), ["fail", "fail"]),
        ("en", ("faster-whisper",), ["warn", "warn"]),
        ("en", ("faster-whisper", "pocketsphinx"), ["warn", "fail", "fail"]),
    ],
)
def test_what_is_missing_is_named(
    language: str, missing: tuple[str, ...], expected: list[str], without: Packages
) -> None:
    without(*missing)
    found = ears.check_ears(config(ears__mode="call", ears__language=language), Machine())
    assert states(found) == expected


def test_a_model_of_english_hears_no_other_language(tmp_path: Path, without: Packages) -> None:
    without()
    folder = whisper(tmp_path / "base.en")
    wanted = config(ears__mode="call", ears__model=str(folder), ears__engine="faster-whisper")
    assert states(ears.check_ears(wanted, Machine())) == ["ok"]
    found = ears.check_ears(override(wanted, {"ears.language": "zh"}), Machine())
    assert states(found) == ["fail"]
    assert "English only" in found[0].message


class FakePulse:
    """A sound server with these sinks and sources."""

    def __init__(self, *names: str, default: str = "") -> None:
        self.names, self.default_source_name = names, default

    def sink_list(self) -> list[object]:
        return [type("Device", (), {"name": name}) for name in self.names]

    source_list = sink_list

    def server_info(self) -> FakePulse:
        return self

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("sinks", "says"), [((), "is made"), (("vcam_talker_speaker",), "is there")])
def test_the_speaker_of_a_call(monkeypatch: pytest.MonkeyPatch, sinks: tuple[str, ...], says: str) -> None:
    monkeypatch.setattr(ears, "connect", lambda: FakePulse(*sinks))
    found = ears.check_listening(config(ears__mode="call"), Machine())
    assert states(found) == ["ok"]
    assert says in found[0].message


@pytest.mark.parametrize(
    ("device", "pulse", "state", "says"),
    [
        ("auto", FakePulse("desk", default="desk"), "ok", "desk"),
        ("auto", FakePulse("vcam_talker_mic", default="vcam_talker_mic"), "fail", "no microphone"),
        ("desk", FakePulse("desk"), "ok", "desk"),
        ("desk", FakePulse("lamp"), "fail", "no microphone 'desk'"),
        ("vcam_talker_mic", FakePulse("vcam_talker_mic"), "fail", "own voice"),
    ],
)
def test_a_microphone(
    monkeypatch: pytest.MonkeyPatch, device: str, pulse: FakePulse, state: str, says: str
) -> None:
    monkeypatch.setattr("vcam_talker.air.sinks.pulse.connect", lambda: pulse)
    found = ears.check_listening(config(ears__mode="microphone", ears__device=device), Machine())
    assert states(found) == [state]
    assert says in found[0].message


@pytest.mark.parametrize(
    ("mode", "can_start", "state"),
    [("call", True, "ok"), ("call", False, "fail"), ("microphone", True, "fail")],
)
def test_ears_without_a_sound_server(
    monkeypatch: pytest.MonkeyPatch, mode: str, can_start: bool, state: str
) -> None:
    def nobody() -> None:
        raise DeviceError("sound server", "none answers", "Start one")

    monkeypatch.setattr(ears, "connect", nobody)
    monkeypatch.setattr("vcam_talker.air.sinks.pulse.connect", nobody)
    monkeypatch.setattr(ears, "can_start_server", lambda: can_start)
    assert states(ears.check_listening(config(ears__mode=mode), Machine())) == [state]


def test_nothing_is_recorded_without_parec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    found = ears.check_listening(config(ears__mode="call"), Machine())
    assert states(found) == ["fail"]
    assert "pulseaudio-utils" in found[0].remedy


# Brains


async def look(server: LlmServer | None, *engines: str, model: str = "") -> list[Finding]:
    url = server.url if server else "http://127.0.0.1:9/v1"
    wanted = config(brain__engines=list(engines), brain__openai__url=url, brain__openai__model=model)
    return await asyncio.to_thread(brain.check_brain, wanted, Machine())


async def test_a_server_is_asked_for_its_models_and_for_nothing_else() -> None:
    async with LlmServer(hangs) as server:
        found = await look(server, "openai", "script")
        assert states(found) == ["ok", "ok"]
        assert "little" in found[0].message
        assert [(r.method, r.path) for r in server.requests] == [("GET", "/v1/models")]


async def test_a_model_that_the_server_does_not_list() -> None:
    async with LlmServer(hangs) as server:
        assert states(await look(server, "openai", model="large")) == ["ok"]
        found = await look(server, "openai", model="huge")
    assert states(found) == ["warn"]
    assert "little, large" in found[0].message


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        (raw(b"<html>Welcome</html>", "text/html"), "web page"),
        (raw(b'{"error": {"message": "no"}}', "application/json", 401), "key"),
        (raw(b"{}", "application/json", 500), "500"),
        (raw(b'{"data": []}', "application/json"), "lists no model"),
        (hangs, "nothing within"),
    ],
)
async def test_a_server_that_is_none(
    behaviour: Behaviour, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brain, "_SERVER_TIMEOUT_S", 5.0 if behaviour is not hangs else 0.2)
    async with LlmServer(hangs, list_models=behaviour) as server:
        found = await look(server, "openai")
    assert states(found) == ["fail", "fail"]
    assert says in found[0].message
    assert "fallback line" in found[1].message


async def test_a_brain_that_fails_beside_one_that_works_is_a_warning() -> None:
    found = await look(None, "openai", "script")
    assert states(found) == ["warn", "ok"]
    assert "can't be reached" in found[0].message


async def test_the_key_is_never_shown() -> None:
    write_secret("openai-api-key", "sk-very-secret")
    behaviour = raw(b'{"error": {"message": "bad key sk-very-secret"}}', "application/json", 500)
    async with LlmServer(hangs, list_models=behaviour) as server:
        found = await look(server, "openai")
        assert server.requests[0].headers["authorization"] == "Bearer sk-very-secret"
    assert "sk-very-secret" not in repr(found)
    assert "bad key" in found[0].message


def local(tmp_path: Path, *, size: int = 8, **changes: str) -> Config:
    """A model's folder with `size` bytes of weights, which are there as a hole."""
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "tokenizer.json").write_text("{}")
    header = json.dumps({"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    own = {f"brain.transformers.{key}": value for key, value in changes.items()}
    return override(
        Config(), {"brain.engines": ["transformers"], "brain.transformers.folder": str(tmp_path), **own}
    )


def test_a_local_model_that_is_whole(tmp_path: Path, without: Packages) -> None:
    without(torch="2.9.0+cpu")
    found = brain.check_brain(local(tmp_path / "tiny"), Machine())
    assert states(found) == ["ok"]
    assert "tiny (llama) is whole, torch 2.9.0+cpu" in found[0].message


def test_what_a_local_model_lacks(tmp_path: Path, without: Packages) -> None:
    wanted = local(tmp_path / "tiny")
    without("torch")
    assert "torch is not installed" in brain.check_brain(wanted, Machine())[0].message
    without("transformers")
    assert "vcam-talker[llm]" in brain.check_brain(wanted, Machine())[0].remedy
    without()
    (tmp_path / "tiny/tokenizer.json").unlink()
    found = brain.check_brain(wanted, Machine())
    assert states(found) == ["fail", "fail"]
    assert "tokenizer.json" in found[0].message


def test_cuda_is_wanted_of_a_torch_without(tmp_path: Path, without: Packages) -> None:
    without(torch="2.9.0+cpu")
    assert brain.check_brain(local(tmp_path, device="cuda"), Machine())[0].state == "fail"
    without(torch="2.9.0")
    assert brain.check_brain(local(tmp_path, device="cuda"), Machine())[0].state == "ok"


def test_weights_that_do_not_fit(tmp_path: Path, without: Packages) -> None:
    without(torch="2.9.0+cpu")
    wanted = local(tmp_path / "tiny", size=8_000_000)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   2000 kB\n")
    found = brain.check_brain(wanted, Machine(tmp_path))
    assert states(found) == ["warn"]
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   20000 kB\n")
    assert states(brain.check_brain(wanted, Machine(tmp_path))) == ["ok"]
