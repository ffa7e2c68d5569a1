"""Find the skills of the vocabulary that a text mentions, by its words."""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.ranking.skills.parse import skill_key
from app.ranking.skills.stems import STEMMED_WORD, STOP_WORDS, stem
from app.ranking.skills.vocabulary import Vocabulary

# Other words that may stand between those of a skill: "driving a heavy truck" mentions
# truck driving. Stop words do not count.
MAX_BETWEEN = 2
# A shorter word must have a capital: "Go" and "R", but not "go".
MIN_LETTERS = 3
# Between the last word of a sentence and the first one of the next: more than the words
# of any skill.
SENTENCE_GAP = 1000
SENTENCE_BREAK = re.compile(r"[.!?;:…•]\s|[。！？\n\r]")  # noqa: RUF001


@dataclass(frozen=True)
class Mention:
    """A skill in a text: its name as written, where it begins, and how many words it
    has.
    """

    skill_id: int
    name: str
    place: int
    words: int


@dataclass(frozen=True)
class _Word:
    """A word of a text that is not a stop word, from `start` to `end`."""

    text: str
    place: int
    start: int
    end: int


@dataclass(frozen=True)
class _Span:
    """Where a skill stands most closely together: the numbers of its words."""

    numbers: frozenset[int]
    width: int


class TextWords:
    """The words of a text without stop words, by their stems."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words: list[_Word] = []
        self._numbers: defaultdict[str, list[int]] = defaultdict(list)
        stems: dict[str, str | None] = {}
        place = last = 0
        for found in STEMMED_WORD.finditer(text):
            word = found[0]
            if word not in stems:
                stems[word] = _stem(word)
            if SENTENCE_BREAK.search(text, last, found.start()):
                place += SENTENCE_GAP
            last = found.end()
            stemmed = stems[word]
            if stemmed is not None:
                self._numbers[stemmed].append(len(self._words))
                self._words.append(_Word(word, place, found.start(), found.end()))
                place += 1

    @property
    def stems(self) -> list[str]:
        """The distinct stems, in their order."""
        return list(self._numbers)

    def spans(self, stems: Sequence[str]) -> Iterator[_Span]:
        """Where these stems stand together, by the place of the rarest one."""
        if len(stems) == 1:
            for number in self._numbers[stems[0]]:
                if _is_alone(self._words[number].text):
                    yield _Span(frozenset([number]), 1)
            return
        rarest = min(stems, key=lambda each: len(self._numbers[each]))
        for number in self._numbers[rarest]:
            numbers = [_nearest(self._numbers[each], number) for each in stems]
            first, last = self._words[min(numbers)], self._words[max(numbers)]
            width = last.place - first.place + 1
            if width <= len(stems) + MAX_BETWEEN:
                yield _Span(frozenset(numbers), width)

    def mention(self, skill_id: int, span: _Span) -> Mention:
        """The mention of a skill by the words of a span."""
        first, last = self._words[min(span.numbers)], self._words[max(span.numbers)]
        name = " ".join(self._text[first.start : last.end].split())
        return Mention(skill_id, name, first.start, len(span.numbers))


def mentions(
    words: TextWords, vocabulary: Vocabulary, *, only: Sequence[int] | None = None
) -> list[Mention]:
    """The longest skills that a text mentions.

    A skill is mentioned if all its stems stand in one sentence, at most MAX_BETWEEN
    other words apart; not if the same words mention a longer one. Only skills that jobs
    list, once jobs were counted, or those of `only`.
    """
    found = [
        (span, skill_id)
        for skill_id, stems in _held(words, vocabulary, only).items()
        for span in words.spans(stems)
    ]
    found.sort(key=lambda each: (-len(each[0].numbers), each[0].width, each[1]))
    covered: set[int] = set()
    kept: dict[int, Mention] = {}
    for span, skill_id in found:
        if skill_id not in kept and not span.numbers <= covered:
            kept[skill_id] = words.mention(skill_id, span)
        covered |= span.numbers if skill_id in kept else frozenset()
    return list(kept.values())


def _held(
    words: TextWords, vocabulary: Vocabulary, only: Sequence[int] | None
) -> Mapping[int, list[str]]:
    """The stems of each skill all of whose stems the text has."""
    stems = words.stems
    skill, column = vocabulary.holding(stems)
    sizes = np.bincount(skill, minlength=vocabulary.rows)
    is_held = (sizes > 0) & (sizes == vocabulary.codes["words"])
    if only is not None:
        is_held &= np.isin(np.arange(vocabulary.rows), only)
    elif vocabulary.counts is not None:
        listed = vocabulary.counts.listed[: vocabulary.rows]
        is_held[: len(listed)] &= listed > 0
        is_held[len(listed) :] = False
    found: defaultdict[int, list[str]] = defaultdict(list)
    here = is_held[skill]
    for skill_id, place in zip(
        skill[here].tolist(), column[here].tolist(), strict=True
    ):
        found[skill_id].append(stems[place])
    return found


def _stem(word: str) -> str | None:
    """As in `words_of`; None for a stop word."""
    key = skill_key(word)
    return None if key in STOP_WORDS else stem(key)


def _is_alone(word: str) -> bool:
    """Whether a single word can be a mention."""
    return len(word) >= MIN_LETTERS or word[0].isupper()


def _nearest(numbers: Sequence[int], number: int) -> int:
    """The one of some numbers in order that is nearest to another one."""
    after = bisect_left(numbers, number)
    near = numbers[max(0, after - 1) : after + 1]
    return min(near, key=lambda each: abs(each - number))
