"""Find which product a viewer asks about, and what: the right fact of the right product, or none.

A product is meant when one of its names stands in the line as it is, give or take a typing error, and nothing
around it makes it another thing: `dark blue mug` and `blue mug lid` are no `blue mug`. Two products in one
line are nobody's question here. What is asked is matched with the name taken out (`how much is the`: price).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA

from vcam_talker.core.language import detect_language, is_wide
from vcam_talker.core.types import Question
from vcam_talker.llm.lines import FILLERS, LineMatcher, split_words
from vcam_talker.llm.product_asks import ASKS
from vcam_talker.persona import FactSection, Persona, ProductSection

_UNKNOWN: Final = (
    "[thoughtful] That is something I don't know about the {product}, and I'd rather not guess.",
    "[thoughtful] 关于{product}的这一点我还不清楚,就不乱说了。",
)
_MAX_CHARS: Final = 500
_LOOK_BACK: Final = 6
"""Exchanges of the room within which `it` may still be what the viewer asked about before."""
_CLAUSES: Final = re.compile(r"[,;!?…，。！？；、（）()\"“”\n]|[.:](?=\s|$)|：")
_TYPO_FROM_LETTERS: Final = 5
_PRONOUNS: Final = frozenset(("it", "its", "this", "that", "they", "them", "它", "这", "那", "个"))
_ARTICLES: Final = frozenset(("the", "a", "an", "your", "please", "so", "这", "款", "个", "那"))

_BEFORE: Final = FILLERS | frozenset(
    """price cost costs material size sizes colour color colours colors shipping weight stock discount return
    warranty refund about buy want need get order see show sell have has got like love from much also between
    买 想 要 看 看 于 给 绍 讲 说 卖 于 家 里 店 价 说 讲 对""".split()  # noqa: SIM905
)
"""What may stand before a name without changing what it names."""
_COUNTERS: Final = frozenset("款个只件条双种把台本")
_POINTERS: Final = frozenset("这那哪一两几此该每")
"""`这款蓝色杯子` is the blue mug, `新款蓝色杯子` is another."""
_AFTER: Final = FILLERS | frozenset(
    """come comes costs ships weigh weighs sold go goes be been work works last look looks from still if than
    because when where before after out up""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Fact:
    """What may be answered."""

    product: str
    """Its name in the viewer's language, as far as it has one."""
    options: tuple[str, ...]
    """Ways to say it."""
    follow_up: bool
    """The line itself named no product; an earlier one of the same viewer did."""


@dataclass(frozen=True, slots=True)
class _Mention:
    product: int
    clause: int
    start: int
    end: int
    """Words of the clause."""
    exact: bool


class ProductMatcher:
    """Knows the products of a persona. Immutable after construction, so thread-safe."""

    def __init__(self, persona: Persona) -> None:
        self._products = persona.products
        self._language = persona.language
        self._unknown = persona.unknown_fact or _UNKNOWN
        self._title = frozenset(split_words(persona.title))
        names = [
            (index, words)
            for index, product in enumerate(persona.products)
            for words in dict.fromkeys(split_words(name) for name in (product.name, *product.aliases))
            if words
        ]
        self._by_first_word: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
        for index, words in names:
            self._by_first_word.setdefault(words[0], []).append((index, words))
        self._name_words = frozenset(word for _, words in names for word in words)
        self._long_names = [w for w in self._name_words if len(w) >= _TYPO_FROM_LETTERS and w.isalpha()]
        self._kinds = tuple(ASKS)
        self._asks = LineMatcher(list(ASKS.values()), persona.title)
        self._own = {i: own for i, p in enumerate(persona.products) if (own := _OwnAsks.of(p, persona.title))}
        self._vocabulary = _AFTER.union(
            *(split_words(ask) for asks in ASKS.values() for ask in asks),
            *(split_words(a) for p in persona.products for f in p.facts for a in f.ask),
        )

    def answer(self, question: Question, language: str) -> Fact | None:
        """Return what is known of what is asked, in `language` where there is a choice.

        None when no product is meant, or none for certain, or nothing of it is asked. A product of which
        something is asked that no fact tells gives a Fact that says so. Pure; fast enough for an event loop.
        """
        if not self._products:
            return None
        clauses = _clauses(question.text)
        claims = self._claims(clauses)
        if len({c.product for c in claims}) > 1:
            return None
        mentions = [c for c in claims if self._stands_alone(clauses[c.clause], c)]
        if mentions:
            rests = [_without(words, mentions, clause) for clause, words in enumerate(clauses)]
            return self._fact(mentions[0].product, rests, language, follow_up=False)
        if claims or not question.user:
            return None
        words = {w for clause in clauses for w in clause}
        if _PRONOUNS.isdisjoint(words) or not self._vocabulary.issuperset(words - _PRONOUNS - self._title):
            return None  # "how much is that green mug" is not about what was asked before
        before = self._before(question)
        if before is None:
            return None
        rests = [[w for w in clause if w not in _PRONOUNS] for clause in clauses]
        return self._fact(before, rests, language, follow_up=True)

    def names_any(self, text: str) -> bool:
        """Tell whether a product's name stands in `text`, whatever stands beside it."""
        return bool(self._claims(_clauses(text)))

    def _before(self, question: Question) -> int | None:
        """Return the product that this viewer asked about last, a short while ago."""
        for exchange in reversed(question.history[-_LOOK_BACK:]):
            if exchange.user == question.user:
                found = {c.product for c in self._claims(_clauses(exchange.asked))}
                return found.pop() if len(found) == 1 else None
        return None

    def _fact(
        self, index: int, rests: Sequence[Sequence[str]], language: str, *, follow_up: bool
    ) -> Fact | None:
        product = self._products[index]
        kind = self._asked(index, rests)
        if kind is None:
            return None
        facts = [fact for fact in product.facts if fact.about == kind]
        if not facts and (kind == "about" or follow_up):
            return None
        options = self._in_language(facts, language) or self._unknown_in(language)
        return Fact(self._called(product, language), options, follow_up)

    def _asked(self, index: int, rests: Sequence[Sequence[str]]) -> str | None:
        """Return the kind of fact that one of the clauses, or all of them together, ask for."""
        whole = [word for rest in rests for word in rest]
        if _ARTICLES.issuperset(whole):
            return "about"
        own = self._own.get(index)
        best: tuple[float, str] | None = None
        for text in dict.fromkeys(" ".join(rest) for rest in (*rests, whole) if rest):
            if own and (match := own.matcher.best(text)) and (best is None or match.score >= best[0]):
                best = match.score, own.kinds[match.index]
            if (match := self._asks.best(text)) and (best is None or match.score > best[0]):
                best = match.score, self._kinds[match.index]
        return best[1] if best else None

    def _claims(self, clauses: Sequence[tuple[str, ...]]) -> list[_Mention]:
        """Return the names that stand there, each at its own words; the longer one wins."""
        found = [found for clause, words in enumerate(clauses) for found in self._places(clause, words)]
        found.sort(key=lambda m: (m.start - m.end, not m.exact))
        kept: list[_Mention] = []
        for mention in found:
            rivals = [
                k
                for k in kept
                if k.clause == mention.clause and k.start < mention.end and mention.start < k.end
            ]
            same_claim = [
                k
                for k in rivals
                if k.end - k.start == mention.end - mention.start and k.exact == mention.exact
            ]
            if not rivals or any(k.product != mention.product for k in same_claim):
                kept.append(mention)  # two names with an equal claim make the line nobody's
        return kept

    def _places(self, clause: int, words: Sequence[str]) -> Iterator[_Mention]:
        alike = {word: self._names_like(word) for word in set(words)}
        for start, word in enumerate(words):
            for index, name in (
                claim for first in alike[word] for claim in self._by_first_word.get(first, ())
            ):
                said = words[start : start + len(name)]
                if len(said) == len(name) and all(n in alike[w] for w, n in zip(said, name, strict=True)):
                    yield _Mention(index, clause, start, start + len(name), tuple(said) == name)

    def _names_like(self, word: str) -> frozenset[str]:
        """Return the words of names that `word` may be, give or take a plural or a typing error."""
        near = {word, f"{word}s", f"{word}es", word.removesuffix("s"), word.removesuffix("es")}
        found = near & self._name_words
        # Digits are no typing error: a 15 is no 16.
        if len(word) >= _TYPO_FROM_LETTERS and word.isalpha() and not is_wide(word[0]):
            typos = process.extract_iter(word, self._long_names, scorer=OSA.distance, score_cutoff=1)
            found |= {name for name, _, _ in typos}
        return frozenset(found)

    def _stands_alone(self, words: Sequence[str], mention: _Mention) -> bool:
        """Tell whether the words beside a name leave it the name of that product."""
        before = words[mention.start - 1] if mention.start else ""
        if before in _COUNTERS:
            pointer = words[mention.start - 2] if mention.start > 1 else ""
            if pointer and pointer not in _POINTERS:
                return False
        elif before and before not in _BEFORE and before not in self._title:
            return False
        after = words[mention.end] if mention.end < len(words) else ""
        return not after or after in self._vocabulary or after in self._title

    def _in_language(self, facts: Sequence[FactSection], language: str) -> tuple[str, ...]:
        for wanted in (language, self._language):
            said = [f.say for f in facts if _main(f.language or self._language) == _main(wanted)]
            if said:
                return tuple(said)
        return tuple(f.say for f in facts)

    def _unknown_in(self, language: str) -> tuple[str, ...]:
        own = [
            line for line in self._unknown if _main(detect_language(line, self._language)) == _main(language)
        ]
        return tuple(own) or self._unknown[:1]

    def _called(self, product: ProductSection, language: str) -> str:
        for name in (product.name, *product.aliases):
            if _main(detect_language(name, self._language)) == _main(language):
                return name
        return product.name


@dataclass(frozen=True, slots=True)
class _OwnAsks:
    """Ways to ask that one product adds."""

    kinds: tuple[str, ...]
    matcher: LineMatcher

    @classmethod
    def of(cls, product: ProductSection, title: str) -> _OwnAsks | None:
        asks: dict[str, list[str]] = {}
        for fact in product.facts:
            if fact.ask:
                asks.setdefault(fact.about, []).extend(ask.replace("{product}", " ") for ask in fact.ask)
        return cls(tuple(asks), LineMatcher(list(asks.values()), title)) if asks else None


def _clauses(text: str) -> list[tuple[str, ...]]:
    return [words for part in _CLAUSES.split(text[:_MAX_CHARS]) if (words := split_words(part))]


def _without(words: Sequence[str], mentions: Sequence[_Mention], clause: int) -> list[str]:
    return [
        word
        for i, word in enumerate(words)
        if not any(m.clause == clause and m.start <= i < m.end for m in mentions)
    ]


def _main(tag: str) -> str:
    return tag.partition("-")[0]
