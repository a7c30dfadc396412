"""`status` for people: what is off takes no line, what is wrong says why, and a trace is one line."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from tests.support.station import status
from vcam_talker.cli.report import status_lines, trace
from vcam_talker.core.status import (
    BrainView,
    CacheView,
    ChatView,
    EarsView,
    EngineView,
    LipsView,
    ShowView,
    SkippedView,
    SourceView,
    TurnView,
)

pytestmark = pytest.mark.unit

ANSWERED = TurnView(
    7, "ask", "done", "Do you ship to Norway?", "ada", "twitch",
    answer="Yes.", started_ms=2.0, heard_ms=-450.4, first_token_ms=12.2, first_audio_ms=61.0,
    first_frame_ms=70.9, on_air_ms=97.0, duration_s=1.2, brain="script", cached=True,
)  # fmt: skip


def lines(**changes: Any) -> list[str]:
    return list(status_lines(json.loads(json.dumps(asdict(status(**changes))))))


def rows(name: str, **changes: Any) -> list[str]:
    """The lines of that name, without it."""
    return [line[14:] for line in lines(**changes) if line.startswith(f"  {name:11} ")]


def test_what_is_off_takes_no_line() -> None:
    assert len(lines()) == 6
    assert not any(name in "\n".join(lines()) for name in ("show", "brain", "ears", "chat", "obs", "cache"))


def test_an_older_daemon_without_these_fields_is_shown() -> None:
    report = asdict(status(recent=(ANSWERED,)))
    for name in ("show", "brains", "cache", "ears", "chat", "obs", "senses", "lips"):
        del report[name]
    for name in ("heard_ms", "first_token_ms", "first_frame_ms", "brain", "cached"):
        del report["recent"][0][name]
    assert list(status_lines(report))[-1].endswith("queued 0 → first audio 61 → on air 97 ms")


def test_the_trace_is_one_line_from_heard_to_on_air() -> None:
    way = "heard -450 → queued 0 → first token 12 → first audio 61 → first frame 71 → on air 97 ms"
    assert rows("answered", recent=(ANSWERED,)) == [f"Do you ship to Norway?: {way} (script, from the cache)"]


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        (
            TurnView(1, "say", "done", "x", started_ms=4670.0, on_air_ms=4793.0),
            "queued 0 → begun 4670 → on air 4793 ms",
        ),
        (
            TurnView(1, "ask", "done", "x", heard_ms=-0.3, first_frame_ms=125.0, on_air_ms=95.0),
            "heard 0 → queued 0 → on air 95 → first frame 125 ms",
        ),
        (TurnView(1, "ask", "failed", "x", error="no voice"), "failed"),
        (
            TurnView(1, "ask", "interrupted", "x", first_token_ms=5, brain="openai"),
            "queued 0 → first token 5 ms, interrupted (openai)",
        ),
    ],
)
def test_a_turn_that_did_not_get_there(turn: TurnView, expected: str) -> None:
    assert trace(asdict(turn)) == expected


def test_the_show() -> None:
    skipped = tuple(SkippedView(f"line {n}", "bob", "twitch", "asked a minute ago", n) for n in range(20))
    show = ShowView(paused=True, muted=True, emotion="sad", skipped=skipped, skipped_total=1, quiet_in_s=41.6)
    assert rows("show", show=show) == ["paused, muted, mood sad, talks by itself in 42 s, 1 line skipped"]
    assert rows("skipped", show=show)[0] == "bob: line 0 (asked a minute ago)"
    assert len(rows("skipped", show=show)) == 5


def test_the_ladder_of_brains() -> None:
    brains = (
        BrainView("openai", "resting", "no answer within 3 s", answered=4, failed=3),
        BrainView("script", "ready", answered=12),
    )
    assert rows("brain", brains=brains) == [
        "openai resting, 4 answered, 3 failed: no answer within 3 s",
        "script ready, 12 answered",
    ]


def test_ears_chat_obs_cache_and_senses() -> None:
    found = lines(
        ears=EarsView("hearing", "call", "sphinx", "en", "English only", 1, 2),
        chat=ChatView(
            (SourceView("twitch #ada", "lost", "no answer", 120, 1),), 80, {"flood": 30, "repeated": 0}
        ),
        obs=SourceView("obs", "failed", "wrong password"),
        cache=CacheView(1, 0.5, 40, 9.21, 12, 3, warmed=3, to_warm=14, detail="disk full"),
        senses=EngineView("ready", 5, 0),
    )
    for line in (
        "  senses      ready, 0 restarts",
        "  ears        hearing (call, sphinx, en), 1 utterance, 2 of its own voice dropped: English only",
        "  chat        twitch #ada lost, 120 lines, 1 reconnection: no answer",
        "              80 passed; dropped: 30 flood",
        "  obs         failed: wrong password",
        "  cache       1 phrase in 0.5 MB, 40 in 9.2 MB on disk, 12 of 15 hit, 3 of 14 warmed: disk full",
    ):
        assert line in found, "\n".join(found)


def test_who_draws_the_lips() -> None:
    assert rows(
        "lips", lips=LipsView("ready", "tiny on ort, fp32", "", 7, 1, 120, 118, 4.2, 9.5, "killed")
    ) == ["drawn by tiny on ort, fp32, p50 4.2 ms, p95 9.5 ms, 118 of 120 in time, restarted 1x (killed)"]
    assert rows("lips", lips=LipsView("failed", detail="model.json: is no JSON")) == [
        "drawn by shapes, failed: model.json: is no JSON"
    ]
    assert rows("lips", lips=LipsView()) == []


def test_hostile_text_stays_on_its_line() -> None:
    evil = "a\x1b[2J\nb\r\u202ec\x9b" + "x" * 3000
    found = lines(
        show=ShowView(skipped=(SkippedView(evil, evil, "s", evil, 0),)),
        recent=(TurnView(1, "ask", "done", evil),),
        queue=(TurnView(2, "ask", "queued", evil),),
        obs=SourceView("obs", "lost", evil),
        warnings=(evil,),
    )
    assert all(line.isprintable() for line in found)
    assert all(len(line) < 2100 for line in found)
