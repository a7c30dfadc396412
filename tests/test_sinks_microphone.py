"""The virtual microphone without a sound server: what is refused, what is taken back, who owns what."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyaudio
import pytest

from vcam_talker.air.sinks import microphone as module
from vcam_talker.air.sinks import portaudio, pulse
from vcam_talker.air.sinks.microphone import MicrophoneSink
from vcam_talker.air.sinks.portaudio import PortAudioOutput, list_outputs
from vcam_talker.core.errors import DeviceError
from vcam_talker.core.types import SAMPLE_RATE

pytestmark = pytest.mark.unit

WAIT_S = 5.0


class FakeKeeper:
    """A sound server on which everything works."""

    def __init__(self, *_: object, **__: object) -> None:
        self.stream_tag = "1-a"
        self.lost: str | None = None
        self.alive = False
        self.removed: bool | None = None

    def start(self) -> None:
        pass

    def stop(self, *, remove: bool) -> None:
        self.removed = remove


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> FakeKeeper:
    fake = FakeKeeper()
    monkeypatch.setattr(module, "MicrophoneKeeper", lambda *_, **__: fake)
    return fake


def refused() -> DeviceError:
    with pytest.raises(DeviceError) as caught:
        MicrophoneSink("test_mic", "Test").open(SAMPLE_RATE)
    return caught.value


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def library_missing(name: str, *_: object) -> None:
    raise OSError(f"{name}: cannot open shared object file")


def test_a_full_disk_for_temporary_files_is_told(keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TemporaryDirectory", full)
    error = refused()
    assert "No space left" in error.why
    assert "TMPDIR" in error.remedy
    assert keeper.removed


def test_settings_that_cannot_be_written_are_told(
    keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "alsa_config_file", lambda: Path("alsa.conf"))
    monkeypatch.setattr(Path, "write_text", full)
    assert "No space left" in refused().why
    assert keeper.removed


def test_a_machine_without_alsa_is_told(keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", library_missing)
    error = refused()
    assert "ALSA can't be loaded" in error.why
    assert "apt install" in error.remedy
    assert keeper.removed


def test_an_output_that_fails_takes_the_microphone_with_it(
    keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise DeviceError("sound output", "it is broken")

    monkeypatch.setattr(module, "_OUTPUT_TIMEOUT_S", 0.0)
    monkeypatch.setattr(module, "_OUTPUT_RETRY_S", 0.0)
    monkeypatch.setattr(module, "PortAudioOutput", broken)
    assert "it is broken" in refused().why
    assert keeper.removed


class FakeServer:
    """As much of `pulsectl.Pulse` as making the devices takes; `owner` made the ones that are there."""

    def __init__(self, owner: str) -> None:
        properties = {pulse.OWNER_PROPERTY: owner}
        self.sinks = [SimpleNamespace(name="test_mic_sink", proplist=properties)]
        self.sources = [SimpleNamespace(name="test_mic", description="Test")]
        self.loaded: list[str] = []

    def sink_list(self) -> list[SimpleNamespace]:
        return self.sinks

    def source_list(self) -> list[SimpleNamespace]:
        return self.sources

    def server_info(self) -> SimpleNamespace:
        return SimpleNamespace(default_sink_name="speakers", default_source_name="speakers.monitor")

    def module_load(self, name: str, _arguments: str) -> None:
        self.loaded.append(name)


@pytest.mark.parametrize(
    ("owner", "ours"), [(str(os.getpid()), True), (str(os.getppid()), False), ("999999999", True), ("", True)]
)
def test_devices_belong_to_us_unless_another_living_process_made_them(owner: str, ours: bool) -> None:
    server = FakeServer(owner)
    assert pulse.ensure_microphone(server, "test_mic", "Test") is ours
    assert server.loaded == []


def test_a_machine_without_libpulse_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pulsectl", "pulsectl._pulsectl", "pulsectl.pulsectl"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    monkeypatch.setattr(ctypes, "CDLL", library_missing)
    with pytest.raises(DeviceError, match="libpulse can't be loaded") as caught:
        pulse.connect()
    assert caught.value.remedy


class FakeStream:
    def __init__(self) -> None:
        self.blocks = 0

    def write(self, _block: bytes) -> None:
        self.blocks += 1

    def close(self) -> None:
        pass

    def get_output_latency(self) -> float:
        return 0.01


class FakePortAudio:
    """PortAudio with one output; `error` is what opening it raises."""

    error: Exception | None = None
    seen: list[str | None]

    def __init__(self) -> None:
        type(self).seen = [os.environ.get("ALSA_CONFIG_PATH")]

    def get_device_count(self) -> int:
        return 1

    def get_device_info_by_index(self, _index: int) -> dict[str, object]:
        return {"name": "cable", "maxOutputChannels": 2, "hostApi": 0}

    def get_host_api_info_by_index(self, _index: int) -> dict[str, object]:
        return {"name": "ALSA"}

    def open(self, **_: object) -> FakeStream:
        self.seen.append(os.environ.get("ALSA_CONFIG_PATH"))
        if self.error is not None:
            raise self.error
        return FakeStream()

    def terminate(self) -> None:
        self.seen.append(os.environ.get("ALSA_CONFIG_PATH"))


@pytest.fixture
def port_audio(monkeypatch: pytest.MonkeyPatch) -> type[FakePortAudio]:
    monkeypatch.setattr(pyaudio, "PyAudio", FakePortAudio)
    monkeypatch.setattr(FakePortAudio, "error", None)
    monkeypatch.delenv("ALSA_CONFIG_PATH", raising=False)
    return FakePortAudio


def opened(**environment: str) -> PortAudioOutput:
    return PortAudioOutput("cable", SAMPLE_RATE, 1, environment=environment)


def test_sound_leaves_with_the_playouts_priority(
    port_audio: type[FakePortAudio],  # noqa: ARG001 - it stands in for the real one
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        portaudio, "prefer_this_thread", lambda: asked.append(threading.current_thread().name)
    )
    output = opened()
    output.write(np.zeros(480, np.float32))
    output.close()
    assert asked == ["sound-feeder"]


def test_the_environment_holds_while_it_opens_and_no_longer(port_audio: type[FakePortAudio]) -> None:
    output = opened(ALSA_CONFIG_PATH="ours")
    assert "ALSA_CONFIG_PATH" not in os.environ
    assert port_audio.seen == ["ours", "ours"]
    output.close()


@pytest.mark.parametrize("error", [OSError("busy"), ValueError("bad rate"), MemoryError()])
def test_the_environment_is_put_back_after_a_failure(
    port_audio: type[FakePortAudio], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(port_audio, "error", error)
    expected = MemoryError if isinstance(error, MemoryError) else DeviceError
    with pytest.raises(expected):
        opened(ALSA_CONFIG_PATH="ours")
    assert "ALSA_CONFIG_PATH" not in os.environ


def test_an_environment_that_cannot_be_set_is_put_back(port_audio: type[FakePortAudio]) -> None:
    assert port_audio is not None
    with pytest.raises(ValueError, match="null"):
        opened(ALSA_CONFIG_PATH="ours", PULSE_PROP="no\0string")
    assert "ALSA_CONFIG_PATH" not in os.environ


def test_a_portaudio_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError(-9999, "Unanticipated host error")

    monkeypatch.setattr(pyaudio, "PyAudio", broken)
    for attempt in (opened, list_outputs):
        with pytest.raises(DeviceError, match="PortAudio can't be started"):
            attempt()
