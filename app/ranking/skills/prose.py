"""Read prose: its clauses, and the skills of the vocabulary that it mentions."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.markup import plain_text
from app.ranking.skills.mentions import Mention, TextWords, mentions
from app.ranking.skills.parse import INVISIBLE, Skill
from app.ranking.skills.stems import words_of
from app.ranking.skills.vocabulary import Vocabulary

# Each skill takes 4 bytes per skill of the vocabulary while a batch runs.
MAX_QUERY_SKILLS = 64

# An item of at least this many words is a clause of prose.
MIN_CLAUSE_WORDS = 5
SENTENCE_END = re.compile(r"\w{2}[.!?…](?:\s|$)|[。！？]")  # noqa: RUF001

# Clauses of a long text that are compared by meaning, from its start to its end: each
# must be encoded. A hundred skills need 64 encodings, and clauses are longer.
MAX_CLAUSES = 16
MAX_MENTIONS = MAX_QUERY_SKILLS - MAX_CLAUSES

# The model reads at most 256 tokens, about as many characters of English. The meaning
# of a longer text is the mean of its beginning and of at most MAX_FURTHER pieces.
READ_CHARS = 1000
MAX_FURTHER = 2
PIECE_CHARS = 500


@dataclass(frozen=True)
class AskedSkills:
    """What a text asks for: its own skills or clauses, and then those it mentions.

    `mentioned`: the ids of the last `skills`. In prose a skill counts by its words.
    """

    skills: Sequence[Skill]
    mentioned: Sequence[int] = ()
    is_prose: bool = False

    @property
    def clauses(self) -> int:
        """How many are the text's own."""
        return len(self.skills) - len(self.mentioned)

    @cached_property
    def factors(self) -> NDArray[np.float64]:
        """(k,): of the weights of the skills. A clause says as much as its words do."""
        if not self.is_prose:
            return np.ones(len(self.skills))
        return np.array([max(1.0, len(words_of(each.key))) for each in self.skills])


def is_prose(text: str, skills: Sequence[Skill]) -> bool:
    """Whether a text with these items consists of sentences.

    Half of its words are in items of many words, and it ends a sentence, has no
    separators, or has more items than a query may have.
    """
    sizes = [len(skill.name.split()) for skill in skills]
    in_clauses = sum(size for size in sizes if size >= MIN_CLAUSE_WORDS)
    if not in_clauses or 2 * in_clauses < sum(sizes):
        return False
    return (
        len(skills) == 1
        or len(skills) > MAX_QUERY_SKILLS
        or SENTENCE_END.search(text) is not None
    )


def clauses_of(skills: Sequence[Skill]) -> list[Skill]:
    """At most MAX_CLAUSES of a text's items, from its start to its end."""
    if len(skills) <= MAX_CLAUSES:
        return list(skills)
    return [skills[n * len(skills) // MAX_CLAUSES] for n in range(MAX_CLAUSES)]


def mentioned_in(
    text: str,
    vocabulary: Vocabulary,
    meant: Sequence[Mention] = (),
    *,
    only: Sequence[int] | None = None,
) -> list[Mention]:
    """The skills that a text mentions, in its order: those that weigh most.

    `meant`: those that it mentions by another form. `only`: the ids of all that it
    mentioned on the page before.
    """
    words = TextWords(INVISIBLE.sub("", plain_text(text)))
    found = {
        each.skill_id: each for each in meant if _is_open_to(each, vocabulary, only)
    }
    found |= {each.skill_id: each for each in mentions(words, vocabulary, only=only)}
    best = sorted(
        found.values(), key=lambda each: (-_weight(each, vocabulary), each.skill_id)
    )
    if only is not None:
        return [found[id_] for id_ in only if id_ in found]
    return sorted(best[:MAX_MENTIONS], key=lambda each: (each.place, each.skill_id))


def _is_open_to(
    mention: Mention, vocabulary: Vocabulary, only: Sequence[int] | None
) -> bool:
    if only is not None:
        return mention.skill_id in only
    return vocabulary.counts is None or _listed(mention, vocabulary) > 0


def _listed(mention: Mention, vocabulary: Vocabulary) -> int:
    """How many jobs list a skill."""
    counts = vocabulary.counts
    if counts is None:
        return 0
    return int(counts.listed[mention.skill_id : mention.skill_id + 1].sum())


def _weight(mention: Mention, vocabulary: Vocabulary) -> float:
    """By words and rarity, as mentions count in the score."""
    jobs = 0 if vocabulary.counts is None else vocabulary.counts.jobs
    return mention.words * math.log(2 + jobs / (1 + _listed(mention, vocabulary)))


def asked_skills(
    clauses: Sequence[Skill], found: Sequence[Mention], keys: Mapping[int, str]
) -> AskedSkills:
    """Prose with its mentions. `keys`: of their skills, by id."""
    own = {skill.key for skill in clauses}
    named = {
        keys[each.skill_id]: each
        for each in found
        if each.skill_id in keys and keys[each.skill_id] not in own
    }
    more = [Skill(each.name, key) for key, each in named.items()]
    ids = [each.skill_id for each in named.values()]
    return AskedSkills([*clauses, *more], ids, is_prose=True)


def pieces_of(text: str) -> list[str]:
    """The text, whose beginning is read, and pieces of the rest, to its end."""
    rest = len(text) - READ_CHARS
    count = min(MAX_FURTHER, math.ceil(max(0, rest) / PIECE_CHARS))
    ends = [READ_CHARS + rest * n // count for n in range(1, count + 1)]
    return [text, *(text[end - PIECE_CHARS : end] for end in ends)]


def mean_vector(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(n,) float32 of unit length: the mean direction of vectors of unit length."""
    if len(vectors) == 1:
        return vectors[0]
    total = np.stack(vectors).sum(axis=0, dtype=np.float64)
    mean: NDArray[np.float64] = total / np.linalg.norm(total)
    return mean.astype(np.float32)
