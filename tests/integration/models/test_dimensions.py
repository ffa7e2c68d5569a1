"""A model of another dimension: its embeddings have tables of their own, and answers
are those that the same vectors give in the guide's columns.
"""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from psycopg2.sql import SQL

from app.commands.migrate import migrate
from app.encoder import Encoder
from app.errors import ConfigError
from app.query.constraints import Range
from app.query.query import Query
from app.query.result import Result
from app.ranking.registry import RANKINGS
from app.storage.connection.database import Database
from tests.integration.models.encoders import PaddedEncoder, SmallEncoder
from tests.support.postgres import Server, fresh_database, run
from tests.support.queries import job_query, profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.rows import add_pending_jobs, add_user
from tests.support.skills import all_work, fill, skills_of

WORDS = [f"word{n}" for n in range(30)]
KEYS = ["bigint", "uuid", "text"]


def texts(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [
        ", ".join(
            " ".join(rng.sample(WORDS, rng.randint(1, 2)))
            for _ in range(rng.randint(1, 4))
        )
        for _ in range(count)
    ]


def key(kind: str, number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}" if kind == "uuid" else str(number)


@pytest.fixture(scope="module", params=KEYS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def urls(postgres: Server, kind: str) -> Iterator[dict[str, str]]:
    """The same rows, embedded by each of the two models."""
    with fresh_database(postgres) as small, fresh_database(postgres) as padded:
        found = {"small": small, "padded": padded}
        for name, encoder in (("small", SmallEncoder()), ("padded", PaddedEncoder())):
            url = found[name]
            run(
                url,
                "ALTER TABLE skill_job1 ALTER job_id DROP IDENTITY, ADD level int;"
                "ALTER TABLE users ALTER user_id DROP IDENTITY;"
                f"ALTER TABLE skill_job1 ALTER job_id TYPE {kind} USING NULL;"
                f"ALTER TABLE users ALTER user_id TYPE {kind} USING NULL",
            )
            list(migrate(url))
            for number, text in enumerate(texts(90, 1)):
                run(
                    url,
                    SQL(
                        "INSERT INTO skill_job1 (job_id, skills, level)"
                        " VALUES (%s, %s, %s)"
                    ),
                    (key(kind, number), text, number % 3),
                )
            for number, text in enumerate(texts(12, 2)):
                add_user(url, key(kind, number), text)
            with closing(Database(url, pool_size=1)) as database:
                fill(database, encoder)
        yield found


def answers(
    url: str, encoder: Encoder, folder: Path, name: str, queries: list[Query]
) -> list[Result]:
    with closing(Database(url, pool_size=1)) as database:
        ranking = ranking_over(
            database, encoder, name=name, folder=folder, job_columns=["level"]
        )
        return [results(rank(ranking, [query]))[0] for query in queries]


def shown(result: Result) -> list[tuple[object, float, float]]:
    return [
        (hit.id, round(hit.similarity_score or 0, 5), round(hit.match_score or 0, 5))
        for hit in result.hits
    ]


@pytest.mark.parametrize("name", list(RANKINGS))
def test_answers_are_those_of_the_same_vectors_in_the_guides_columns(
    urls: dict[str, str], kind: str, tmp_path: Path, name: str
) -> None:
    first = {"integer": 3}.get(kind, key(kind, 3))
    source = int(first) if kind == "bigint" else first
    levels = (Range("level", (("gte", 1),)),)
    queries = [
        profile_query(10, user_id=source, ranking=name),
        profile_query(10, text="word3 word4, word9, unheard", ranking=name),
        profile_query(10, text="word5", ranking=name, filters=levels),
        job_query(10, source, ranking=name),
        job_query(5, source, ranking=name, target="users"),
    ]
    small = answers(urls["small"], SmallEncoder(), tmp_path / "a", name, queries)
    padded = answers(urls["padded"], PaddedEncoder(), tmp_path / "b", name, queries)
    assert [shown(one) for one in small] == [shown(one) for one in padded]
    assert [one.analyzed for one in small] == [one.analyzed for one in padded]
    assert all(one.hits for one in small)


def test_the_guides_columns_stay_empty_and_no_row_waits(
    urls: dict[str, str],
) -> None:
    url = urls["small"]
    for table in ("skill_job1", "recommender.user_state", "recommender.skill"):
        query = f"SELECT count(embedding), count(embedding_version) FROM {table}"
        assert run(url, query) == [(0, 0)], table
    lengths = (
        "SELECT DISTINCT embedding_version, octet_length(embedding)"
        " FROM recommender.{}_embedding"
    )
    for table in ("job", "user", "skill"):
        found = run(url, lengths.format(table))
        assert found == [(SmallEncoder.version, 4 * SmallEncoder.dimension)], table
    states = "SELECT DISTINCT state FROM recommender.{}_state"
    assert run(url, states.format("job")) == run(url, states.format("user"))
    assert run(url, states.format("job")) == [("embedded",)]


EDITS = {
    "a new text": "UPDATE skill_job1 SET skills = 'c' WHERE job_id = 1",
    "with an embedding of the guide's": (
        "UPDATE skill_job1 SET skills = 'c', embedding ="
        " decode(repeat('0000803f', 384), 'hex') WHERE job_id = 1"
    ),
    "deleted and inserted again": (
        "DELETE FROM skill_job1 WHERE job_id = 1;"
        " INSERT INTO skill_job1 (job_id, skills) VALUES (1, 'c')"
    ),
    "another id": "UPDATE skill_job1 SET job_id = 7 WHERE job_id = 1",
    "truncated": (
        "TRUNCATE skill_job1; INSERT INTO skill_job1 (job_id, skills)"
        " VALUES (1, 'c'), (2, 'rust')"
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_forgets_the_embedding_and_the_next_run_makes_it(
    database: Database, database_url: str, edit: str
) -> None:
    add_pending_jobs(database_url, ["sql, go", "rust"])
    fill(database, SmallEncoder())
    run(database_url, edit)
    waiting = run(database_url, "SELECT job_id FROM recommender.job_embedding")
    assert waiting == ([] if "TRUNCATE" in edit else [(2,)])
    fill(database, SmallEncoder())
    expected = [] if "job_id = 7" in edit else [["c"], ["rust"]]
    if expected:
        assert skills_of(database_url) == expected
    for id_, text, stored in run(
        database_url,
        "SELECT t.job_id, t.skills, e.embedding FROM skill_job1 AS t"
        " LEFT JOIN recommender.job_embedding AS e USING (job_id)",
    ):
        vector = SmallEncoder().encode([text])[0]
        assert stored is not None, id_
        assert bytes(stored) == vector.tobytes(), id_


def test_what_the_guides_script_writes_meanwhile_changes_no_state(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["sql, go"])
    fill(database, SmallEncoder())
    before = run(database_url, "SELECT * FROM recommender.job_state")
    write = "UPDATE skill_job1 SET embedding = %s"
    run(database_url, write, (b"1" * 1536,))
    assert run(database_url, "SELECT * FROM recommender.job_state") == before
    run(database_url, "SELECT recommender.reconcile('jobs')")
    assert run(database_url, "SELECT * FROM recommender.job_state") == before


def test_a_user_whose_text_changes_has_no_embedding_until_the_next_run(
    database: Database, database_url: str
) -> None:
    add_user(database_url, 1, "sql")
    fill(database, SmallEncoder())
    run(database_url, "UPDATE users SET skills = 'go' WHERE user_id = 1")
    assert run(database_url, "SELECT * FROM recommender.user_embedding") == []
    fill(database, SmallEncoder())
    found = run(database_url, "SELECT embedding FROM recommender.user_embedding")
    vector = SmallEncoder().encode(["go"])[0]
    assert [bytes(data) for (data,) in found] == [vector.tobytes()]


class SmallerEncoder(SmallEncoder):
    dimension = 7


def test_another_model_of_the_same_name_is_refused(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["sql, go"])
    fill(database, SmallEncoder())
    with pytest.raises(ConfigError, match="another model had its name"):
        list(all_work(database, SmallerEncoder()).run())


def test_the_first_model_stays_until_a_switch(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["sql, go"])
    fill(database, PaddedEncoder())
    run(database_url, "UPDATE skill_job1 SET skills = 'c' WHERE job_id = 1")
    assert list(all_work(database, SmallEncoder()).backfills[0].run()) == []
    fill(database, PaddedEncoder())
    assert skills_of(database_url) == [["c"]]
