"""Read the texts of queries: lists as they are, prose with the skills it mentions."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from app.ranking.skills.mentions import MIN_LETTERS, Mention
from app.ranking.skills.parse import Skill, skill_key
from app.ranking.skills.prose import (
    MAX_QUERY_SKILLS,
    AskedSkills,
    asked_skills,
    clauses_of,
    is_prose,
    mentioned_in,
)
from app.ranking.skills.splitting import split_texts, synonyms_for
from app.ranking.skills.stems import words_of
from app.ranking.skills.synonyms import Synonyms
from app.ranking.skills.vocabulary import Vocabulary
from app.storage.connection.transaction import Transaction

# The most words of a synonym that is looked for in prose.
MAX_FORM_WORDS = 3
BETWEEN_SPACES = re.compile(r"\S+")
OPENING_SIGNS = "([{\"'“‘"  # noqa: RUF001
CLOSING_SIGNS = ".,;:!?…)]}\"'”’"  # noqa: RUF001


class SkillLookup(Protocol):
    """The skills of the vocabulary by text, and synonyms."""

    def split(
        self, texts: Sequence[str | None], titles: Sequence[str | None] = ()
    ) -> list[list[Skill]]:
        """As `split_texts`."""
        ...

    def synonyms(self, keys: Iterable[str]) -> Synonyms: ...

    def ids(self, keys: Sequence[str]) -> Mapping[str, int]:
        """The ids of those keys that are skills."""
        ...

    def names(self, ids: Sequence[int]) -> Mapping[int, str]:
        """The keys of these skills."""
        ...


class StoredSkills:
    """A `SkillLookup` of a vocabulary, and of the synonyms in a transaction."""

    def __init__(
        self, transaction: Transaction, vocabulary: Vocabulary, *, has_synonyms: bool
    ) -> None:
        """`has_synonyms`: whether the team's table has rows, and must be read."""
        self._transaction = transaction
        self._texts = vocabulary.texts
        self.has_synonyms = has_synonyms

    def split(
        self, texts: Sequence[str | None], titles: Sequence[str | None] = ()
    ) -> list[list[Skill]]:
        """As `SkillLookup.split`."""
        return split_texts(
            self._transaction, texts, titles=titles, has_synonyms=self.has_synonyms
        )

    def synonyms(self, keys: Iterable[str]) -> Synonyms:
        """As `SkillLookup.synonyms`."""
        return synonyms_for(self._transaction, keys, has_synonyms=self.has_synonyms)

    def ids(self, keys: Sequence[str]) -> Mapping[str, int]:
        """As `SkillLookup.ids`."""
        held = {self._transaction.held(key): key for key in keys}
        return {held[text]: id_ for text, id_ in self._texts.ids(list(held)).items()}

    def names(self, ids: Sequence[int]) -> Mapping[int, str]:
        """As `SkillLookup.names`."""
        return self._texts.of(ids)


def read_texts(
    texts: Sequence[str | None],
    before: Sequence[Sequence[int] | None],
    vocabulary: Vocabulary,
    lookup: SkillLookup,
) -> list[AskedSkills]:
    """What each text asks for.

    `before`: the ids of the skills that it mentioned on the page before, None for a
    first page.
    """
    return [
        _read_prose(text, skills, only, vocabulary, lookup)
        if text and is_prose(text, skills)
        else AskedSkills(skills[:MAX_QUERY_SKILLS])
        for text, skills, only in zip(texts, lookup.split(texts), before, strict=True)
    ]


def _read_prose(
    text: str,
    skills: Sequence[Skill],
    only: Sequence[int] | None,
    vocabulary: Vocabulary,
    lookup: SkillLookup,
) -> AskedSkills:
    clauses = clauses_of(skills)
    meant = _meant(text, clauses, lookup)
    found = mentioned_in(text, vocabulary, meant, only=only)
    keys = lookup.names([each.skill_id for each in found])
    return asked_skills(clauses, found, keys)


def _meant(text: str, clauses: Sequence[Skill], lookup: SkillLookup) -> list[Mention]:
    """The skills whose other forms a text has: Kubernetes for "K8s"."""
    written = dict(reversed(list(_forms(text))))  # where each stands first
    forms = {skill_key(form): (form, at) for form, at in written.items()}
    synonyms = lookup.synonyms(forms)
    beside = [clause.key for clause in clauses]
    meant = {
        synonyms.canonical_key(form, beside): form
        for form in forms
        if synonyms.meanings(form)
    }
    known = lookup.ids(list(meant))
    return [
        Mention(known[key], *forms[form], len(words_of(key)))
        for key, form in meant.items()
        if key in known and key != form
    ]


def _forms(text: str) -> Iterator[tuple[str, int]]:
    """Up to MAX_FORM_WORDS neighbouring words that could be a synonym, and where."""
    words = list(BETWEEN_SPACES.finditer(text))
    for first, found in enumerate(words):
        for last in words[first : first + MAX_FORM_WORDS]:
            form = text[found.start() : last.end()]
            form = form.lstrip(OPENING_SIGNS).rstrip(CLOSING_SIGNS)
            if len(form) > MIN_LETTERS or not form.islower():
                yield form, found.start()
            if last[0][-1] in CLOSING_SIGNS:
                break
