"""Maps short forms, spellings and product names of a skill to its canonical form."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.ranking.skills.parse import Skill, skill_key
from app.ranking.skills.stems import words_of


@dataclass(frozen=True)
class Meaning:
    """A meaning of a form.

    `context`: stems, one of which must occur in the text's other skills; empty for an
    unambiguous form.
    """

    canonical: str
    context: frozenset[str]


class Synonyms:
    """Maps the skills of one text to their canonical forms."""

    def __init__(self, meanings: Mapping[str, Sequence[Meaning]]) -> None:
        self._meanings = meanings

    def __len__(self) -> int:
        """The number of pairs of a form and a meaning."""
        return sum(map(len, self._meanings.values()))

    def canonical(self, skills: Sequence[Skill]) -> list[Skill]:
        """The skills in order, each canonical form once, named as written.

        An ambiguous form ("PM") gets the meaning whose context shares most words with
        the text's other skills. Without a unique best meaning it is unchanged: an
        unknown skill is less harmful than a misunderstood one.
        """
        found: dict[str, Skill] = {}
        for place, skill in enumerate(skills):
            others = [other.key for n, other in enumerate(skills) if n != place]
            key = self._key(skill.key, others)
            found.setdefault(key, Skill(skill.name, key))
        return list(found.values())

    def _key(self, key: str, others: Sequence[str]) -> str:
        meanings = self._meanings.get(key, ())
        if not meanings:
            return key
        if not meanings[0].context:
            return meanings[0].canonical
        around = {word for other in others for word in words_of(other)}
        shared = [len(meaning.context & around) for meaning in meanings]
        best = max(shared)
        if best == 0 or shared.count(best) > 1:
            return key
        return meanings[shared.index(best)].canonical


def read_synonyms(lines: Iterable[str]) -> Synonyms:
    """Read a CSV `form,canonical,context` with a header; context words separated by
    spaces.

    Raises ValueError, with the line's number, for a form that is empty, canonical
    itself, duplicate, or ambiguous without a context.
    """
    meanings: dict[str, list[Meaning]] = defaultdict(list)
    canonical: dict[str, int] = {}
    numbers: dict[str, int] = {}
    for number, row in enumerate(csv.DictReader(lines), start=2):
        form, target = skill_key(row["form"] or ""), skill_key(row["canonical"] or "")
        context = frozenset(words_of(row.get("context") or ""))
        _check(form, target, meanings[form], context=context, number=number)
        meanings[form].append(Meaning(target, context))
        numbers[form] = number
        canonical.setdefault(target, number)
    for form in meanings.keys() & canonical.keys():
        raise ValueError(
            f"Line {numbers[form]} maps {form!r}, to which line {canonical[form]} maps"
            " another form. Map both to the same canonical form."
        )
    return Synonyms(meanings)


def _check(
    form: str,
    target: str,
    known: Sequence[Meaning],
    *,
    context: frozenset[str],
    number: int,
) -> None:
    if not form or not target:
        raise ValueError(f"Line {number} lacks a form or a canonical form.")
    if any(meaning.canonical == target for meaning in known):
        raise ValueError(f"Line {number} maps {form!r} to {target!r} again.")
    if known and not (context and all(meaning.context for meaning in known)):
        raise ValueError(
            f"Line {number} gives {form!r} a second meaning: each needs a context."
        )
