"""SEARCH_BACKEND=pgvector beside the stream: the same answers."""

from dataclasses import replace

import numpy as np
import pytest

from app.commands.migrate import migrate
from app.errors import SchemaError
from app.query.constraints import NO_CONSTRAINTS, AnyOf, Constraints, CursorPosition
from app.query.ids import IdColumn, Kind
from app.query.query import Query
from app.query.result import Inconclusive, Result
from app.ranking.retrieval.pgvector import PgvectorSearch
from app.ranking.top_k.heap import Scored
from app.storage.connection.database import Database
from tests.integration.pgvector.searching import (
    STREAM,
    add_jobs,
    clustered,
    far_away,
    fill,
    nearby,
    search,
    through_index,
)
from tests.support.encoders import BlendEncoder
from tests.support.postgres import run
from tests.support.queries import job_query, profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.rows import VERSION, add_job

BACKENDS = [through_index(), PgvectorSearch(version=VERSION, scan_chunk_rows=100)]


@pytest.mark.parametrize("backend", BACKENDS, ids=["index", "small"])
@pytest.mark.parametrize("top_n", [1, 10, 25])
def test_the_answers_are_those_of_the_stream(
    filled: Database, backend: PgvectorSearch, top_n: int
) -> None:
    queries = nearby(20)
    questions = [profile_query(top_n, text="any")] * 20
    found = search(filled, backend, queries, questions)
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


def test_more_equal_texts_than_candidates_still_go_by_id(filled: Database) -> None:
    queries = clustered(3000)[:1]  # the text of jobs 0, 60, 120 …
    questions = [profile_query(7, text="any")]
    found = search(filled, through_index(), queries, questions)
    assert [job.id for job in found.ranked[0]] == [0, 60, 120, 180, 240, 300, 360]
    assert {job.score for job in found.ranked[0]} == {1.0}


def test_a_quick_question_that_takes_a_longer_search_leaves_the_others_alone(
    filled: Database,
) -> None:
    queries = np.concatenate([clustered(3000)[:1], nearby(2)[1:]])
    questions = [profile_query(7, text="any", shallow=True)] * 2
    found = search(filled, through_index(), queries, questions)
    assert list(found.inconclusive) == [0]
    assert found.ranked[0] == ()
    assert found.ranked[1] == search(filled, STREAM, queries, questions).ranked[1]


def test_nor_does_a_quick_question_about_similar_jobs(filled: Database) -> None:
    ranking = ranking_over(filled, BlendEncoder(), retrieval=through_index())
    queries = [job_query(7, id_) for id_ in (0, 1)]
    inconclusive, answered = rank(ranking, [as_shallow(query) for query in queries])
    assert isinstance(inconclusive, Inconclusive)
    first, second = results(rank(ranking, queries))
    assert isinstance(answered, Result)
    assert answered.hits == second.hits
    assert [hit.id for hit in first.hits] == list(range(60, 421, 60))


def as_shallow(query: Query) -> Query:
    return replace(query, key=replace(query.key, shallow=True))


def test_who_else_asks_changes_no_answer(filled: Database) -> None:
    queries = nearby(20)
    without = Constraints(exclude=frozenset(range(0, 3000, 7)))
    questions = [
        profile_query(
            (5, 25, 60)[n % 3], constraints=without if n % 5 else NO_CONSTRAINTS
        )
        for n in range(20)
    ]
    alone = [
        search(filled, through_index(), queries[n : n + 1], [questions[n]])
        for n in range(20)
    ]
    together = search(filled, through_index(), queries, questions)
    assert together.ranked == [found.ranked[0] for found in alone]


def test_rows_that_died_since_take_no_jobs_from_an_answer(
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


def test_an_exact_question_does_not_ask_the_index(
    filled: Database, filled_url: str
) -> None:
    queries = nearby(20)
    questions = [profile_query(10, exact=True)] * 20
    wanted = search(filled, STREAM, queries, questions)
    run(filled_url, "DROP INDEX recommender.job_vector_hnsw_idx")
    assert search(filled, through_index(), queries, questions).ranked == wanted.ranked


def test_a_job_without_a_vector_is_compared_all_the_same(
    filled: Database, filled_url: str
) -> None:
    query = nearby(2)[1:]
    add_job(filled_url, 9000, "new", embedding=query[0].tobytes())
    forget = "UPDATE recommender.job_state SET has_vector = false WHERE job_id < 500"
    run(filled_url, forget)
    questions = [profile_query(10, text="any")]
    found = search(filled, through_index(), query, questions)
    wanted = search(filled, STREAM, query, questions)
    assert found.ranked[0][0].id == 9000
    assert found.ranked == wanted.ranked
    assert found.analyzed == wanted.analyzed == 3001


def test_embeddings_that_point_nowhere_are_neither_ranked_nor_counted(
    vector_url: str, vector_database: Database
) -> None:
    embeddings = clustered(5)
    embeddings[1] = 0
    embeddings[2, 7] = np.nan
    embeddings[3, 7] = np.inf
    add_jobs(vector_url, embeddings, range(5))
    questions = [profile_query(10, text="any")]
    for filled_now in (0, 5):
        if filled_now:
            assert fill(vector_database) == filled_now
        found = search(vector_database, through_index(), embeddings[:1], questions)
        assert {job.id for job in found.ranked[0]} == {0, 4}
        assert found.analyzed == 2
    assert fill(vector_database) == 0


@pytest.mark.parametrize(
    ("id_type", "ids"),
    [
        ("uuid", [f"00000000-0000-0000-0000-{n:010d}{n % 4}0" for n in range(300)]),
        ("text", [f"job {'ü' * (n % 5)}{n}" for n in range(300)]),
        ("smallint", list(range(300))),
    ],
)
def test_ids_of_every_type(
    vector_url: str, vector_database: Database, id_type: str, ids: list[object]
) -> None:
    run(vector_url, "ALTER TABLE skill_job1 ALTER job_id DROP IDENTITY IF EXISTS")
    run(vector_url, "ALTER TABLE skill_job1 ALTER job_id TYPE text")
    run(
        vector_url,
        f"ALTER TABLE skill_job1 ALTER job_id TYPE {id_type} USING job_id::{id_type}",
    )
    list(migrate(vector_url, extras=["pgvector"]))  # ours have the new type, too
    embeddings = clustered(300)
    embeddings[100:200] = embeddings[:100]  # ties, to be ordered by id
    run(
        vector_url,
        "INSERT INTO skill_job1 (job_id, skills, embedding, embedding_version)"
        f" SELECT id::{id_type}, 'text', embedding, %s"
        " FROM unnest(%s::text[], %s::bytea[]) AS new (id, embedding)",
        (VERSION, [str(id_) for id_ in ids], [row.tobytes() for row in embeddings]),
    )
    fill(vector_database)
    queries = clustered(5)
    questions = [profile_query(20)] * 5
    wanted = search(vector_database, STREAM, queries, questions).ranked
    backend = through_index()
    for each in (questions, [as_shallow(q) for q in questions]):
        found = search(vector_database, backend, queries, each, with_texts=True)
        assert [r for r in found.ranked if r] == [
            r for n, r in enumerate(wanted) if n not in found.inconclusive
        ]
        shown = {
            IdColumn(KINDS[id_type]).from_stream(job.id)
            for r in found.ranked
            for job in r
        }
        assert not found.jobs or found.jobs.keys() == shown
    assert len(found.jobs) > 20


KINDS: dict[str, Kind] = {"uuid": "uuid", "text": "text", "smallint": "integer"}


def test_rows_of_another_model_are_left_out(
    vector_url: str, vector_database: Database
) -> None:
    add_jobs(vector_url, clustered(300), range(300))
    fill(vector_database)
    run(
        vector_url,
        "UPDATE skill_job1 SET embedding_version = 'other' WHERE job_id % 3 = 0",
    )
    found = search(vector_database, through_index(), clustered(1), [profile_query(300)])
    assert found.analyzed == 200
    assert {job.id % 3 for job in found.ranked[0]} == {1, 2}
    assert len(found.ranked[0]) == 200


def test_without_the_migration_one_sentence_says_what_to_do(
    database: Database,
) -> None:
    with pytest.raises(SchemaError) as caught:
        search(database, through_index(), clustered(1), [profile_query(1)])
    assert str(caught.value) == (
        "SEARCH_BACKEND=pgvector needs the table recommender.job_vector, which is not"
        " there; run `python scripts/migrate.py --with pgvector` and"
        " `python scripts/build_vector_index.py`, or set SEARCH_BACKEND=stream."
    )


# --- filters, exclusions, least scores, pages ---------------------------------

EVERY_THIRD = AnyOf("level", (1,))
RARE = AnyOf("level", (9,))


@pytest.mark.parametrize(
    ("filters", "constraints"),
    [
        ((EVERY_THIRD,), Constraints()),
        ((RARE,), Constraints()),  # fewer than are asked for, and none is lost
        ((AnyOf("level", ()),), Constraints()),
        ((), Constraints(exclude=frozenset(range(1500)))),
        ((), Constraints(exclude=frozenset({"no id at all"}))),
        ((), Constraints(min_score=0.5)),
        ((), Constraints(min_score=2.0)),
        ((EVERY_THIRD,), Constraints(min_score=0.1, exclude=frozenset({1}))),
        ((), Constraints(after=CursorPosition(0.52, 0.0, 17))),
    ],
    ids=range(9),
)
def test_constraints_have_the_answers_of_the_stream(
    filled: Database, filters: tuple[AnyOf, ...], constraints: Constraints
) -> None:
    queries = nearby(8)
    questions = [profile_query(5, filters=filters, constraints=constraints)] * 8
    columns = ["level"]
    found = search(filled, through_index(), queries, questions, columns)
    wanted = search(filled, STREAM, queries, questions, columns)
    assert found.ranked == wanted.ranked
    assert found.analyzed == wanted.analyzed


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
    assert len(found & {job.id for job in wanted}) >= 198
