"""SEARCH_BACKEND=pgvector beside the stream: the same answers."""

import numpy as np
import pytest
from psycopg2.sql import SQL, Composable

from app.errors import SchemaError
from app.query.constraints import AnyOf, Constraints, CursorPosition
from app.ranking.retrieval import index_search
from app.ranking.top_k.heap import Scored
from app.storage.connection.database import Database
from app.storage.connection.transaction import Sink, Transaction
from tests.integration.pgvector.searching import (
    STREAM,
    add_jobs,
    clustered,
    far_away,
    fill,
    fill_and_index,
    nearby,
    search,
    through_index,
)
from tests.support.postgres import run
from tests.support.queries import profile_query


@pytest.mark.parametrize("top_n", [1, 10, 25])
def test_the_answers_are_those_of_the_stream(filled: Database, top_n: int) -> None:
    queries = nearby(20)
    questions = [profile_query(top_n, text="any")] * 20
    found = search(filled, through_index(), queries, questions)
    wanted = search(filled, STREAM, queries, questions)
    assert found.analyzed == wanted.analyzed == 3000
    assert found.ranked == wanted.ranked


def test_far_from_all_jobs_an_answer_is_sound_and_exact_on_demand(
    filled: Database,
) -> None:
    queries = far_away(20)
    everyone = search(filled, STREAM, queries, [profile_query(3000)] * 20).ranked
    found = search(filled, through_index(), queries, [profile_query(10)] * 20).ranked
    for ranked, whole in zip(found, everyone, strict=True):
        assert len(ranked) == 10
        # Some of the best may be missed; what comes has its place among all.
        assert [job for job in whole if job in set(ranked)] == list(ranked)
    exact = [profile_query(10, exact=True)] * 20
    compared = search(filled, through_index(), queries, exact).ranked
    for ranked, whole in zip(compared, everyone, strict=True):
        assert list(ranked) == list(whole[:10])


def test_more_equal_texts_than_candidates_still_go_by_id(
    vector_url: str, vector_database: Database
) -> None:
    rows = clustered(300)
    rows[:200] = rows[0]
    ids = np.random.default_rng(1).permutation(300)
    add_jobs(vector_url, rows, ids.tolist())
    fill_and_index(vector_database)
    questions = [profile_query(7)]
    found = search(vector_database, through_index(), rows[:1], questions)
    assert [job.id for job in found.ranked[0]] == sorted(ids[:200])[:7]
    assert {job.score for job in found.ranked[0]} == {1.0}


def test_pages_go_through_more_equal_texts_than_candidates(filled: Database) -> None:
    query = clustered(3000)[:1]
    seen: list[int] = []
    constraints = Constraints()
    for _ in range(4):
        questions = [profile_query(12, constraints=constraints)]
        (page,) = search(filled, through_index(), query, questions).ranked
        seen += [job.id for job in page]
        constraints = Constraints(after=CursorPosition(1.0, 0.0, seen[-1]))
    assert seen == list(range(0, 48 * 60, 60))


# A graph in which few rows are near one another, as in a large table.
POOR_INDEX = (
    "CREATE INDEX job_vector_hnsw_idx ON recommender.job_vector"
    " USING hnsw (vector halfvec_ip_ops) WITH (m = 4, ef_construction = 16)"
)


def test_near_repeats_of_one_text_do_not_hide_another(
    vector_url: str, vector_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred texts, thirty near-repeats of each: 80 candidates are three texts, and
    a search that stops there misses jobs that a wider one finds.
    """
    random = np.random.default_rng(3)
    texts = random.standard_normal(384) + random.standard_normal((100, 384))
    rows = texts.repeat(30, axis=0) + 0.4 * random.standard_normal((3000, 384))
    add_jobs(vector_url, rows.astype(np.float32), range(3000))
    fill(vector_database)
    run(vector_url, POOR_INDEX)
    asked = texts + 0.7 * random.standard_normal((100, 384))
    queries, questions = asked.astype(np.float32), [profile_query(10)] * 100
    exact = search(vector_database, STREAM, queries, questions).ranked

    def hits() -> int:
        found = search(vector_database, through_index(), queries, questions).ranked
        return sum(len(set(a) & set(b)) for a, b in zip(found, exact, strict=True))

    # How good a graph is differs from build to build: both go through the same one.
    widened = hits()
    monkeypatch.setattr(index_search, "TIMES", 100)
    assert widened > hits()


def test_dead_rows_in_the_index_do_not_shorten_a_result(
    filled: Database, filled_url: str
) -> None:
    """The index names deleted rows until a vacuum, and these are the nearest."""
    queries = clustered(3000)[:5]
    nearest = [
        job.id
        for ranked in search(
            filled, STREAM, queries, [profile_query(15, text="any")] * 5
        ).ranked
        for job in ranked
    ]
    run(filled_url, "DELETE FROM skill_job1 WHERE job_id = ANY (%s)", (nearest,))
    questions = [profile_query(10, text="any")] * 5
    found = search(filled, through_index(), queries, questions)
    assert found.ranked == search(filled, STREAM, queries, questions).ranked
    assert all(len(ranked) == 10 for ranked in found.ranked)


def test_the_jobs_of_the_nearest_vectors_are_looked_up_one_by_one(
    monkeypatch: pytest.MonkeyPatch, filled: Database, filled_url: str
) -> None:
    """Statistics let Postgres expect hardly any sound embedding."""
    run(filled_url, "VACUUM ANALYZE")
    plans: list[str] = []
    copy_out = Transaction.copy_out

    def explained(
        transaction: Transaction, query: Composable, sink: Sink, *, settings: Composable
    ) -> None:
        statement = SQL("{}; EXPLAIN {}").format(settings, query)
        plans.append("\n".join(line for (line,) in transaction.rows(statement)))
        copy_out(transaction, query, sink, settings=settings)

    monkeypatch.setattr(Transaction, "copy_out", explained)
    search(filled, through_index(), nearby(1), [profile_query(10)])
    (plan,) = plans
    assert "job_vector_hnsw_idx" in plan
    assert "Materialize" not in plan


def test_an_exact_query_does_not_use_the_index(
    filled: Database, filled_url: str
) -> None:
    queries = nearby(20)
    questions = [profile_query(10, exact=True)] * 20
    wanted = search(filled, STREAM, queries, questions)
    run(filled_url, "DROP INDEX recommender.job_vector_hnsw_idx")
    assert search(filled, through_index(), queries, questions).ranked == wanted.ranked


# A column may be called like one of the statement's own.
@pytest.mark.parametrize("column", ["size", "vector", "distance", "question", "query"])
def test_columns_of_any_name_are_filtered_on(
    filled: Database, filled_url: str, column: str
) -> None:
    run(filled_url, f'ALTER TABLE skill_job1 RENAME level TO "{column}"')
    queries = nearby(3)
    questions = [profile_query(9, filters=(AnyOf(column, (0, 1)),))] * 3
    found = search(filled, through_index(), queries, questions, [column])
    wanted = search(filled, STREAM, queries, questions, [column])
    assert found.analyzed == wanted.analyzed == 1998
    assert {row.id % 3 for ranked in found.ranked for row in ranked} == {0, 1}


def test_without_the_migration_an_error_names_the_command(
    database: Database,
) -> None:
    with pytest.raises(SchemaError) as caught:
        search(database, through_index(), clustered(1), [profile_query(1)])
    assert str(caught.value) == (
        "SEARCH_BACKEND=pgvector needs the table recommender.job_vector, which is not"
        " there; run `python scripts/migrate.py --with pgvector` and"
        " `python scripts/build_vector_index.py`, or set SEARCH_BACKEND=stream."
    )


def test_page_after_page_gives_the_whole_order(filled: Database) -> None:
    query = nearby(1)
    (wanted,) = search(filled, STREAM, query, [profile_query(200)]).ranked
    seen: list[Scored] = []
    constraints = Constraints()
    while len(seen) < 200:
        questions = [profile_query(20, constraints=constraints)]
        (page,) = search(filled, through_index(), query, questions).ranked
        seen += page
        last = page[-1]
        constraints = Constraints(
            after=CursorPosition(last.score, last.second, last.id)
        )
    found = {job.id for job in seen}
    assert len(found) == len(seen), "a job came twice"
    assert seen == sorted(seen, key=lambda job: (-job.score, job.id))
    assert len(found & {job.id for job in wanted}) >= 190
