"""The built-in presenters' scripts: each answers everyday questions in both languages."""

from functools import cache
from pathlib import Path

import pytest

from tests.support.viewers import EVERYDAY, NEGATED, STRANGERS
from vcam_talker.config import BrainConfig
from vcam_talker.core.language import detect_language, script_of
from vcam_talker.core.paths import builtin_dir
from vcam_talker.core.text import clean_text, parse_emotion_tags, unknown_emotion
from vcam_talker.core.types import Question
from vcam_talker.llm.lines import Match
from vcam_talker.llm.phrases import Phrases
from vcam_talker.llm.script import ScriptResponder
from vcam_talker.persona import PERSONA_FILE, LineSection, Persona, load_persona
from vcam_talker.tts.mandarin import to_runs
from vcam_talker.tts.sentences import MAX_LETTERS, letters_in

pytestmark = pytest.mark.unit

PRESENTERS = ("elena", "kofi", "lumi", "mira")
PICTURED = ("elena", "kofi", "lumi")
MAX_ANSWER_CHARS = 200
"""A viewer asked a small question: about twelve seconds of talk at most."""

# A way to ask that stands in the file -> ways that don't.
ASKED_OF_PICTURES = {
    "how were you made": ["who made u", "what r u made of"],
    "can you see me": ["can you see me right now?", "can you actually hear me"],
    "do you speak Chinese": ["can you speak chinese?", "what languages do you speak"],
    "I want to die": ["i just want to die", "i wanna die", "I don't want to live anymore"],
    "what is your favourite colour": ["what's your favorite color?"],
    "do you eat": ["do u sleep", "what's your favourite food?"],
    "will you marry me": ["marry me!", "are you single?"],
    "can I have your number": ["can i get your phone number"],
    "你是怎么做出来的": ["你怎么做出来的呀"],
    "你能看到我吗": ["你看得到我吗", "能听见我说话吗"],
    "你会说中文吗": ["你会讲中文吗", "会说英语吗"],
    "你有男朋友吗": ["你有没有男朋友"],
    "质量怎么样": ["这个质量怎么样啊"],
    "你真无聊": ["真无聊啊你", "你太无聊了"],
    "我想去死": ["我真的想死", "我想死", "不想活了"],
    "你真棒": ["主播真棒"],
    "怎么这么慢": ["怎么那么慢啊"],
}
THEMES = {
    "elena": {
        "recommend a book": ["can you recommend a book?", "what should i read next"],
        "can I practise English with you": ["can i practice English here?", "help me with my English"],
        "ask me a question": ["ask me anything", "i'm so bored"],
        "tell me a story": ["can you tell me a story please", "tell us a bedtime story"],
        "I can not sleep": ["i can't sleep", "can't sleep again"],
        "I like your room": ["i really love your room", "what a nice room", "what's outside your window?"],
        "推荐一本书": ["推荐一本好书吧", "有没有好书推荐"],
        "我想练英语": ["想练习英语", "我想学好英语"],
        "讲个故事": ["讲个故事吧", "给我讲一个故事"],
        "我睡不着": ["今晚睡不着", "又失眠了"],
        "问我一个问题": ["你问我一个问题吧"],
    },
    "kofi": {
        "I need a gift for someone": ["i need a gift for my dad", "good present for my sister?"],
        "do you gift wrap": ["can you gift wrap it?"],
        "can I talk to a human": ["let me talk to a human", "i want to talk to customer service"],
        "is this a scam": ["isn't this a scam", "is this site legit?", "can i trust this shop?"],
        "I am just looking": ["just looking thanks", "i'm only looking"],
        "nice tie": ["what a nice tie", "i really like that tie"],
        "what is in the boxes": ["what's in those boxes behind you?"],
        "送什么礼物好": ["我要送礼物", "送女朋友什么礼物好"],
        "转人工": ["转人工客服", "我要人工客服"],
        "是不是骗子": ["你们是骗子吗", "这店靠谱吗"],
        "我就随便看看": ["随便看看", "只是看一看"],
    },
    "lumi": {
        "what games do you like": ["what game do you like most", "which games do you like?"],
        "can you play with me": ["wanna play with me?", "do you play games"],
        "I keep losing": ["I lost", "i died", "we lost"],
        "I won": ["I won!!", "i won the game", "gg!"],
        "roll a dice": ["roll the dice for me", "can you roll a dice?"],
        "are you an elf": ["what kind of creature r u?", "why r u blue"],
        "who are your plushies": ["i really like the plushies", "what's the bunny's name"],
        "give me a challenge": ["give us a challenge", "dare me: truth or dare"],
        "我输了": ["我又输了", "又输了"],
        "我赢了": ["我赢啦", "我们赢啦"],
        "掷个骰子": ["帮我掷个骰子", "掷一下骰子"],
        "你会打游戏吗": ["会不会打游戏"],
        "你为什么是蓝色的": ["为什么你是蓝色的呀"],
    },
}  # fmt: skip
HUMAN_CLAIMS = (
    "i am human", "i'm human", "i am a human", "i'm a human", "i am real", "i'm real", "i am a real person",
    "i'm a real person", "i am a person", "i'm a person", "我是真人", "我是人类",
)  # fmt: skip


@cache
def presenter(name: str) -> Persona:
    return load_persona(str(builtin_dir("personas") / name))


@cache
def responder(name: str) -> ScriptResponder:
    return ScriptResponder(presenter(name), BrainConfig(), seed=1)


def answer_to(name: str, asked: str) -> LineSection | None:
    """Return the line that a viewer who asks this hears: of his own language first, as on air."""
    persona = presenter(name)
    match: Match | None = responder(name)._line(asked, detect_language(asked, persona.language))
    return None if match is None else persona.lines[match.index]


def line_with(name: str, known: str) -> LineSection:
    return next(line for line in presenter(name).lines if known in line.match)


def spoken(persona: Persona) -> list[str]:
    lines = [*persona.greeting, *persona.fallback, *persona.quiet]
    lines += [line for options in persona.fallback_by_language.values() for line in options]
    return lines + [line for section in persona.lines for line in section.say]


def cases(names: tuple[str, ...], table: dict[str, list[str]]) -> list[tuple[str, str, str]]:
    return [(name, known, asked) for name in names for known, all_ in table.items() for asked in all_]


class TestRetrieval:
    @pytest.mark.parametrize("name", PRESENTERS)
    def test_every_way_to_ask_gets_its_own_line(self, name: str) -> None:
        asked = [(way, line) for line in presenter(name).lines for way in line.match]
        missed = [way for way, line in asked if answer_to(name, f"{way.upper()}?") is not line]
        assert missed == []

    @pytest.mark.parametrize(
        ("name", "known", "asked"),
        [
            *cases(PRESENTERS, EVERYDAY),
            *cases(PICTURED, ASKED_OF_PICTURES),
            *(case for name, table in THEMES.items() for case in cases((name,), table)),
        ],
    )
    def test_another_way_to_ask_gets_the_same_line(self, name: str, known: str, asked: str) -> None:
        line = answer_to(name, asked)
        assert line is not None
        assert known in line.match, f"heard as '{line.match[0]}'"
        assert not any(asked in line.match for line in presenter(name).lines), "that one isn't unseen"

    @pytest.mark.parametrize("name", PRESENTERS)
    @pytest.mark.parametrize("asked", [*STRANGERS, *NEGATED])
    def test_what_nobody_wrote_an_answer_to_gets_none(self, name: str, asked: str) -> None:
        line = answer_to(name, asked)
        assert line is None, f"'{asked}' heard as '{line.match[0]}'"

    @pytest.mark.parametrize("name", PRESENTERS)
    async def test_the_answer_is_in_the_language_of_the_question(self, name: str) -> None:
        for known in (*EVERYDAY, *(ASKED_OF_PICTURES if name in PICTURED else ())):
            said = "".join([d async for d in responder(name).respond(Question(known))])
            assert detect_language(said, "en") == detect_language(known, "en")


class TestWhatIsSaid:
    @pytest.mark.parametrize("name", PRESENTERS)
    def test_every_line_can_be_spoken(self, name: str) -> None:
        for line in spoken(presenter(name)):
            assert unknown_emotion(line) == ("", None)
            text = parse_emotion_tags(line)[1]
            assert "[" not in text
            assert clean_text(text, 500).notes == ()
            if detect_language(text, "en") == "cmn":
                assert any(not run.latin for run in to_runs(text))
            else:
                assert all(script_of(c) in {"", "Latn"} for c in text), "one voice speaks it"

    @pytest.mark.parametrize("name", PICTURED)
    def test_no_answer_is_a_speech(self, name: str) -> None:
        for line in spoken(presenter(name)):
            assert letters_in(parse_emotion_tags(line)[1]) <= MAX_ANSWER_CHARS, line

    @pytest.mark.parametrize("name", PRESENTERS)
    def test_there_is_much_to_say_to_a_quiet_room(self, name: str) -> None:
        quiet = presenter(name).quiet
        assert len(set(quiet)) == len(quiet) >= 26
        languages = [detect_language(line, "en") for line in quiet]
        assert 4 <= languages.count("cmn") <= 8
        for line in quiet:
            assert "{" not in line, "nobody in particular is spoken to"
            assert letters_in(parse_emotion_tags(line)[1]) <= MAX_LETTERS

    @pytest.mark.parametrize("name", PRESENTERS)
    def test_greets_and_is_lost_in_several_ways(self, name: str) -> None:
        persona = presenter(name)
        assert len(set(persona.greeting)) >= 3
        assert len(set(persona.fallback)) >= 3
        assert len(set(persona.fallback_by_language["cmn"])) >= 2

    @pytest.mark.parametrize("name", PRESENTERS)
    def test_names_go_in_and_stay_out_cleanly(self, name: str) -> None:
        phrases = Phrases(presenter(name), seed=1)
        for line in (line for section in presenter(name).lines for line in section.say):
            assert phrases.say([line], "Ann").count("Ann") == line.count("{user}")
            said = phrases.say([line], "")
            assert not any(trace in said for trace in ("{", " !", " ?", ",!", ",,", "，，", "，！", "，。"))

    @pytest.mark.parametrize("name", PRESENTERS)
    def test_nobody_claims_to_be_human(self, name: str) -> None:
        for line in spoken(presenter(name)):
            text = parse_emotion_tags(line)[1].casefold().replace("’", "'")
            assert not any(claim in text for claim in HUMAN_CLAIMS), line

    @pytest.mark.parametrize("name", PICTURED)
    @pytest.mark.parametrize(
        ("asked", "honest"),
        [
            ("are you real?", ("not a person", "artificial", "computer-made")),
            ("are you a robot", ("not a person", "artificial", "computer-made")),
            ("how were you made?", ("rendered",)),
            ("你是真人吗", ("不是真人",)),
            ("你是怎么做出来的", ("渲染",)),
        ],
    )
    def test_says_what_it_is_when_asked(self, name: str, asked: str, honest: tuple[str, ...]) -> None:
        line = answer_to(name, asked)
        assert line is not None
        for said in line.say:
            text = parse_emotion_tags(said)[1].casefold()
            assert any(word in text for word in honest), said
            assert not text.startswith(("no,", "no.", "nope", "yes", "不是，", "是的")), (
                "one line answers 'human?' and 'AI?'"
            )

    def test_no_two_presenters_share_a_sentence(self) -> None:
        owner: dict[str, str] = {}
        for name in PRESENTERS:
            for line in set(spoken(presenter(name))):
                text = parse_emotion_tags(line)[1].casefold()
                assert owner.setdefault(text, name) == name, text

    def test_no_two_presenters_sound_alike(self) -> None:
        for language in ("en", "cmn"):
            voices = [presenter(name).voice_for(language) for name in PRESENTERS]
            assert len({(v.engine, v.voice, v.rate, v.pitch_semitones) for v in voices}) == len(voices)


class TestSamples:
    def test_the_shops_host_sells_nothing_as_he_comes(self) -> None:
        assert presenter("kofi").products == ()

    async def test_his_sample_products_work_once_uncommented(self, tmp_path: Path) -> None:
        kofi = presenter("kofi")
        for asset in kofi.face.files:
            (tmp_path / asset).touch()
        text = (kofi.root / PERSONA_FILE).read_text(encoding="utf-8")
        start = text.index("# [[products]]")
        end = text.index("\n\n", start)
        block = "\n".join(line.removeprefix("#").removeprefix(" ") for line in text[start:end].splitlines())
        (tmp_path / PERSONA_FILE).write_text(text[:start] + block + text[end:], encoding="utf-8")
        shop = load_persona(str(tmp_path))
        assert all("sample" in product.name for product in shop.products)
        script = ScriptResponder(shop, BrainConfig(), seed=1)
        for asked, said in (
            ("how much is the white vase?", "thirty-four"),
            ("白色花瓶多少钱", "三十四"),
            ("can I put water in the white vase?", "glazed"),
            ("how much is the gift box?", "twelve"),
            ("is the gift box in stock", "shop page"),
            ("how heavy is the white vase", "don't know"),
        ):
            assert said in "".join([d async for d in script.respond(Question(asked))])
