"""What the queries of a request may have to encode, told before they wait."""

from collections.abc import Sequence

from app.batching.cost import Cost
from app.query.query import Query
from app.ranking.skills.prepare import MAX_QUERY_SKILLS, query_skills

# To split a longer text takes more than a millisecond: it counts as full of skills.
MAX_COUNTED_CHARS = 2000


def cost_of(queries: Sequence[Query]) -> Cost:
    """Stored users cost no encoding, as a rule: the backfill has embedded them."""
    return Cost(len(queries), sum(_encodings(query) for query in queries))


def _encodings(query: Query) -> int:
    if query.text is None:
        return 0
    # The whole text; and each of its skills, unless only whole texts are compared.
    if query.key.ranking == "similarity":
        return 1
    if len(query.text) > MAX_COUNTED_CHARS:
        return 1 + MAX_QUERY_SKILLS
    return 1 + len(query_skills(query.text))
