"""Language, voice and lips of a new persona are looked at before anything is drawn, and named when wrong."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from vcam_talker import registry
from vcam_talker.core.errors import BadInputError, PersonaError
from vcam_talker.core.types import VoiceInfo
from vcam_talker.face.neural.package import find_model
from vcam_talker.persona import Persona
from vcam_talker.persona_new import make
from vcam_talker.persona_new.make import Wish, new_persona
from vcam_talker.persona_new.options import check_language, check_lips, check_script, check_voice
from vcam_talker.persona_new.script import script

pytestmark = pytest.mark.unit

FLITE = tuple(VoiceInfo("flite", name, "en") for name in ("slt", "rms", "awb"))
ESPEAK = tuple(
    VoiceInfo("espeak-ng", name, name, variants=frozenset({"f2", "croak"}))
    for name in ("en-us", "de", "nl", "fr", "it", "ru", "cmn", "es", "sv")
)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put in engines of known voices; return which were closed again."""
    done: list[str] = []

    def engine(name: str, offered: Sequence[VoiceInfo]) -> type:
        class Engine:
            def voices(self) -> Sequence[VoiceInfo]:
                return offered

            def close(self) -> None:
                done.append(name)

        return Engine

    engines = {
        "flite": engine("flite", FLITE),
        "espeak-ng": engine("espeak-ng", ESPEAK),
        "tone": engine("tone", (VoiceInfo("tone", "beep", "mul"),)),
    }
    monkeypatch.setattr(registry, "find", lambda _kind, name: engines[name])
    return done


@pytest.mark.parametrize(
    ("language", "remedy"),
    [
        ("en_US", "Did you mean en-US?"),
        ("EN", "Did you mean en?"),
        ("De-at", "Did you mean de-at?"),
        ("english", "such as en"),
        ("", "such as en"),
        ("x\n" * 90, "such as en"),
    ],
)
def test_a_language_that_is_none(language: str, remedy: str) -> None:
    with pytest.raises(BadInputError) as error:
        check_language(language)
    assert error.value.what.startswith("--language")
    assert remedy in error.value.remedy


def test_languages() -> None:
    assert [check_language(tag) for tag in ("en", "de-AT", "zh", "zh-TW", "yue")] == [
        "en",
        "de-AT",
        "cmn",
        "cmn",
        "yue",
    ]


@pytest.mark.parametrize(
    ("voice", "language", "given"),
    [
        ("flite:rms", "en", True),
        ("flite:slt", "en-GB", False),
        ("espeak-ng:de+f2", "de", True),
        ("espeak-ng:de+12", "de", True),
        ("espeak-ng:zh+croak", "cmn", True),
        ("espeak-ng:de-AT", "de-AT", False),
        ("espeak-ng:de-AT", "de-AT", True),
        ("espeak-ng:zh", "cmn", False),
        ("espeak-ng:nl", "de", True),
        ("espeak-ng:nl", "tlh", True),
        ("tone:beep", "tlh", True),
    ],
)
def test_voices_that_are_there(closed: list[str], voice: str, language: str, given: bool) -> None:
    engine, _, name = voice.partition(":")
    assert check_voice((engine, name), language, given=given) == ()
    assert closed == [engine]


@pytest.mark.parametrize(
    ("voice", "language", "given", "told"),
    [
        ("flite:nosuch", "en", True, "--voice flite:nosuch: flite has no such voice. There are: flite:slt"),
        ("flite:sl", "en", True, "Did you mean flite:slt?"),
        ("flite:slt", "de", True, "--voice flite:slt: does not speak 'de'. Leave it out"),
        ("espeak-ng:DE", "de", True, "Did you mean espeak-ng:de?"),
        ("espeak-ng:German", "de", True, "named by their languages, such as espeak-ng:de"),
        ("espeak-ng:ru", "de", True, "does not speak 'de'"),
        ("espeak-ng:tlh", "tlh", False, "--language tlh: no voice of espeak-ng speaks it"),
        ("espeak-ng:de+nosuch", "de", True, "no such variant. espeak-ng --voices=variant lists"),
        ("espeak-ng:de+croack", "de", True, "Did you mean espeak-ng:de+croak?"),
        ("espeak-ng:de+", "de", True, "no such variant"),
        ("flite:slt+f2", "en", True, "Did you mean flite:slt?"),
        ("tone:boop", "en", True, "There are: tone:beep"),
    ],
)
def test_voices_that_are_not(closed: list[str], voice: str, language: str, given: bool, told: str) -> None:
    engine, _, name = voice.partition(":")
    with pytest.raises(BadInputError) as error:
        check_voice((engine, name), language, given=given)
    assert told in str(error.value)
    assert closed == [engine]


def test_of_an_engine_that_is_not_installed_nothing_is_known(
    closed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = type("Missing", (), {"voices": lambda _: (), "close": lambda _: closed.append("missing")})
    monkeypatch.setattr(registry, "find", lambda _kind, _name: missing)
    (notice,) = check_voice(("flite", "whoever"), "en", given=True)
    assert "flite is not installed here" in notice
    assert closed == ["missing"]


def test_a_folder_of_lips_is_relative_to_where_it_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = find_model("lips", tmp_path)
    shutil.copytree(shipped, tmp_path / "pruned" / "model")
    monkeypatch.chdir(tmp_path)
    assert check_lips("./pruned/model") == str(tmp_path / "pruned" / "model")
    monkeypatch.chdir(tmp_path / "pruned")
    assert check_lips("../pruned/model") == str(tmp_path / "pruned" / "model")
    assert [check_lips(name) for name in ("", "shapes", "lips")] == ["", "shapes", "lips"]


def test_lips_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(find_model("lips", tmp_path), tmp_path / "damaged")
    spec = json.loads((tmp_path / "damaged" / "model.json").read_text())
    with (tmp_path / "damaged" / spec["parts"]["mouth"]["file"]).open("ab") as file:
        file.write(b"x")
    for lips, told in (
        ("nosuch", "no such model. There are: "),
        ("damaged", "For the folder here, write ./damaged"),
        ("./damaged", "is not the file that model.json tells of"),
        ("./nosuch", "is no model"),
    ):
        with pytest.raises(BadInputError) as error:
            check_lips(lips)
        assert error.value.what == f"--lips {lips}"
        assert told in str(error.value)


def test_a_script_that_would_be_refused_names_the_option() -> None:
    for lips, voice, option in (
        ("x" * 5000, "slt", "--lips"),
        ("", "x" * 101, "--voice"),
        ("./a\ud800", "slt", "--voice or --lips"),
    ):
        with pytest.raises(BadInputError) as error:
            check_script(script("ada", ("flite", voice), "en", lips, "a clip"))
        assert error.value.what == option


def test_names_with_odd_letters_stay_whole() -> None:
    odd = './it "s"\\ \u00a0\u3000\x7f\x01\t\U000e0001 \U0001f600 é'
    text = script("ada", ("flite", "slt"), "en", odd, "a clip")
    assert Persona(**tomllib.loads(text)).face.lips == odd
    check_script(text)


@pytest.mark.parametrize(
    ("wish", "option"),
    [
        ({"language": "en_US"}, "--language"),
        ({"voice": "flite:nosuch"}, "--voice"),
        ({"voice": "slt"}, "--voice"),
        ({"lips": "./nosuch"}, "--lips"),
        ({"name": "kofi"}, "'kofi'"),
    ],
)
@pytest.mark.usefixtures("closed")
def test_nothing_is_drawn_before_all_is_known(tmp_path: Path, wish: dict[str, str], option: str) -> None:
    # The picture is not there either: whoever looks at it first says so.
    asked = Wish(**{"name": "ada", "source": tmp_path / "none.jpg", "is_clip": False} | wish)  # type: ignore[arg-type]
    with pytest.raises(BadInputError) as error:
        new_persona(asked, lambda _: pytest.fail("something was drawn"))
    assert error.value.what.startswith(option)
    assert not (tmp_path / "config").exists()


@pytest.mark.usefixtures("closed")
def test_what_the_daemon_refuses_is_told_without_the_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(persona: Persona, *_: int) -> None:
        raise PersonaError(str(persona.root / "face.npz"), "is odd", "Make it anew")

    def draw(_wish: Wish, work: make._Work, _say: object) -> None:
        for name in ("face.npz", "life.mp4"):
            (work.folder / name).touch()

    monkeypatch.setattr(make, "ClipScene", refuse)
    monkeypatch.setattr(make, "_of_photo", draw)
    with pytest.raises(BadInputError) as error:
        new_persona(Wish("ada", Path("me.jpg"), False), print)
    assert str(error.value).startswith("me.jpg: can't be made a persona of: face.npz is odd")
    assert str(tmp_path) not in str(error.value)
    assert not list((tmp_path / "config" / "vcam-talker" / "personas").iterdir())
