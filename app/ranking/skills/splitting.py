"""Split texts into skills in canonical form.

In order: `split_skills`, long forms given by the text itself, and synonyms. The team's
synonyms override the built-in ones.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from app.ranking.skills.parse import Skill, split_skills, with_title
from app.ranking.skills.stems import words_of
from app.ranking.skills.synonyms import Meaning, Synonyms, as_spelled_out, built_in
from app.storage.connection.transaction import Transaction
from app.storage.synonyms import synonym_rows


def split_texts(
    transaction: Transaction,
    texts: Sequence[str | None],
    *,
    titles: Sequence[str | None] = (),
    has_synonyms: bool = True,
) -> list[list[Skill]]:
    """The skills of each text, each canonical form once, named as written.

    `titles`: one more skill of each text, or none at all. `has_synonyms`: whether the
    team's table has rows, and must be read.
    """
    split = [split_skills(text or "") for text in texts]
    if titles:
        split = [with_title(*each) for each in zip(split, titles, strict=True)]
    written = [as_spelled_out(skills) for skills in split]
    keys = {skill.key for skills in written for skill in skills}
    synonyms = synonyms_for(transaction, keys, has_synonyms=has_synonyms)
    return [synonyms.canonical(skills) if skills else skills for skills in written]


def synonyms_for(
    transaction: Transaction, keys: Iterable[str], *, has_synonyms: bool
) -> Synonyms:
    """The synonyms of these keys, and of their canonical forms."""
    known: dict[str, Sequence[Meaning]] = {}
    wanted = set(keys)
    while wanted:
        found = _of_the_team(transaction, wanted) if has_synonyms else {}
        for key in wanted:
            known[key] = found.get(key) or built_in().meanings(key)
        stand_for = {each.canonical for key in wanted for each in known[key]}
        wanted = stand_for - known.keys()
    return Synonyms({key: meanings for key, meanings in known.items() if meanings})


def _of_the_team(
    transaction: Transaction, keys: Iterable[str]
) -> dict[str, list[Meaning]]:
    found: defaultdict[str, list[Meaning]] = defaultdict(list)
    for row in synonym_rows(transaction, sorted(keys)):
        context = frozenset(words_of(row.context))
        found[row.form].append(Meaning(row.canonical, context))
    return dict(found)
