"""Near-repeats take one place in real answers, and pages stay stable."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg2.sql import SQL

from app.deadline import Deadline
from app.query.constraints import Constraints
from app.query.cursor import from_text
from app.query.query import Query
from app.query.result import Hit, Result
from app.storage.connection.database import Database
from tests.integration.skills.test_ranking import insert
from tests.support.encoders import BlendEncoder
from tests.support.queries import profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.skills import fill

RANKINGS = pytest.mark.parametrize("ranking", ["skills", "hybrid"])
POSTINGS = [
    [f"skill{n} a{n}", f"tool{n}", f"thing{n} b{n}", f"word{n % 7}", "oil"]
    for n in range(25)
]


def board(copies: int) -> dict[int, str]:
    """Each posting several times, in another order or with one skill more."""
    rng = random.Random(3)
    rows = {}
    for n, posting in enumerate(POSTINGS):
        for copy in range(copies):
            listed = rng.sample(posting, len(posting))
            listed += ["extra"] if copy % 3 == 2 else []
            rows[100 * copy + n] = ", ".join(listed)
    return rows


def ask(database: Database, folder: Path, *queries: Query) -> list[Result]:
    name = queries[0].key.ranking
    ranking = ranking_over(database, BlendEncoder(), name=name, folder=folder)
    return results(rank(ranking, queries))


@RANKINGS
def test_copies_of_a_posting_take_one_place_with_their_ids_beside_it(
    database: Database, tmp_path: Path, ranking: str
) -> None:
    insert(database, "skill_job1", board(3))
    fill(database, BlendEncoder(), batch_size=64)
    query = profile_query(10, text="oil, word1, tool8", ranking=ranking, distinct=True)
    all_rows, two = replace(query, distinct=False), replace(query, top_k=2)
    distinct, every, short = ask(database, tmp_path, query, all_rows, two)
    numbers = [int(hit.id) % 100 for hit in distinct.hits]
    assert len(set(numbers)) == len(numbers) == 10
    for hit in distinct.hits:
        assert hit.repeats is not None
        assert {int(id_) % 100 for id_ in hit.repeats} <= {int(hit.id) % 100}
    # All copies of the best are among the first.
    best = distinct.hits[0]
    assert best.repeats is not None
    assert sorted([int(best.id), *map(int, best.repeats)]) == [
        int(best.id) % 100 + 100 * copy for copy in range(3)
    ]
    assert len({int(hit.id) % 100 for hit in every.hits}) < 10
    assert all(hit.repeats is None for hit in every.hits)
    # Each one shown is the best of its kind.
    scores = {hit.id: hit.match_score for hit in every.hits}
    assert distinct.hits[0].match_score == every.hits[0].match_score
    assert scores.get(distinct.hits[0].id) == distinct.hits[0].match_score
    assert [hit.id for hit in short.hits] == [hit.id for hit in distinct.hits[:2]]
    # Alone as in a batch.
    assert ask(database, tmp_path, query)[0].hits == distinct.hits


@RANKINGS
@pytest.mark.parametrize("top_k", [1, 3, 7])
def test_pages_show_each_posting_once_and_all_of_them(
    database: Database, tmp_path: Path, ranking: str, top_k: int
) -> None:
    insert(database, "skill_job1", board(8))
    fill(database, BlendEncoder(), batch_size=64)
    query = profile_query(top_k, text="oil, a3 b4", ranking=ranking, distinct=True)
    whole = ask(database, tmp_path, replace(query, top_k=200))[0]
    found: list[Hit] = []
    page = ask(database, tmp_path, query)[0]
    while page.next_cursor is not None:
        found += page.hits
        # Another copy of what was shown takes no place of its own.
        first = int(found[0].id) % 100
        copy = {10_000 + len(found): ", ".join(POSTINGS[first])}
        insert(database, "skill_job1", copy)
        fill(database, BlendEncoder())
        after = Constraints(after=from_text(page.next_cursor))
        page = ask(database, tmp_path, replace(query, constraints=after))[0]
        assert len(page.hits) == top_k or page.next_cursor is None
    found += page.hits
    assert [(hit.id, hit.match_score) for hit in found] == [
        (hit.id, hit.match_score) for hit in whole.hits
    ]
    assert len(whole.hits) == len(POSTINGS)


def test_a_thousand_copies_of_one_posting_leave_room_for_others(
    database: Database, tmp_path: Path
) -> None:
    insert(database, "skill_job1", {1: "oil, gas", 2: "oil, tar", 3: "oil, ship"})
    fill(database, BlendEncoder())
    with database.write(Deadline.after(60)) as transaction:
        transaction.execute(
            SQL(
                "INSERT INTO skill_job1 (job_id, skills)"
                " SELECT n, 'gas, oil' FROM generate_series(11, 1010) AS n"
            )
        )
    fill(database, BlendEncoder(), batch_size=512)
    query = profile_query(3, text="oil, gas", ranking="hybrid", distinct=True)
    (result,) = ask(database, tmp_path, query)
    assert [hit.id for hit in result.hits][1:] == [2, 3]
    assert result.hits[0].repeats is not None
    assert len(result.hits[0].repeats) >= 1000
    assert result.next_cursor is None
