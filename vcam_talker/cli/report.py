"""`vcam-talker status` for people: one line for each thing that is there, more only where it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Report = dict[str, Any]
"""DaemonStatus as JSON has it; fields of a newer daemon are ignored, missing ones left out."""

_STAGES = (
    ("heard_ms", "heard"),
    ("queued_ms", "queued"),
    ("begun_ms", "begun"),
    ("first_token_ms", "first token"),
    ("first_audio_ms", "first audio"),
    ("first_frame_ms", "first frame"),
    ("on_air_ms", "on air"),
)
_WAITED_MS = 20.0
"""Less is no waiting for others."""
_TRACES = 5
_SKIPPED = 5
_TEXT_CHARS = 60
_DETAIL_CHARS = 200


def status_lines(report: Report) -> Iterator[str]:
    """Yield the lines of a report."""
    yield from _machine(report)
    yield from _sinks(report)
    yield from _show(report.get("show") or {})
    yield from _brains(report.get("brains") or [])
    yield from _ears(report.get("ears") or {})
    yield from _chat(report.get("chat") or {})
    if (report.get("obs") or {}).get("state", "off") != "off":
        yield _row("obs", _source(report["obs"], named=False))
    yield from _cache(report.get("cache"))
    if report["on_air"]:
        yield _row("now", _plain(report["on_air"]["answer"] or report["on_air"]["text"]))
    for turn in report["queue"]:
        yield _row("next", _plain(turn["text"]))
    for turn in report["recent"][:_TRACES]:
        yield _row("answered", f"{_plain(turn['text'], _TEXT_CHARS)}: {trace(turn)}")
    for line in (report.get("show") or {}).get("skipped", ())[:_SKIPPED]:
        who = f"{line['user']}: " if line["user"] else ""
        yield _row("skipped", f"{_plain(who + line['text'], _TEXT_CHARS)} ({_plain(line['why'])})")
    for warning in report["warnings"]:
        yield f"  ! {_plain(warning)}"


def trace(turn: Report) -> str:
    """Return a turn's way to the air: the stages that were reached, in ms from `queued`, and who answered."""
    times = {**turn, "queued_ms": 0.0}
    if (turn.get("started_ms") or 0.0) >= _WAITED_MS:
        times["begun_ms"] = turn["started_ms"]
    passed = [(times[key], name) for key, name in _STAGES if times.get(key) is not None]
    # A frame shows the mouth of its middle: the first one may leave a little before or after its sound.
    reached = [f"{name} {round(at_ms)}" for at_ms, name in sorted(passed, key=lambda stage: stage[0])]
    if len(reached) == 1:
        way = turn["state"]
    else:
        way = " → ".join(reached) + " ms"
        if turn["state"] != "done":
            way += f", {turn['state']}"
    by = [turn.get("brain") or "", "from the cache" if turn.get("cached") else ""]
    return f"{way} ({', '.join(filter(None, by))})" if any(by) else way


def _machine(report: Report) -> Iterator[str]:
    pacing, engine = report["pacing"], report["engine"]
    size = f"{report['width']}x{report['height']} at {pacing['fps']} fps"
    counts = ", ".join(f"{pacing[key]} {key}" for key in ("frames", "late", "repeated", "skipped"))
    steadiness = f"p99 {pacing['deviation_p99_ms']} ms, longest gap {pacing['longest_gap_ms']} ms"
    yield f"{report['persona']['title']} on air for {report['uptime_s']:.0f} s, {size}, {report['url']}"
    yield _row("picture", f"{pacing['rung']}, {counts}, {steadiness}")
    yield _row("engine", _process(engine))
    if report.get("senses"):
        yield _row("senses", _process(report["senses"]))
    if (lips := report.get("lips")) and lips["state"] != "off":
        yield _row("lips", _lips(lips))
    yield _row("cost", f"{report['cpu_percent']} % of a core, {report['rss_mb']} MB")


def _sinks(report: Report) -> Iterator[str]:
    # The station gives the camera first, then the microphone; a null sink is either.
    for device, sink in zip(("camera", "microphone"), report["sinks"], strict=False):
        if sink["kind"] == "null":
            yield _row(device, "none")
            continue
        dropped = f", {sink['dropped']} frames dropped" if sink["dropped"] else ""
        latency = f", {sink['latency_ms']} ms to a reader" if sink["latency_ms"] is not None else ""
        yield _row(sink["kind"], f"{sink['name']} {sink['state']}{latency}{dropped}")


def _show(show: Report) -> Iterator[str]:
    quiet_s = show.get("quiet_in_s")
    parts = [
        "paused" if show.get("paused") else "",
        "muted" if show.get("muted") else "",
        f"mood {show['emotion']}" if show.get("emotion") else "",
        f"talks by itself in {quiet_s:.0f} s" if quiet_s is not None else "",
        _count(show.get("skipped_total", 0), "line") + " skipped" if show.get("skipped_total") else "",
    ]
    if any(parts):
        yield _row("show", ", ".join(filter(None, parts)))


def _brains(brains: list[Report]) -> Iterator[str]:
    for brain in brains:
        counts = [f"{brain[key]} {key}" for key in ("answered", "failed") if brain.get(key)]
        yield _row("brain", ", ".join([f"{brain['name']} {brain['state']}", *counts]) + _detail(brain))


def _ears(ears: Report) -> Iterator[str]:
    if ears.get("state", "off") == "off":
        return
    means = ", ".join(filter(None, (ears.get("device"), ears.get("engine"), ears.get("model"))))
    counts = _count(ears.get("utterances", 0), "utterance")
    if ears.get("echoes"):
        counts += f", {ears['echoes']} of its own voice dropped"
    yield _row("ears", f"{ears['state']}{f' ({means})' if means else ''}, {counts}{_detail(ears)}")


def _chat(chat: Report) -> Iterator[str]:
    sources = chat.get("sources") or ()
    for source in sources:
        yield _row("chat", _source(source, named=True))
    dropped = chat.get("dropped") or {}
    if sources or dropped:
        why = ", ".join(f"{count} {_plain(reason)}" for reason, count in dropped.items() if count)
        yield _row("", f"{chat.get('passed', 0)} passed{f'; dropped: {why}' if why else ''}")


def _source(source: Report, *, named: bool) -> str:
    name = f"{_plain(source['name'])} " if named else ""
    counts = [_count(source["lines"], "line") if source.get("lines") else ""]
    counts.append(_count(source["reconnects"], "reconnection") if source.get("reconnects") else "")
    return ", ".join(filter(None, [f"{name}{source['state']}", *counts])) + _detail(source)


def _cache(cache: Report | None) -> Iterator[str]:
    if cache is None:
        return
    asked = cache["hits"] + cache["misses"]
    parts = [
        f"{_count(cache['entries'], 'phrase')} in {cache['memory_mb']:.1f} MB",
        f"{cache['disk_entries']} in {cache['disk_mb']:.1f} MB on disk",
        f"{cache['hits']} of {asked} hit" if asked else "",
        f"{cache['warmed']} of {cache['to_warm']} warmed" if cache["to_warm"] else "",
    ]
    yield _row("cache", ", ".join(filter(None, parts)) + _detail(cache))


def _process(view: Report) -> str:
    return f"{view['state']}, {_count(view['restarts'], 'restart')}"


def _lips(lips: Report) -> str:
    """Return who draws the mouth, how fast, and why no network does."""
    parts = [f"drawn by {lips['drawn_by']}"]
    if lips["state"] != "ready":
        parts.append(lips["state"])
    if lips["p50_ms"] is not None:
        parts.append(f"p50 {lips['p50_ms']} ms, p95 {lips['p95_ms']} ms")
        parts.append(f"{lips['answered']} of {lips['asked']} in time")
    if lips["restarts"]:
        parts.append(f"restarted {lips['restarts']}x ({_plain(lips['last_error'], _DETAIL_CHARS)})")
    return ", ".join(parts) + _detail(lips)


def _row(name: str, text: str) -> str:
    return f"  {name:11} {text}"


def _detail(view: Report) -> str:
    return f": {_plain(view['detail'], _DETAIL_CHARS)}" if view.get("detail") else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _plain(text: str, most: int = 2000) -> str:
    """Return text on one line that a terminal can't mistake for a command, `most` characters at most."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else line[: most - 1] + "…"
