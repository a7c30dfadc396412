"""Match a viewer's line against the ways to ask that a persona knows, in any script.

Two views of a pair are blended. The order of characters (rapidfuzz's normalised indel similarity) forgives
typing errors and tells a whole question from a lucky word. The overlap of words, weighted by how rare a word
is among all the persona's questions (inverse document frequency), lets `so, what's your name then?` meet
`what is your name` and keeps `what` and `吗` from deciding anything. Han, kana and Hangul are compared
character by character. Two things overrule likeness: a negation (`you are not stupid` is not `you are
stupid`), and whom a line is about (`I hate waiting` is not `I hate you`).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rapidfuzz import fuzz, process

from vcam_talker.core.language import is_wide

THRESHOLD: Final = 60.0
"""0 .. 100. Tuned on the built-in persona: paraphrases score 60.5 and more, strangers 58 and less."""

_MAX_CHARS: Final = 300
"""Of the viewer's line that are compared; a question stands at its beginning or its end."""
_ONE_WORD_THRESHOLD: Final = 85.0
"""A single word says little: it has to be a question of its own, give or take a typing error."""
_SAME_WORD: Final = 84.0
"""Similarity from which two words are taken for one with a typing error."""
_TYPO_FROM_LETTERS: Final = 4
"""Shorter words have to be right."""
_FILLER_WEIGHT: Final = 0.15
_RECALL_WEIGHT: Final = 0.65
"""What matters more: that the known question is contained in the line, rather than nothing else is."""
_FILLER_RECALL_WEIGHT: Final = 0.2
_FILLER_PENALTY: Final = 0.7
_NOT_ABOUT_YOU_PENALTY: Final = 0.7
_NEGATION_REACH: Final = 3
"""Words behind a `not` that it may negate."""

FILLERS: Final = frozenset(
    """a an the is are am was be do does did will would can could should to of in on at it its this that there
    please hey hi hello so well um uh just now then really very ok and or but with for your you me my i we
    us tell today what any some know think
    的 了 吗 呢 啊 呀 吧 请 问 你 我 他 她 是 有 在 这 那 个 就 都 也 很 们 一 下 可 以 能
    好 今 天 怎 么 样 什 哪 主 播 不 没""".split()  # noqa: SIM905
)
"""Words that decide nothing by themselves."""
_NEGATIONS: Final = frozenset(("not", "no", "never", "without", "不", "没", "别"))
_YOU: Final = frozenset(("you", "your", "yours", "yourself"))
_ASIDES: Final = FILLERS | {"good", "nice", "more"}
"""Words that do not change what a line is about."""
_VOCATIVES: Final = frozenset(("there", "everyone", "everybody", "guys", "folks", "friends", "all"))
"""Whom a line speaks to says nothing about what it asks."""
_CONTRACTIONS: Final = (
    (re.compile(r"\b(what|who|how|where|when|that|it|there|here)'?s\b"), r"\1 is"),
    (re.compile(r"\bi'?m\b"), "i am"),
    (re.compile(r"\byou'?re\b"), "you are"),
    (re.compile(r"\bcan'?t\b"), "can not"),
    (re.compile(r"\bdont\b"), "do not"),
    (re.compile(r"n't\b"), " not"),
    # "Don't you have ...?", "no, ...", `会不会`, `不能...吗` and a last `不` ask without a negation.
    (
        re.compile(r"\b(is|are|do|does|did|can|could|will|would|should) not (you|we|i|there|this|that|it)\b"),
        r"\1 \2",
    ),
    (re.compile(r"^\s*no\s*[,.!]"), " "),
    (re.compile(r"(\w)[不没]\1"), r"\1"),
    (re.compile(r"[不没](?=(能|可以|会|是|有).*吗)"), ""),
    (re.compile("主播"), " "),
    (re.compile(r"\bgotta\b"), "have to"),
    (re.compile(r"\b(thx|ty|tysm)\b"), "thanks"),
    (re.compile(r"\bpl[sz]\b"), "please"),
    (re.compile(r"\bur\b"), "your"),
    (re.compile(r"\br u\b"), "are you"),
    (re.compile(r"\bu\b"), "you"),
)


@dataclass(frozen=True, slots=True)
class Match:
    """The best way to ask."""

    index: int
    """Into the questions that were given, first level."""
    score: float


@dataclass(frozen=True, slots=True)
class _Words:
    """A line or a question, prepared for comparison."""

    words: tuple[str, ...]
    distinct: frozenset[str]
    meant: frozenset[str]
    """Words that a negation can turn round."""
    negated: frozenset[str]
    """Those in reach of one."""
    filler: bool
    """Nothing in it decides anything."""

    @classmethod
    def of(cls, words: tuple[str, ...]) -> _Words:
        negated = _negated(words)
        return cls(words, frozenset(words), _meant(words), negated, FILLERS.issuperset(words))


class LineMatcher:
    """Knows groups of questions; immutable after construction, so thread-safe."""

    def __init__(self, groups: Sequence[Sequence[str]], name: str = "") -> None:
        """`name` is the one who is asked; it carries no meaning either."""
        self._ignored = _VOCATIVES.union(split_words(name))
        questions = [(i, self._normalise(q)) for i, group in enumerate(groups) for q in group]
        self._questions = [(i, _Words.of(q)) for i, q in questions if q]
        documents: Counter[str] = Counter()
        for _, question in self._questions:
            documents.update(question.distinct)
        count = len(self._questions)
        self._weights = {w: 1 + math.log((1 + count) / (1 + n)) for w, n in documents.items()}
        self._unseen = 1 + math.log(1 + count)
        self._long_words = [w for w in documents if len(w) >= _TYPO_FROM_LETTERS]

    def best(self, text: str, groups: frozenset[int] | None = None) -> Match | None:
        """Return the best match that is good enough, of the given groups if any are given."""
        words = self._normalise(text)
        if not words:
            return None
        one_word = len(words) == 1 and not is_wide(words[0][0])
        threshold = _ONE_WORD_THRESHOLD if one_word else THRESHOLD
        line = _Line(words, self._alike, self._weight)
        found: Match | None = None
        for index, question in self._questions:
            if groups is not None and index not in groups:
                continue
            score = line.score(question, found.score if found else threshold)
            if score >= threshold and (found is None or score > found.score):
                found = Match(index, score)
        return found

    def _normalise(self, text: str) -> tuple[str, ...]:
        """Return the words of `text` that count."""
        words = split_words(text)
        return tuple(w for w in words if w not in self._ignored) or words

    def _alike(self, word: str) -> frozenset[str]:
        """Return the words of all questions that `word` may be, give or take a typing error."""
        found = {word} if word in self._weights else set()
        if len(word) >= _TYPO_FROM_LETTERS:
            near = process.extract_iter(word, self._long_words, scorer=fuzz.ratio, score_cutoff=_SAME_WORD)
            found.update(other for other, _, _ in near)
        return frozenset(found)

    def _weight(self, word: str) -> float:
        weight = self._weights.get(word, self._unseen)
        return weight * _FILLER_WEIGHT if word in FILLERS else weight


class _Line:
    """A viewer's line, to be held against many questions."""

    def __init__(
        self,
        words: tuple[str, ...],
        alike: Callable[[str], frozenset[str]],
        weight: Callable[[str], float],
    ) -> None:
        self._line = _Words.of(words)
        self._alike = {word: alike(word) for word in self._line.distinct}
        self._known = frozenset().union(*self._alike.values())
        self._weight = weight
        self._weighed = [(word, weight(word)) for word in words]
        self._total = sum(w for _, w in self._weighed)

    def score(self, question: _Words, floor: float) -> float:
        """Return how well the line asks a question, 0 .. 100; 0 when it can't reach `floor`."""
        line = self._line
        if line.words == question.words:
            return 100.0
        if line.negated & question.meant != question.negated & line.meant:
            return 0.0
        if line.filler and not question.filler:
            return _FILLER_PENALTY * _order(line.words, question.words)  # `what is` asks nothing yet
        overlap = 0.55 * self._overlap(question)
        if overlap + 45 < floor:
            return 0.0  # whatever the order; to look at it is what takes time
        score = 0.45 * _order(line.words, question.words) + overlap
        if not _YOU.isdisjoint(question.distinct) and not self._is_for_you(question):
            score *= _NOT_ABOUT_YOU_PENALTY
        return score

    def _overlap(self, question: _Words) -> float:
        """Return how much of the question stands in the line, and the other way round, 0 .. 100."""
        weights = [(self._weight(word), word in self._known) for word in question.words]
        recall = sum(w for w, known in weights if known) / sum(w for w, _ in weights)
        precision = sum(w for word, w in self._weighed if self._stands_in(word, question)) / self._total
        # "Hello, what is the capital of France?" contains the question "hello", and is another one.
        weight = _FILLER_RECALL_WEIGHT if question.filler else _RECALL_WEIGHT
        return 100 * (weight * recall + (1 - weight) * precision)

    def _is_for_you(self, question: _Words) -> bool:
        """Tell whether the line speaks to the one who is asked, or of the question's matter alone."""
        if not _YOU.isdisjoint(self._line.distinct):
            return True
        return all(self._stands_in(word, question) for word in self._line.distinct - _ASIDES)

    def _stands_in(self, word: str, question: _Words) -> bool:
        return not self._alike[word].isdisjoint(question.distinct)


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of `text`: NFKC, lower case, without punctuation, each wide character a word."""
    text = unicodedata.normalize("NFKC", text[:_MAX_CHARS]).casefold().replace("’", "'")
    for pattern, replacement in _CONTRACTIONS:
        text = pattern.sub(replacement, text)
    spaced = "".join(f" {c} " if is_wide(c) else c if c.isalnum() else " " for c in text)
    return tuple(spaced.split())


def _meant(words: Sequence[str]) -> frozenset[str]:
    """Return the words that a negation can turn round."""
    return frozenset(w for w in words if w == "好" or (w not in FILLERS and w not in _NEGATIONS))


def _negated(words: Sequence[str]) -> frozenset[str]:
    """Return the words in reach of a negation."""
    near = (words[i + 1 : i + 1 + _NEGATION_REACH] for i, w in enumerate(words) if w in _NEGATIONS)
    return _meant([w for reached in near for w in reached])


def _order(line: Sequence[str], question: Sequence[str]) -> float:
    """Return the similarity of the characters in order, 0 .. 100; a question inside a longer line counts."""
    joiner = "" if is_wide(question[0][0]) else " "
    said, known = joiner.join(line), joiner.join(question)
    whole = max(fuzz.ratio(said, known), fuzz.token_sort_ratio(said, known) if joiner else 0.0)
    if len(question) < 2 or len(said) <= len(known):
        return whole
    return max(whole, 0.85 * fuzz.partial_ratio(known, said))
