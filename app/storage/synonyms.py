"""Synonyms that the team keeps in `recommender.synonym`."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.storage.connection.transaction import Transaction
from app.storage.sql import load

QUERIES = load("synonyms")


@dataclass(frozen=True)
class SynonymRow:
    """A form, what it stands for, and words of which one must stand beside it, by
    spaces; none for a meaning that needs none.
    """

    form: str
    canonical: str
    context: str = ""


def synonym_rows(transaction: Transaction, forms: Sequence[str]) -> list[SynonymRow]:
    """The rows of these forms."""
    if not forms:
        return []
    asked = {transaction.held(form): form for form in forms}
    rows = transaction.rows(QUERIES["meanings"], {"forms": list(asked)})
    return [SynonymRow(asked[form], *others) for form, *others in rows]


def replace_synonyms(transaction: Transaction, rows: Sequence[SynonymRow]) -> int:
    """Give these forms these meanings and no others: how many rows that changed."""
    parameters: dict[str, object] = {
        "forms": [row.form for row in rows],
        "canonicals": [row.canonical for row in rows],
        "contexts": [row.context for row in rows],
    }
    removed = transaction.execute(QUERIES["removed"], parameters)
    return removed + transaction.execute(QUERIES["add"], parameters)
