"""`models get` against a mirror that cuts, lies, stalls, corrupts and serves web pages."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.model_mirror import REPOSITORY, Fault, Mirror, model_files, serving
from vcam_talker.asr import models_fetch
from vcam_talker.asr.models import MANIFEST, find_model, installed, models_dir, problem_of
from vcam_talker.asr.models_fetch import get_model
from vcam_talker.asr.models_hub import Hub
from vcam_talker.core.errors import (
    AlreadyRunningError,
    BadInputError,
    DeviceError,
    EngineError,
    SourceError,
    VcamTalkerError,
)
from vcam_talker.core.filelock import try_lock

pytestmark = pytest.mark.unit

NEEDED = {"config.json", "tokenizer.json", "vocabulary.txt", "model.bin"}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(models_fetch, "known_models", lambda: {"tiny": REPOSITORY, "base": "someone/none"})


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serving() as mirror:
        yield mirror


class Waits(list[float]):
    """Pauses between attempts, taken in no time."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def get(mirror: Mirror, waits: Waits | None = None, name: str = "tiny") -> tuple[Path, bool]:
    hub = Hub(mirror.url, timeout_s=0.3)
    return get_model(name, hub, lambda _there, _of: None, wait=Waits() if waits is None else waits)


def assert_whole(mirror: Mirror, folder: Path) -> None:
    assert folder == models_dir() / "tiny"
    assert {f.name for f in folder.iterdir()} == {*NEEDED, MANIFEST}
    for name in NEEDED:
        assert (folder / name).read_bytes() == mirror.files[name]
    assert problem_of(folder) == ""
    assert hidden() == {".tiny.lock"}


def hidden() -> set[str]:
    return {f.name for f in models_dir().iterdir() if f.name.startswith(".")}


def test_a_model_comes_whole_and_nothing_else_does(mirror: Mirror) -> None:
    seen: list[tuple[int, int]] = []
    folder, fetched = get_model("tiny", Hub(mirror.url), lambda there, of: seen.append((there, of)))
    assert fetched
    assert_whole(mirror, folder)
    assert not (models_dir() / "evil.bin").exists()
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] == sum(len(mirror.files[n]) for n in NEEDED)
    manifest = json.loads((folder / MANIFEST).read_text())
    assert (manifest["name"], manifest["repository"], manifest["source"]) == ("tiny", REPOSITORY, mirror.url)


def test_the_mirror_speaks_as_the_hubs_own_client_expects(mirror: Mirror) -> None:
    from huggingface_hub import HfApi

    info = HfApi(endpoint=mirror.url, token=False).model_info(
        REPOSITORY, revision="main", files_metadata=True
    )
    model = Hub(mirror.url).look_up(REPOSITORY)
    theirs = {s.rfilename: (s.size, s.lfs.sha256 if s.lfs else s.blob_id) for s in info.siblings or []}
    assert model.revision == info.sha
    assert {f.name: (f.size, f.digest) for f in model.files} == {n: theirs[n] for n in NEEDED}


def test_one_that_is_there_is_verified_without_asking_anybody(mirror: Mirror) -> None:
    get(mirror)
    asked = len(mirror.asked)
    assert get(mirror) == (models_dir() / "tiny", False)
    assert len(mirror.asked) == asked


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_only_a_damaged_file_is_fetched_again(mirror: Mirror, name: str) -> None:
    folder, _ = get(mirror)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    mirror.asked.clear()
    assert get(mirror)[1]
    assert_whole(mirror, folder)
    assert [asked for asked, _ in mirror.asked] == ["listing", name]


def test_a_deleted_file_is_fetched_again(mirror: Mirror) -> None:
    folder, _ = get(mirror)
    (folder / "tokenizer.json").unlink()
    assert get(mirror)[1]
    assert_whole(mirror, folder)


def test_a_cut_line_goes_on_where_it_was_cut(mirror: Mirror) -> None:
    mirror.faults["model.bin"] = Fault("cut", at=70_000, times=1)
    waits = Waits()
    folder, _ = get(mirror, waits)
    assert_whole(mirror, folder)
    assert mirror.bytes_asked("model.bin") == ["", "bytes=70000-"]
    assert len(waits) == 1


def test_the_next_run_goes_on_where_this_one_stopped(mirror: Mirror) -> None:
    mirror.faults["model.bin"] = Fault("cut", at=90_000)
    with pytest.raises(SourceError, match=r"broke off within model\.bin") as caught:
        get(mirror)
    assert "Run it again" in caught.value.remedy
    assert installed() == []
    mirror.faults.clear()
    mirror.asked.clear()
    seen: list[int] = []
    folder, _ = get_model("tiny", Hub(mirror.url), lambda there, _of: seen.append(there))
    assert_whole(mirror, folder)
    assert mirror.asked == [("listing", ""), ("model.bin", "bytes=90000-")]
    assert seen[0] > 90_000


@pytest.mark.parametrize("at", [1, 100_000, 199_999])
def test_stopped_by_the_keyboard_nothing_half_is_seen_and_nothing_is_lost(mirror: Mirror, at: int) -> None:
    def stop(there: int, _of: int) -> None:
        if there >= at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get_model("tiny", Hub(mirror.url), stop)
    assert installed() == []
    assert not (models_dir() / "tiny").exists()
    folder, _ = get(mirror)
    assert_whole(mirror, folder)


def test_a_server_without_ranges_is_read_from_the_start(mirror: Mirror) -> None:
    mirror.faults["model.bin"] = Fault("cut", at=50_000, times=1)

    class AndThenNoRanges(Waits):
        def __call__(self, _seconds: float) -> None:
            mirror.faults["model.bin"] = Fault("no_range")

    folder, _ = get(mirror, AndThenNoRanges())
    assert_whole(mirror, folder)


def test_a_stalled_line_is_given_up_and_taken_up_again(mirror: Mirror) -> None:
    mirror.faults["model.bin"] = Fault("stall", at=60_000, times=1)
    folder, _ = get(mirror)
    assert_whole(mirror, folder)
    assert mirror.bytes_asked("model.bin") == ["", "bytes=60000-"]


def test_one_that_only_stalls_ends_with_a_line(mirror: Mirror) -> None:
    mirror.faults["model.bin"] = Fault("stall", at=60_000)
    waits = Waits()
    with pytest.raises(SourceError, match=r"broke off within model\.bin"):
        get(mirror, waits)
    assert waits == sorted(waits)
    assert len(waits) <= 6


@pytest.mark.parametrize("at", [0, 123_456, 199_967])
def test_a_corrupt_byte_is_noticed_and_fetched_again(mirror: Mirror, at: int) -> None:
    mirror.faults["model.bin"] = Fault("corrupt", at=at, times=1)
    folder, _ = get(mirror)
    assert_whole(mirror, folder)
    assert mirror.bytes_asked("model.bin") == ["", ""]


def test_a_small_corrupt_file_is_noticed_too(mirror: Mirror) -> None:
    mirror.faults["tokenizer.json"] = Fault("corrupt", at=3, times=1)
    folder, _ = get(mirror)
    assert_whole(mirror, folder)


def test_one_that_stays_corrupt_is_an_error_and_no_model(mirror: Mirror) -> None:
    mirror.faults["model.bin"] = Fault("corrupt", at=5)
    with pytest.raises(EngineError, match=r"model.bin: came damaged .* twice"):
        get(mirror)
    assert installed() == []


@pytest.mark.parametrize("at", [0, 123_456])
def test_a_file_damaged_before_it_was_cut_is_fetched_anew(mirror: Mirror, at: int) -> None:
    """The part of an interrupted run may be rotten; its hash tells, once it is whole."""
    mirror.faults["model.bin"] = Fault("cut", at=150_000)
    with pytest.raises(SourceError):
        get(mirror)
    (part,) = (models_dir() / ".tiny.part").glob("model.bin.*")
    data = bytearray(part.read_bytes())
    data[at] ^= 0x10
    part.write_bytes(data)
    mirror.faults.clear()
    mirror.asked.clear()
    folder, _ = get(mirror)
    assert_whole(mirror, folder)
    assert mirror.bytes_asked("model.bin") == ["bytes=150000-", ""]


@pytest.mark.parametrize(
    ("name", "fault", "kind", "says"),
    [
        ("listing", Fault("html"), EngineError, "sent a web page"),
        ("listing", Fault("missing"), EngineError, "HTTP 404"),
        ("listing", Fault("busy"), SourceError, "HTTP 503"),
        ("listing", Fault("cut", at=20), SourceError, "broke off"),
        ("model.bin", Fault("html"), SourceError, "sent a web page"),
        ("model.bin", Fault("missing"), EngineError, "HTTP 404"),
        ("model.bin", Fault("lie"), SourceError, "is 200,000 bytes long by the list"),
        ("model.bin", Fault("long"), SourceError, "sends 200,018"),
        ("model.bin", Fault("short", at=5), SourceError, "sends 5"),
        ("model.bin", Fault("short", at=0), SourceError, "sends 0"),
        ("model.bin", Fault("busy"), SourceError, "HTTP 503"),
    ],
)
def test_each_fault_has_its_line(
    mirror: Mirror, name: str, fault: Fault, kind: type[VcamTalkerError], says: str
) -> None:
    mirror.faults[name] = fault
    with pytest.raises(kind, match=says) as caught:
        get(mirror)
    assert "\n" not in str(caught.value)
    assert mirror.url in str(caught.value)
    assert installed() == []
    mirror.faults.clear()
    assert_whole(mirror, get(mirror)[0])


def test_a_busy_hub_is_asked_again_when_it_says(mirror: Mirror) -> None:
    mirror.faults["listing"] = Fault("busy", times=1)
    mirror.faults["config.json"] = Fault("busy", times=2)
    waits = Waits()
    folder, _ = get(mirror, waits)
    assert_whole(mirror, folder)
    assert waits[0] == 2.0
    assert len(waits) == 3


def test_another_part_than_asked_for_is_not_glued_on(mirror: Mirror) -> None:
    mirror.faults["model.bin"] = Fault("cut", at=50_000, times=1)

    class AndThenWrong(Waits):
        def __call__(self, _seconds: float) -> None:
            mirror.faults["model.bin"] = Fault("wrong_range", times=1)

    folder, _ = get(mirror, AndThenWrong())
    assert_whole(mirror, folder)


LISTINGS: dict[str, tuple[Callable[[Mirror], bytes], str]] = {
    "nonsense": (lambda _m: b"\x00\xff\x00", "sent something else"),
    "a list": (lambda _m: b"[]", "sent something else"),
    "empty": (lambda _m: b"", "sent something else"),
    "deep": (lambda _m: b"[" * 100_000, "sent something else"),
    "no files": (lambda _m: json.dumps({"sha": "a" * 40, "siblings": []}).encode(), "has no config.json"),
    "bad commit": (lambda _m: json.dumps({"sha": "../..", "siblings": []}).encode(), "names no commit"),
    "no hash": (lambda m: m.list_files().replace(b'"sha256": "', b'"sha256": "../'), "sent something else"),
    "minus": (lambda m: m.list_files().replace(b'"size": 200000', b'"size": -1'), "sent something else"),
    "no weights": (lambda m: m.list_files().replace(b"model.bin", b"model.txt"), "has no model.bin"),
    "vast": (lambda _m: b" " * 8_000_001, "is longer than"),
}


@pytest.mark.parametrize("case", LISTINGS)
def test_a_hostile_list_is_one_line(mirror: Mirror, case: str) -> None:
    make, says = LISTINGS[case]
    mirror.listing = make(mirror)
    with pytest.raises(EngineError, match=says) as caught:
        get(mirror)
    assert "\n" not in str(caught.value)
    assert installed() == []


def test_a_model_larger_than_the_disk_is_not_begun(mirror: Mirror) -> None:
    mirror.listing = mirror.list_files().replace(b'"size": 200000', b'"size": 9000000000000000')
    with pytest.raises(DeviceError, match="MB free, and"):
        get(mirror)
    assert mirror.bytes_asked("model.bin") == []


def test_a_full_disk_is_one_line_and_the_part_stays(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(models_fetch.os, "fsync", full)
    with pytest.raises(DeviceError, match="the disk is full"):
        get(mirror)
    monkeypatch.undo()


def test_a_hub_that_is_not_there() -> None:
    with serving() as mirror:
        pass
    with pytest.raises(SourceError, match="can't be reached") as caught:
        get(mirror)
    assert "--mirror" in caught.value.remedy


def test_an_unknown_name_has_the_nearest(mirror: Mirror) -> None:
    with pytest.raises(BadInputError, match="Did you mean 'tiny'"):
        get(mirror, name="tinny")
    assert mirror.asked == []


@pytest.mark.parametrize(
    "address", ["ftp://x.example", "x.example", "http://", "http://a b", "file:///etc", "http://x:99999"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(BadInputError, match="is no address of a hub"):
        Hub(address)


def test_no_account_is_told_and_none_is_noted(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret-token")
    hub = Hub(mirror.url.replace("http://", "http://user:word@"))
    assert hub.shown == mirror.url


def test_the_hubs_own_variable_names_the_mirror(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", mirror.url)
    monkeypatch.setenv("HF_TOKEN", "secret-token")
    folder, _ = get_model("tiny", Hub(), lambda _there, _of: None)
    assert_whole(mirror, folder)
    assert mirror.tokens == []


def test_two_at_once_is_one_too_many(mirror: Mirror) -> None:
    models_dir().mkdir(parents=True)
    with (models_dir() / ".tiny.lock").open("a+") as file:
        try_lock(file)
        with pytest.raises(AlreadyRunningError, match="another process"):
            get(mirror)
    assert_whole(mirror, get(mirror)[0])


def test_parts_of_an_older_revision_are_not_used(mirror: Mirror) -> None:
    mirror.faults["model.bin"] = Fault("cut", at=90_000)
    with pytest.raises(SourceError):
        get(mirror)
    mirror.faults.clear()
    mirror.files["model.bin"] = mirror.files["model.bin"][::-1]
    mirror.asked.clear()
    assert_whole(mirror, get(mirror)[0])
    assert mirror.bytes_asked("model.bin") == [""]


def test_a_run_that_died_in_its_last_step_is_finished(mirror: Mirror) -> None:
    folder, _ = get(mirror)
    folder.rename(models_dir() / ".tiny.part")
    shutil.copytree(models_dir() / ".tiny.part", models_dir() / ".tiny.old")
    mirror.asked.clear()
    assert_whole(mirror, get(mirror)[0])
    assert mirror.asked == [("listing", "")]


def test_a_folder_that_cant_be_written(mirror: Mirror) -> None:
    models_dir().parent.mkdir(parents=True)
    models_dir().write_text("a file where the folder should be")
    with pytest.raises(DeviceError, match="can't be written"):
        get(mirror)


def test_what_was_fetched_is_found(mirror: Mirror) -> None:
    folder, _ = get(mirror)
    assert find_model("tiny") == folder
    (model,) = installed()
    assert (model.name, model.repository, model.problem) == ("tiny", REPOSITORY, "")
    with (folder / "model.bin").open("r+b") as file:
        file.truncate(100)
    with pytest.raises(EngineError, match=r"model.bin in .* is 100 bytes long instead of 200,000") as caught:
        find_model("tiny")
    assert caught.value.remedy == "Fetch it again: vcam-talker models get tiny"


def test_large_files_are_read_in_blocks(mirror: Mirror) -> None:
    mirror.files = model_files(3_000_000)
    seen: list[int] = []
    get_model("tiny", Hub(mirror.url), lambda there, _of: seen.append(there))
    assert len(seen) > 10
