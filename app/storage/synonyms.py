"""The team's own synonyms, in `recommender.synonym`."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.storage.connection.transaction import Transaction
from app.storage.sql import load

QUERIES = load("synonyms")


@dataclass(frozen=True)
class SynonymRow:
    """A form, its canonical form, and context words separated by spaces.

    One of the context words must occur in the text's other skills; "" for a form that
    is unambiguous.
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
    """Replace all meanings of these forms. Returns the number of changed rows."""
    parameters: dict[str, object] = {
        "forms": [row.form for row in rows],
        "canonicals": [row.canonical for row in rows],
        "contexts": [row.context for row in rows],
    }
    removed = transaction.execute(QUERIES["removed"], parameters)
    return removed + transaction.execute(QUERIES["add"], parameters)
