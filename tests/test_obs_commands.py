"""Custom events in the documented schema: what is obeyed, what is refused, what is none of our business."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.station import FakeStation
from vcam_talker.config import ObsTrigger
from vcam_talker.control.obs.obey import Obedience, fires
from vcam_talker.control.obs.schema import COMMANDS, accepted, is_command, is_ours, refused, told
from vcam_talker.control.problems import Refusal
from vcam_talker.core.errors import QueueFullError
from vcam_talker.core.types import Emotion

pytestmark = pytest.mark.unit

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "obs.md"


async def obey(station: FakeStation, **fields: Any) -> dict[str, Any]:
    return await Obedience(station).obey({"vcam_talker": 1, **fields})


@pytest.mark.parametrize(
    ("fields", "call", "arguments"),
    [
        ({"cmd": "say", "text": "Hi"}, "say", {"text": "Hi", "emotion": None, "source": "obs"}),
        (
            {"cmd": "say", "text": "Hi", "emotion": "happy"},
            "say",
            {"text": "Hi", "emotion": Emotion.HAPPY, "source": "obs"},
        ),
        (
            {"cmd": "ask", "text": "Who?", "user": "ada"},
            "ask",
            {"text": "Who?", "user": "ada", "source": "obs"},
        ),
        ({"cmd": "interrupt"}, "interrupt", {"clear_queue": False}),
        ({"cmd": "interrupt", "clear_queue": True}, "interrupt", {"clear_queue": True}),
        ({"cmd": "mute"}, "mute", {"muted": True}),
        ({"cmd": "unmute"}, "mute", {"muted": False}),
        ({"cmd": "pause"}, "pause", {"paused": True}),
        ({"cmd": "resume"}, "pause", {"paused": False}),
        ({"cmd": "persona", "name": "lin"}, "persona", {"name": "lin"}),
        ({"cmd": "emotion", "emotion": "sad"}, "emotion", {"emotion": Emotion.SAD}),
        ({"cmd": "emotion", "emotion": None}, "emotion", {"emotion": None}),
    ],
)
async def test_every_command_reaches_the_station(
    fields: dict[str, Any], call: str, arguments: dict[str, Any]
) -> None:
    station = FakeStation()
    ack = await obey(station, id="k1", **fields)
    assert station.calls == [(call, arguments)]
    assert (ack["vcam_talker"], ack["ack"], ack["cmd"], ack["ok"]) == (1, "k1", fields["cmd"], True)


async def test_the_acknowledgement_holds_the_result() -> None:
    station = FakeStation()
    assert (await obey(station, cmd="say", text="Hi"))["result"] == {"turn": 1, "position": 0, "note": ""}
    assert (await obey(station, cmd="interrupt"))["result"] == {"ended": 1}
    status = (await obey(station, cmd="status", id=7))["result"]
    assert status["persona"] == "mira"
    assert status["muted"] is False


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"vcam_talker": 2, "cmd": "mute"}, "version 1"),
        ({"vcam_talker": True, "cmd": "mute"}, "version 1"),
        ({"vcam_talker": "1", "cmd": "mute"}, "version 1"),
        ({"vcam_talker": 1}, "missing"),
        ({"vcam_talker": 1, "cmd": "sing"}, "unknown"),
        ({"vcam_talker": 1, "cmd": ["say"]}, "unknown"),
        ({"vcam_talker": 1, "cmd": "say"}, "required"),
        ({"vcam_talker": 1, "cmd": "say", "text": ""}, "empty"),
        ({"vcam_talker": 1, "cmd": "say", "text": 5}, "string"),
        ({"vcam_talker": 1, "cmd": "say", "text": "x", "volume": 11}, "unknown"),
        ({"vcam_talker": 1, "cmd": "say", "text": "x", "emotion": "glad"}, "happy"),
        ({"vcam_talker": 1, "cmd": "mute", "muted": False}, "unknown"),
        ({"vcam_talker": 1, "cmd": "persona", "name": "../../etc"}, "path"),
        ({"vcam_talker": 1, "cmd": "persona", "name": "a\\b"}, "path"),
        ({"vcam_talker": 1, "cmd": "persona", "name": "nobody"}, "no such persona"),
        ({"vcam_talker": 1, "cmd": "mute", "id": "x" * 101}, "100"),
        ({"vcam_talker": 1, "cmd": "mute", "id": {}}, "whole number"),
    ],
)
async def test_what_is_refused_is_told_with_its_reason(data: dict[str, Any], words: str) -> None:
    station = FakeStation()
    ack = await Obedience(station).obey(data)
    assert ack["ok"] is False
    assert words in f"{ack['error']['why']} {ack['error']['remedy']}"
    assert not [call for call, _ in station.calls if call != "persona"]
    assert len(str(ack)) < 1000, "what a sender sends is not sent back at length"


async def test_a_full_queue_and_a_fault_are_answers_too() -> None:
    station = FakeStation()
    station.raises = QueueFullError("the queue", "already holds 32 turns", "Wait")
    assert (await obey(station, cmd="say", text="x"))["error"]["code"] == "queue_full"
    station.raises = RuntimeError("boom")
    ack = await obey(station, cmd="say", text="x", id=3)
    assert (ack["ack"], ack["error"]["code"]) == (3, "internal")
    assert "boom" not in str(ack)


def test_what_we_tell_is_never_a_command() -> None:
    ours = [
        accepted(1, "say", {"turn": 1}),
        refused("a", "say", Refusal(422, "bad_request", "a", "b")),
        told("turn_started", turn=1),
    ]
    assert all(is_ours(data) and not is_command(data) for data in ours)
    assert not is_ours({"cmd": "say", "text": "of another application"})
    assert not is_ours({})


@pytest.mark.parametrize(
    ("match", "data", "wanted"),
    [
        ({}, {"outputActive": True}, True),
        ({"outputActive": True}, {"outputActive": True, "outputState": "X"}, True),
        ({"outputActive": True}, {"outputActive": 1}, False),
        ({"n": 1}, {"n": 1.0}, True),
        ({"n": 1}, {"n": True}, False),
        ({"sceneName": "Break"}, {"sceneName": "break"}, False),
        ({"sceneName": "Break"}, {}, False),
        ({"sceneName": "Break"}, {"sceneName": None}, False),
    ],
)
def test_a_trigger_fires_on_exactly_its_event(
    match: dict[str, Any], data: dict[str, Any], wanted: bool
) -> None:
    trigger = ObsTrigger(event="StreamStateChanged", match=match, do="say", text="Live!")
    assert fires(trigger, "StreamStateChanged", data) is wanted
    assert not fires(trigger, "RecordStateChanged", data)


@pytest.mark.parametrize(
    ("do", "text", "call", "arguments"),
    [
        ("say", "Live!", "say", {"text": "Live!", "emotion": None, "source": "obs"}),
        ("ask", "What now?", "ask", {"text": "What now?", "user": "", "source": "obs"}),
        ("interrupt", "", "interrupt", {"clear_queue": False}),
        ("mute", "", "mute", {"muted": True}),
        ("unmute", "", "mute", {"muted": False}),
        ("pause", "", "pause", {"paused": True}),
        ("resume", "", "pause", {"paused": False}),
        ("persona", "lin", "persona", {"name": "lin"}),
        ("emotion", "happy", "emotion", {"emotion": Emotion.HAPPY}),
        ("emotion", "", "emotion", {"emotion": None}),
    ],
)
async def test_every_trigger_does_what_it_says(
    do: Any, text: str, call: str, arguments: dict[str, Any]
) -> None:
    station = FakeStation()
    await Obedience(station).pull(ObsTrigger(event="RecordStateChanged", do=do, text=text))
    assert station.calls == [(call, arguments)]


async def test_a_trigger_that_can_not_be_done_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    station = FakeStation()
    await Obedience(station).pull(ObsTrigger(event="RecordStateChanged", do="emotion", text="glad"))
    await Obedience(station).pull(ObsTrigger(event="RecordStateChanged", do="persona", text="nobody"))
    assert "happy" in caplog.text
    assert "no such persona" in caplog.text


def test_the_document_names_every_command() -> None:
    documented = set(re.findall(r"^\| `([a-z]+)` \|", DOCUMENT.read_text(), re.MULTILINE))
    assert set(COMMANDS) <= documented
