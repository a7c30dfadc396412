"""Persona files: the built-in ones are without fault, and a mistake is explained in plain words."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from vcam_talker.core.errors import PersonaError
from vcam_talker.core.language import detect_language
from vcam_talker.core.paths import builtin_dir
from vcam_talker.core.stages import Cancelled, Synthesizer
from vcam_talker.core.text import parse_emotion_tags, unknown_emotion
from vcam_talker.core.types import Sentence, Speech, VoiceInfo, VoiceSpec
from vcam_talker.persona import PERSONA_FILE, Persona, load_persona
from vcam_talker.tts.casting import Casting
from vcam_talker.tts.sentences import MAX_LETTERS, letters_in
from vcam_talker.tts.tone import ToneSynthesizer

pytestmark = pytest.mark.unit

BUILT_IN = sorted(file.parent.name for file in builtin_dir("personas").glob(f"*/{PERSONA_FILE}"))


class Listed:
    """An engine that offers voices and speaks none."""

    def __init__(self, name: str, **voices: str) -> None:
        self.name = name
        self._voices = [
            VoiceInfo(name, voice, language, variants=None if name == "espeak-ng" else frozenset())
            for voice, language in voices.items()
        ]

    def voices(self) -> Sequence[VoiceInfo]:
        return self._voices

    def synthesize(self, sentence: Sentence, spec: VoiceSpec, cancelled: Cancelled) -> Iterator[Speech]:
        raise NotImplementedError

    def close(self) -> None:
        pass


ENGINES: dict[str, Synthesizer] = {
    "flite": Listed("flite", slt="en", rms="en"),
    "espeak-ng": Listed("espeak-ng", en="en", de="de", cmn="cmn", yue="yue"),
    "tone": ToneSynthesizer(),
}


def write(
    directory: Path, *, head: str = "", voice: str = 'engine = "flite"\nname = "slt"', tail: str = ""
) -> str:
    fallback = "" if "fallback" in head else 'fallback = ["Hm."]\n'
    text = f'title = "T"\n{fallback}{head}\n[face]\nkind = "testcard"\n[voice]\n{voice}\n{tail}\n'
    (directory / PERSONA_FILE).write_text(text)
    return str(directory)


class TestBuiltIn:
    @pytest.mark.parametrize("name", BUILT_IN)
    def test_loads_and_casts_without_a_warning(self, name: str) -> None:
        persona = load_persona(str(builtin_dir("personas") / name))
        casting = Casting(ENGINES, persona, "auto")
        for language in (persona.language, *persona.voices, *(line.language or "" for line in persona.lines)):
            assert casting.specs(language or persona.language)
        assert casting.warnings == ()

    @pytest.mark.parametrize("name", BUILT_IN)
    def test_no_tag_is_mistyped_anywhere_in_a_line(self, name: str) -> None:
        persona = load_persona(str(builtin_dir("personas") / name))
        for line in spoken(persona):
            assert "[" not in parse_emotion_tags(line)[1]

    def test_the_presenter_has_much_to_say_to_a_quiet_room(self) -> None:
        quiet = load_persona("mira").quiet
        assert len(quiet) >= 24
        assert len(set(quiet)) == len(quiet)
        assert {detect_language(line, "en") for line in quiet} == {"en", "cmn"}
        for line in quiet:
            assert "{" not in line, "nobody in particular is spoken to"
            assert letters_in(parse_emotion_tags(line)[1]) <= MAX_LETTERS

    def test_the_example_of_products_is_right(self, tmp_path: Path) -> None:
        text = (builtin_dir("personas") / "mira" / PERSONA_FILE).read_text(encoding="utf-8")
        block = text.split("# a shop's own persona would write:\n")[1].split("# And at the top")[0]
        block = "\n".join(line.removeprefix("#").removeprefix(" ") for line in block.splitlines())
        (product,) = load_persona(write(tmp_path, tail=block)).products
        assert product.name == "blue mug"
        assert [fact.about for fact in product.facts] == ["price", "price", "gift_box"]

    def test_the_test_card_beeps_in_every_language(self) -> None:
        casting = Casting(ENGINES, load_persona(str(builtin_dir("personas") / "testcard")), "auto")
        assert [casting.specs(tag)[0].engine for tag in ("en", "cmn", "ru")] == ["tone"] * 3
        assert casting.warnings == ()


def spoken(persona: Persona) -> list[str]:
    lines = [*persona.greeting, *persona.fallback]
    lines += [line for options in persona.fallback_by_language.values() for line in options]
    lines += [*persona.quiet, *persona.unknown_fact]
    lines += [fact.say for product in persona.products for fact in product.facts]
    return lines + [line for section in persona.lines for line in section.say]


class TestLanguages:
    @pytest.mark.parametrize("tag", ["zh", "zh-CN", "zh-TW", "zh-Hans"])
    def test_zh_is_mandarin(self, tag: str, tmp_path: Path) -> None:
        own = load_persona(
            write(tmp_path, head=f'language = "{tag}"', voice='engine = "espeak-ng"\nname = "zh+f3"')
        )
        assert own.language == "cmn"
        casting = Casting(ENGINES, own, "auto")
        assert [(s.engine, s.voice, s.language) for s in casting.specs(tag)] == [
            ("espeak-ng", "cmn+f3", "cmn")
        ]
        assert casting.warnings == ()

    def test_zh_is_mandarin_in_voices_lines_and_fallbacks(self, tmp_path: Path) -> None:
        tail = (
            '[voices.zh]\nengine = "espeak-ng"\nname = "zh-CN"\n'
            '[fallback_by_language]\nzh = ["嗯"]\n'
            '[[lines]]\nmatch = ["你好"]\nsay = ["你好"]\nlanguage = "zh"'
        )
        persona = load_persona(write(tmp_path, tail=tail))
        assert list(persona.voices) == list(persona.fallback_by_language) == ["cmn"]
        assert persona.lines[0].language == "cmn"
        assert persona.voice_for("zh-TW").voice == "cmn"

    def test_cantonese_stays(self, tmp_path: Path) -> None:
        assert load_persona(write(tmp_path, head='language = "yue"')).language == "yue"

    def test_one_language_under_two_names_is_an_error(self, tmp_path: Path) -> None:
        voice = 'engine = "espeak-ng"\nname = "cmn"'
        tail = f"[voices.zh]\n{voice}\n[voices.cmn]\n{voice}"
        with pytest.raises(PersonaError, match="'zh' and 'cmn' are one language"):
            load_persona(write(tmp_path, tail=tail))

    @pytest.mark.parametrize("tag", ["English", "", "e", "en_US", "en\n"])
    def test_a_wrong_tag_is_explained_without_a_pattern(self, tag: str, tmp_path: Path) -> None:
        with pytest.raises(PersonaError, match="such as en, de, cmn") as caught:
            load_persona(write(tmp_path, head=f"language = {tag!r}".replace("'", '"')))
        assert "pattern" not in str(caught.value)
        assert "language" in str(caught.value)


class TestTags:
    @pytest.mark.parametrize(
        "head",
        [
            'greeting = ["[hapy] Hello"]',
            'fallback = ["[hapy] Hello"]',
            '[fallback_by_language]\nde = ["[hapy] Hallo"]',
            '[[lines]]\nmatch = ["hi"]\nsay = ["Hello", "[hapy] Hello"]',
            'quiet = ["[hapy] Hello"]',
            'unknown_fact = ["[hapy] Hello"]',
            '[[products]]\nname = "x"\nfacts = [{ about = "price", say = "[hapy] Hello" }]',
        ],
    )
    def test_a_mistyped_emotion_is_an_error_with_a_suggestion(self, head: str, tmp_path: Path) -> None:
        where = "tail" if head.startswith("[") else "head"
        with pytest.raises(PersonaError, match=r"\[hapy\] is no emotion.*did you mean \[happy\]"):
            load_persona(write(tmp_path, **{where: head}))

    def test_one_that_resembles_none_gets_the_list(self, tmp_path: Path) -> None:
        with pytest.raises(PersonaError, match=r"\[zebra\] is no emotion.*neutral, happy, sad"):
            load_persona(write(tmp_path, head='greeting = ["[zebra] Hello"]'))

    def test_one_that_is_nested_without_end_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(PersonaError, match="nested too deeply"):
            load_persona(write(tmp_path, head=f"greeting = {'[' * 5000}"))

    @pytest.mark.parametrize(
        "line", ["[happy] Hi", "[Happy] Hi", "Hi [there]", "[two words] Hi", "[42] Hi", "Hi"]
    )
    def test_other_lines_are_left_alone(self, line: str, tmp_path: Path) -> None:
        assert load_persona(write(tmp_path, head=f'greeting = ["{line}"]')).greeting == (line,)

    def test_what_resembles_nothing_has_no_suggestion(self) -> None:
        assert unknown_emotion("[zebra] x") == ("zebra", None)
        assert unknown_emotion("x [hapy]") == ("", None)
