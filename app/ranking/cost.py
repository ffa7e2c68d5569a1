"""The maximum number of encodings of a request, known before it waits."""

from collections.abc import Sequence

from app.batching.cost import Cost
from app.query.query import Query

# Splitting a longer text takes over a millisecond, so it counts as the maximum.
MAX_COUNTED_CHARS = 2000


def cost_of(queries: Sequence[Query]) -> Cost:
    """The cost of queries. Stored users count as none: the backfill embeds them."""
    return Cost(len(queries), sum(_encodings(query) for query in queries))


def _encodings(query: Query) -> int:
    if query.text is None:
        return 0
    # The whole text, and each of its skills unless the ranking is `similarity`. Prose
    # has fewer clauses and some more pieces.
    if query.key.ranking == "similarity":
        return 1
    # Imported on demand, like the rankings that need them.
    from app.ranking.skills.parse import split_skills  # noqa: PLC0415
    from app.ranking.skills.prose import (  # noqa: PLC0415
        MAX_QUERY_SKILLS,
        is_prose,
        pieces_of,
    )

    if len(query.text) > MAX_COUNTED_CHARS:
        return 1 + MAX_QUERY_SKILLS
    skills = split_skills(query.text)
    pieces = pieces_of(query.text) if is_prose(query.text, skills) else [query.text]
    return len(pieces) + min(len(skills), MAX_QUERY_SKILLS)
