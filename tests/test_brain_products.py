"""Product facts: the right fact of the right product, an honest "I don't know", or nothing."""

from pathlib import Path
from typing import Any

import pytest

from vcam_talker.config import BrainConfig
from vcam_talker.core.errors import DeclinedError, PersonaError
from vcam_talker.core.types import Exchange, Question
from vcam_talker.llm.product_asks import ASKS
from vcam_talker.llm.script import ScriptResponder
from vcam_talker.persona import FACT_KINDS, PERSONA_FILE, Persona, load_persona

pytestmark = pytest.mark.unit

SHOP = """
title = "Mira"
fallback = ["No idea."]
[fallback_by_language]
cmn = ["不知道。"]
[face]
kind = "testcard"
[voice]
engine = "flite"
name = "slt"

[[lines]]
match = ["how much is this", "how much is it", "what is the price"]
say = ["PRICES"]
[[lines]]
match = ["is the blue mug haunted"]
say = ["HAUNTED"]
[[lines]]
match = ["do you ship to my country", "shipping"]
say = ["SHIPPING"]
[[lines]]
match = ["多少钱"]
say = ["价格"]
language = "cmn"

[[products]]
name = "blue mug"
aliases = ["azure cup", "蓝色杯子", "蓝杯子"]
[[products.facts]]
about = "gift_box"
ask = ["does {product} come in a gift box", "can you wrap {product} as a gift", "有礼盒吗"]
say = "mug-gift"
[[products.facts]]
about = "price"
say = "mug-price"
[[products.facts]]
about = "price"
say = "杯子价格"
language = "cmn"
[[products.facts]]
about = "shipping"
say = "mug-shipping"
[[products.facts]]
about = "material"
say = "mug-material"
[[products.facts]]
about = "material"
say = "杯子材质"
language = "cmn"
[[products.facts]]
about = "about"
say = "mug-about"

[[products]]
name = "red mug"
aliases = ["红色杯子"]
facts = [{ about = "price", say = "red-price" }, { about = "stock", say = "red-stock" }]
[[products]]
name = "blue mug lid"
facts = [{ about = "price", say = "lid-price" }]
[[products]]
name = "Aurora lamp 15"
aliases = ["Aurora lamp"]
facts = [{ about = "price", say = "lamp-price" }, { about = "care", say = "lamp-care" }]
"""

ASKED = {
    "mug-price": [
        "how much is the blue mug",
        "how much does the blue mug cost?",
        "Blue mug price?",
        "price of the blue mug pls",
        "what's the price of the blue mug",
        "hey Mira, how much for the blue mug",
        "I love your show! How much is the azure cup?",
        "the blue mug, how much is it?",
        "is the blue mug expensive",
        "how much are the blue mugs",
        "HOW MUCH IS THE BLUE MUG???",
    ],
    "杯子价格": [
        "蓝色杯子多少钱",
        "请问蓝色杯子多少钱啊？",
        "这款蓝杯子怎么卖",
        "蓝色杯子的价格是多少",
        "我想买蓝色杯子，多少钱？",
    ],
    "red-price": ["how much is the red mug", "red mug price", "what does the red mug cost"],
    "lid-price": ["how much is the blue mug lid", "blue mug lid price"],
    "lamp-price": ["how much is the Aurora lamp", "how much is the aurorra lamp?", "Aurora lamp 15 price"],
    "mug-shipping": [
        "do you ship the blue mug to Norway",
        "how long does shipping take for the blue mug",
        "blue mug shipping?",
    ],
    "mug-material": ["what is the blue mug made of", "is the blue mug made of ceramic?", "blue mug material"],
    "杯子材质": ["蓝色杯子是什么材质的", "蓝色杯子是用什么做的"],
    "mug-about": ["blue mug?", "tell me about the blue mug", "what is the blue mug", "the blue mug please"],
    "mug-gift": [
        "does the blue mug come in a gift box?",
        "can you wrap the blue mug as a gift",
        "蓝色杯子有礼盒吗",
    ],
    "red-stock": ["is the red mug in stock", "do you still have the red mug", "are there any red mugs left"],
    "lamp-care": ["how do I clean the Aurora lamp", "can I wash the aurora lamp"],
    "HAUNTED": ["is the blue mug haunted"],
    "PRICES": ["how much is it", "what is the price"],
    "价格": ["多少钱"],
    "SHIPPING": ["do you ship to my country"],
}
UNKNOWN = [
    ("is the blue mug in stock", "blue mug"),
    ("how heavy is the red mug", "red mug"),
    ("what is the red mug made of", "red mug"),
    ("is there a warranty on the Aurora lamp", "Aurora lamp 15"),
    ("蓝色杯子有货吗", "蓝色杯子"),
    ("红色杯子包邮吗", "红色杯子"),
    ("does the Aurora lamp come in a larger size", "Aurora lamp 15"),
]
NOT_THE_PRODUCT = [
    "how much is the green mug",
    "how much is the dark blue mug",
    "how much is the navy blue mug",
    "how much is the blue mug holder",
    "how much is the mug",
    "how much is the blue plate",
    "how much is the Aurora lamp 16",
    "how much is the Aurora lamb 16",
    "how much is the Aurora table lamp",
    "绿色杯子多少钱",
    "深蓝色杯子多少钱",
    "新款蓝色杯子多少钱",
    "蓝色杯子套装多少钱",
    "杯子多少钱",
    "how much are the blue mug and the red mug",
    "is the blue mug cheaper than the red mug",
    "红色杯子和蓝色杯子多少钱",
]
NOT_A_QUESTION_FOR_FACTS = [
    "can the blue mug fly",
    "I broke my blue mug yesterday",
    "my cat hates the blue mug",
    "the blue mug is on the table behind you",
    "who is drinking out of the blue mug",
    "蓝色杯子会飞吗",
]
FACTS = [s for s in ASKED if s.startswith(("mug", "red", "lid", "lamp", "杯"))]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Persona:
    return make(tmp_path_factory.mktemp("shop"))


def make(directory: Path, text: str = SHOP) -> Persona:
    (directory / PERSONA_FILE).write_text(text, encoding="utf-8")
    return load_persona(str(directory))


async def say(persona: Persona, question: Question, **config: Any) -> str:
    responder = ScriptResponder(persona, BrainConfig(**config), seed=1)
    return "".join([d async for d in responder.respond(question)])


@pytest.mark.parametrize(("fact", "asked"), [(f, a) for f, all_ in ASKED.items() for a in all_])
async def test_the_right_fact_of_the_right_product(shop: Persona, fact: str, asked: str) -> None:
    assert await say(shop, Question(asked)) == fact


@pytest.mark.parametrize(("asked", "product"), UNKNOWN)
async def test_what_no_fact_tells_is_not_known(shop: Persona, asked: str, product: str) -> None:
    said = await say(shop, Question(asked), engines=("script", "openai"))
    assert product in said
    assert "don't know" in said or "不清楚" in said


@pytest.mark.parametrize("asked", NOT_THE_PRODUCT)
async def test_another_product_gets_no_fact(shop: Persona, asked: str) -> None:
    assert await say(shop, Question(asked)) in {"PRICES", "价格", "No idea.", "不知道。"}


@pytest.mark.parametrize("asked", NOT_A_QUESTION_FOR_FACTS)
async def test_what_asks_for_no_fact_is_passed_on(shop: Persona, asked: str) -> None:
    with pytest.raises(DeclinedError):
        await say(shop, Question(asked), engines=("script", "openai"))


class TestFollowUp:
    PAST = (Exchange("Ann", "what is the blue mug made of?", "mug-material"), Exchange("Bob", "hi", "Hello."))

    @pytest.mark.parametrize("asked", ["how much is it", "and how much does it cost?", "how much is this?"])
    async def test_it_is_what_this_viewer_asked_about(self, shop: Persona, asked: str) -> None:
        assert await say(shop, Question(asked, "Ann", history=self.PAST)) == "mug-price"

    async def test_another_viewer_means_something_else(self, shop: Persona) -> None:
        assert await say(shop, Question("how much is it", "Bob", history=self.PAST)) == "PRICES"
        assert await say(shop, Question("how much is it", "", history=self.PAST)) == "PRICES"

    async def test_another_thing_is_another_thing(self, shop: Persona) -> None:
        asked = Question("how much is that green mug", "Ann", history=self.PAST)
        assert await say(shop, asked) in {"PRICES", "No idea."}

    async def test_not_for_ever(self, shop: Persona) -> None:
        past = (*self.PAST, *(Exchange("Bob", "hi", "Hello.") for _ in range(8)))
        assert await say(shop, Question("how much is it", "Ann", history=past)) == "PRICES"


class TestFile:
    def test_every_known_kind_can_be_asked_for(self) -> None:
        assert tuple(ASKS) == FACT_KINDS

    async def test_the_persona_may_say_what_it_does_not_know_in_its_own_words(self, tmp_path: Path) -> None:
        own = make(tmp_path, 'unknown_fact = ["[sad] No clue about the {product}, {user}."]\n' + SHOP)
        said = await say(own, Question("how heavy is the red mug", "Ann"))
        assert said == "[sad] No clue about the red mug, Ann."

    @pytest.mark.parametrize(
        ("product", "message"),
        [
            ('name = "x"\nfacts = [{ about = "pricee", say = "y" }]', "did you mean price"),
            ('name = "x"\nfacts = [{ about = "smell", say = "y" }]', "needs `ask`"),
            ('name = "x"\nfacts = [{ about = "A b", say = "y", ask = ["z"] }]', "use up to 32 of a-z and _"),
            ('name = "Red  Mug"', "'red mug' names both 'red mug' and 'Red  Mug'"),
            ('name = "x"\nalias = ["y"]', "Did you mean 'aliases'"),
            ('name = "x"\nfacts = [{ about = "price", say = "[hapy] y" }]', r"did you mean \[happy\]"),
        ],
    )
    def test_a_mistake_is_explained(self, product: str, message: str, tmp_path: Path) -> None:
        with pytest.raises(PersonaError, match=message):
            make(tmp_path, SHOP + "[[products]]\n" + product)


async def test_hostile_lines_are_no_trouble(shop: Persona) -> None:
    for text in (
        "blue mug " * 5000,
        "蓝色杯子" * 5000,
        "{product}",
        "x" * 100_000,
        "",
        "?!",
        "\ud800 blue mug",
    ):
        assert await say(shop, Question(text, text))
