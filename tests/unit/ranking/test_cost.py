"""The number of texts that queries may have to encode, estimated on arrival."""

import pytest

from app.batching.cost import Cost
from app.query.query import Query
from app.ranking.cost import MAX_COUNTED_CHARS, cost_of
from app.ranking.skills.prose import MAX_QUERY_SKILLS
from tests.support.queries import job_query, profile_query

LONG = "a, " * (MAX_COUNTED_CHARS // 3)


@pytest.mark.parametrize(
    ("query", "encodings"),
    [
        (profile_query(user_id=1), 0),
        (profile_query(user_id=1, ranking="skills"), 0),
        (job_query(3, 1), 0),
        (profile_query(text="a, b, c"), 1),
        (profile_query(text="a, b, c", ranking="skills"), 4),
        (profile_query(text="a, A, b", ranking="skills"), 3),
        # Texts up to the limit are split; longer ones count as full.
        (profile_query(text=LONG.ljust(MAX_COUNTED_CHARS), ranking="skills"), 2),
        (
            profile_query(text=LONG.ljust(MAX_COUNTED_CHARS + 1), ranking="skills"),
            1 + MAX_QUERY_SKILLS,
        ),
    ],
    ids=str,
)
def test_a_query_encodes_its_text_and_where_they_are_compared_its_skills(
    query: Query, encodings: int
) -> None:
    assert cost_of([query]) == Cost(1, encodings)


def test_queries_of_a_request_add_up() -> None:
    asked = [profile_query(text="a"), profile_query(user_id=1), profile_query(text="b")]
    assert cost_of(asked) == Cost(queries=3, encodings=2)
