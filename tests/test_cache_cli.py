"""`vcam-talker cache`: figures, list, warming and clearing, without a daemon."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.phrases import key_of, phrase_of
from vcam_talker.cache.folder import PhraseFolder
from vcam_talker.cache.phrase import PhraseHead
from vcam_talker.cli import main
from vcam_talker.core.errors import ExitCode
from vcam_talker.core.events import CacheState, parse_event
from vcam_talker.core.status import CacheView
from vcam_talker.core.types import Emotion
from vcam_talker.core.wire import decode, encode

pytestmark = pytest.mark.unit

PERSONA = """
title = "Beeper"
greeting = ["Hello there!"]
fallback = ["One. Two. Three."]
[face]
kind = "testcard"
[voice]
engine = "tone"
name = "beep"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(f'[cache]\nfolder = "{tmp_path}"\ndisk_mb = 9\n')
    return file


@pytest.fixture
def folder(tmp_path: Path) -> PhraseFolder:
    made = PhraseFolder(tmp_path / "phrases", 9_000_000)
    for age, name in enumerate(("young", "middle", "old")):
        made.write(key_of(name), phrase_of(name, 100))
        at = time.time() - age * 3700
        os.utime(made.path / f"{key_of(name)}.phrase", (at, at))
    return made


@pytest.fixture
def beeper(tmp_path: Path) -> Path:
    home = tmp_path / "beeper"
    home.mkdir()
    (home / "persona.toml").write_text(PERSONA)
    return home


def cache(config: Path, *arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(main, ["cache", *arguments, "--config", str(config)], **options)


def as_json(config: Path, *arguments: str) -> Any:
    done = cache(config, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_stats(config: Path, folder: PhraseFolder) -> None:
    found = as_json(config, "stats")
    assert found["phrases"] == 3
    assert found["spoken_s"] == 3.0
    assert found["limit_mb"] == 9
    assert found["folder"] == str(folder.path)
    assert cache(config, "stats").output.startswith("3 phrases, 3 s of speech, in ")


def test_the_list_begins_with_what_was_used_last(config: Path, folder: PhraseFolder) -> None:
    listed = as_json(config, "list")
    assert [p["text"] for p in listed] == ["young", "middle", "old"]
    assert set(listed[0]) == {
        "text", "language", "emotion", "voice", "duration_s", "bytes", "age_s", "used_s_ago", "key",
    }  # fmt: skip
    assert [round(p["used_s_ago"], -2) for p in listed] == [0, 3700, 7400]
    lines = cache(config, "list").output.splitlines()
    assert len(lines) == 1 + folder.entries
    assert "1 h" in lines[2]
    assert "flite:slt" in lines[1]


def test_a_text_that_steers_terminals_is_shown_harmless(config: Path, tmp_path: Path) -> None:
    phrase = phrase_of("x")
    nasty = PhraseHead("\x1b[31mred\u202egnp\n" + "long " * 30, "en", Emotion.SAD, "\x07" * 30, 1.0)
    PhraseFolder(tmp_path / "phrases", 9_000_000).write(key_of("x"), replace(phrase, head=nasty))
    output = cache(config, "list").output
    assert "\x1b" not in output
    assert "\x07" not in output
    assert "\u202e" not in output
    assert len(output.splitlines()) == 2
    assert "…" in output


def test_an_empty_cache_is_no_error(config: Path, tmp_path: Path) -> None:
    assert as_json(config, "stats")["phrases"] == 0
    assert as_json(config, "list") == []
    assert cache(config, "list").output == ""
    assert as_json(config, "clear", "--yes") == {"removed": 0}
    assert not (tmp_path / "phrases").exists()


def test_clear_asks_first(config: Path, folder: PhraseFolder) -> None:
    declined = cache(config, "clear", input="n\n")
    assert declined.exit_code == ExitCode.INTERRUPTED
    assert "Remove 3 phrases" in declined.output
    assert folder.read(key_of("old")) is not None
    accepted = cache(config, "clear", input="y\n")
    assert accepted.exit_code == 0
    assert folder.read(key_of("old")) is None
    assert as_json(config, "stats")["phrases"] == 0


def test_warm_makes_what_is_missing(config: Path, beeper: Path) -> None:
    done = as_json(config, "warm", "--persona", str(beeper))
    assert (done["made"], done["there"], done["failed"], done["full"]) == (4, 0, 0, 0)
    assert {p["text"] for p in as_json(config, "list")} == {"Hello there!", "One.", "Two.", "Three."}
    again = cache(config, "warm", "--persona", str(beeper))
    assert "0 phrases made" in again.output
    assert "4 were there" in again.output


def test_warm_without_a_disk_is_refused_with_a_remedy(config: Path, beeper: Path) -> None:
    config.write_text("[cache]\ndisk_mb = 0\n")
    done = cache(config, "warm", "--persona", str(beeper))
    assert done.exit_code == ExitCode.CONFIG
    assert "cache.disk_mb" in done.output
    assert len(done.output.splitlines()) == 1


@pytest.mark.parametrize("verb", [("stats",), ("list",), ("clear", "--yes")])
def test_a_folder_that_can_not_be_read_is_one_clear_line(
    config: Path, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    (tmp_path / "phrases").write_text("in its place")
    done = cache(config, *verb)
    assert done.exit_code == ExitCode.DEVICE
    assert len(done.output.splitlines()) == 1
    assert "cache.folder" in done.output


def test_warm_into_a_folder_that_can_not_be_written(config: Path, tmp_path: Path, beeper: Path) -> None:
    (tmp_path / "phrases").write_text("in its place")
    done = cache(config, "warm", "--persona", str(beeper))
    assert done.exit_code == ExitCode.DEVICE
    assert "Traceback" not in done.output
    assert "cache.folder" in done.output


def test_the_figures_reach_air_as_they_are() -> None:
    view = CacheView(3, 1.5, 2, 0.7, 10, 4, 1, 5, 6, "the disk is full")
    event = parse_event(decode(encode({"op": "cache", "view": asdict(view)})))
    assert event == CacheState(view)
    with pytest.raises(ValueError, match="cache"):
        parse_event({"op": "cache", "view": {"entries": "many"}})
