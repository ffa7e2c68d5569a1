"""Map short forms, spellings and product names of a skill to its canonical form.

Built-in pairs, and those of the caller.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.ranking.skills.initials import spelled_out
from app.ranking.skills.parse import Skill, skill_key
from app.ranking.skills.stems import words_of

BUILT_IN = Path(__file__).with_name("synonyms.csv")


@dataclass(frozen=True, slots=True)
class Meaning:
    """A meaning of a form.

    `context`: stems, one of which must occur in the text's other skills; empty for a
    meaning that needs none.
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

    @property
    def forms(self) -> Iterable[str]:
        """All forms that have a meaning."""
        return self._meanings.keys()

    def meanings(self, key: str) -> Sequence[Meaning]:
        """The meanings of a form; none if it is unknown."""
        return self._meanings.get(key, ())

    def canonical(self, skills: Sequence[Skill]) -> list[Skill]:
        """The skills in order, each canonical form once, named as written.

        An ambiguous form ("PM") gets the meaning whose context shares most words with
        the text's other skills. Without a unique best meaning it is unchanged: an
        unknown skill is less harmful than a misunderstood one.
        """
        found: dict[str, Skill] = {}
        for place, skill in enumerate(skills):
            others = [other.key for n, other in enumerate(skills) if n != place]
            key = self.canonical_key(skill.key, others)
            found.setdefault(key, Skill(skill.name, key))
        return list(found.values())

    def canonical_key(self, key: str, others: Sequence[str]) -> str:
        """The canonical form at the end of a chain of forms, beside other keys.

        Of forms that refer to each other it is the alphabetically first.
        """
        seen = [key]
        while (meant := self._meaning(seen[-1], others)) != seen[-1]:
            if meant in seen:
                return min(seen[seen.index(meant) :])
            seen.append(meant)
        return seen[-1]

    def _meaning(self, key: str, others: Sequence[str]) -> str:
        meanings = self.meanings(key)
        everywhere = [each.canonical for each in meanings if not each.context]
        otherwise = everywhere[0] if len(everywhere) == 1 else key
        if len(everywhere) == len(meanings):
            return otherwise
        around = {word for other in others for word in words_of(other)}
        shared = [len(each.context & around) for each in meanings]
        best = max(shared)
        if best == 0:
            return otherwise
        return (
            meanings[shared.index(best)].canonical if shared.count(best) == 1 else key
        )


def as_spelled_out(skills: Sequence[Skill]) -> list[Skill]:
    """Replace skills by the long forms that the text itself gives.

    A skill that names a short and a long form, "applicant tracking system (ATS)",
    becomes the long one, and so does the short form alone elsewhere in the text.
    """
    forms = [spelled_out(skill.key) for skill in skills]
    long = dict(form for form in forms if form)
    return [
        Skill(skill.name, form[1] if form else long.get(skill.key, skill.key))
        for skill, form in zip(skills, forms, strict=True)
    ]


@cache
def built_in() -> Synonyms:
    """The built-in pairs, read once: 0.5 MB."""
    return read_synonyms(BUILT_IN.read_text(encoding="utf-8").splitlines())


def read_synonyms(lines: Iterable[str]) -> Synonyms:
    """Read a CSV `form,canonical,context` with a header; context words separated by
    spaces. Raises ValueError as `synonyms_of`.
    """
    rows = enumerate(csv.DictReader(lines), start=2)
    return synonyms_of(
        (number, row["form"] or "", row["canonical"] or "", row.get("context") or "")
        for number, row in rows
    )


def synonyms_of(rows: Iterable[tuple[int, str, str, str]]) -> Synonyms:
    """The synonyms of (line, form, canonical form, context).

    Raises ValueError, with the line's number, for a form that is empty, canonical
    itself, duplicate, or ambiguous without a context.
    """
    meanings: dict[str, list[Meaning]] = defaultdict(list)
    canonical: dict[str, int] = {}
    numbers: dict[str, int] = {}
    for number, written, meant, words in rows:
        form, target = skill_key(written), skill_key(meant)
        context = frozenset(words_of(words))
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
