"""Vectors of pgvector beside their jobs: each shard searches an index of its own."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.commands.build_vector_index import main as build_vector_index
from app.commands.migrate import migrate
from app.query.constraints import AnyOf
from app.storage.connection.database import Database
from tests.integration.pgvector.searching import (
    STREAM,
    add_jobs,
    clustered,
    explained,
    fill,
    nearby,
    search,
    through_index,
)
from tests.support.doctor import findings
from tests.support.postgres import run
from tests.support.queries import profile_query
from tests.support.shards import Databases

JOBS = 3000
REMOTE_SQL = re.compile(r"Remote SQL: (.*)")


@pytest.fixture
def indexed(databases: Databases, tmp_path: Path) -> Databases:
    """Jobs of two regions on two shards, with vectors and their indexes."""
    run(databases.url, "ALTER TABLE skill_job1 ADD region text")
    list(migrate(databases.url, extras=["pgvector"]))
    add_jobs(databases.url, clustered(JOBS), range(JOBS))
    run(
        databases.url,
        "UPDATE skill_job1 SET region = CASE WHEN job_id % 2 = 0 THEN 'de' END",
    )
    assert databases.lay_out(tmp_path) == 0
    with closing(Database(databases.url, pool_size=1)) as database:
        assert fill(database) == JOBS
    assert build_vector_index(["--ef-construction", "100"]) == 0
    return databases


@pytest.fixture
def database(indexed: Databases) -> Iterator[Database]:
    with closing(Database(indexed.url, pool_size=1)) as database:
        yield database


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The plans of the searches that follow."""
    return explained(monkeypatch, "EXPLAIN (VERBOSE, COSTS OFF)")


def sent_of(plan: str) -> list[str]:
    """The statements that search vectors."""
    return [each for each in REMOTE_SQL.findall(plan) if ".vectors_" in each]


def tables(url: str) -> list[str]:
    """The tables of vectors on a shard."""
    query = (
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'vectors%'"
    )
    return [name for (name,) in run(url, query)]


def plan_there(databases: Databases, name: str, statement: str) -> str:
    """A shard's own plan for a statement, for any vector, as its session is set; but
    tables as small as these would be read as a whole.
    """
    (options,) = run(
        databases.url,
        "SELECT option_value FROM pg_foreign_server, pg_options_to_table(srvoptions)"
        " WHERE srvname = %s AND option_name = 'options'",
        (f"recommender_{name}",),
    )[0]
    vector = f"'{nearby(1)[0].tolist()}'"
    lines = run(
        f"{databases.shards[name]} options='{options} -c enable_seqscan=off'",
        "EXPLAIN " + statement.replace("$1", vector),
    )
    return "\n".join(line for (line,) in lines)


def test_order_and_limit_reach_the_index_of_each_shard_at_the_same_time(
    indexed: Databases, database: Database, plans: list[str]
) -> None:
    search(database, through_index(), nearby(2), [profile_query(10)] * 2)
    (plan,) = plans
    sent = sent_of(plan)
    assert len(sent) == 4
    for statement in sent:
        assert "ORDER BY (vector OPERATOR(public.<#>) $1::public.halfvec)" in statement
        assert statement.endswith(" LIMIT 30::bigint")
    assert plan.count("Async Foreign Scan on recommender_shards.vectors_") == 4
    # The jobs of these are asked for by their ids.
    reading = [each for each in REMOTE_SQL.findall(plan) if ".jobs_" in each]
    assert all("(job_id = ANY (" in statement for statement in reading)
    for name, url in indexed.shards.items():
        assert len(tables(url)) == 2
        for vectors in tables(url):
            (statement,) = (each for each in sent if f".{vectors} " in each)
            assert f"{vectors}_hnsw_idx" in plan_there(indexed, name, statement)


def test_a_filter_is_joined_on_the_shard_before_the_limit(
    indexed: Databases, database: Database, plans: list[str]
) -> None:
    questions = [profile_query(10, filters=(AnyOf("region", ("de",)),))] * 5
    queries = nearby(5)
    found = search(database, through_index(), queries, questions, ["region"])
    sent = sent_of(plans[0])
    assert len(sent) == 4
    for statement in sent:
        assert "INNER JOIN recommender_shards.jobs_" in statement
        assert "region" in statement
        assert statement.endswith(" LIMIT 30::bigint")
    wanted = search(database, STREAM, queries, questions, ["region"])
    assert found.analyzed == wanted.analyzed == JOBS // 2
    assert overlap(found.ranked, wanted.ranked) >= 0.95


def overlap(found: object, wanted: object) -> float:
    """The share of the best rows that an index found: it may miss some."""
    pairs = list(zip(found, wanted, strict=True))  # type: ignore[call-overload]
    hits = sum(len({r.id for r in a} & {r.id for r in b}) for a, b in pairs)
    return hits / sum(len(b) for _, b in pairs)


def test_an_exact_question_uses_no_index_and_misses_nothing(
    indexed: Databases, database: Database, plans: list[str]
) -> None:
    queries = np.random.default_rng(5).standard_normal((5, 384), dtype=np.float32)
    questions = [profile_query(10, exact=True)] * 5
    found = search(database, through_index(), queries, questions)
    (statement,) = (each for each in sent_of(plans[0]) if ".vectors_0 " in each)
    (part,) = (
        name for name, url in indexed.shards.items() if "vectors_0" in tables(url)
    )
    assert "hnsw" not in plan_there(indexed, part, statement)
    assert found.ranked == search(database, STREAM, queries, questions).ranked


def test_an_edit_forgets_the_vector_on_the_shard_and_filling_makes_another(
    indexed: Databases, database: Database
) -> None:
    def vectors() -> int:
        query = "SELECT count(*) FROM recommender_shards.{}"
        return sum(
            run(url, query.format(table))[0][0]
            for url in indexed.shards.values()
            for table in tables(url)
        )

    assert vectors() == JOBS
    run(indexed.url, "DELETE FROM skill_job1 WHERE job_id = 7")
    run(
        indexed.url,
        "UPDATE skill_job1 SET embedding = %s WHERE job_id < 3",
        (nearby(1).tobytes(),),
    )
    assert vectors() == JOBS - 4
    found = search(database, through_index(), nearby(1), [profile_query(3)])
    assert [row.id for row in found.ranked[0]] == [0, 1, 2]
    assert fill(database) == 3
    assert vectors() == JOBS - 1
    found = search(database, through_index(), nearby(1), [profile_query(3)])
    assert [row.id for row in found.ranked[0]] == [0, 1, 2]


def test_vectors_move_with_their_jobs_and_the_doctor_names_what_they_lack(
    indexed: Databases,
    database: Database,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEARCH_BACKEND", "pgvector")
    build = "python scripts/build_vector_index.py"
    assert build not in findings(capsys).values()
    assert indexed.lay_out(tmp_path, ["two"]) == 0
    problem = (
        "Vectors on the shard two have no index: each search compares all of them."
    )
    assert findings(capsys)[problem] == build
    assert build_vector_index([]) == 0
    assert build not in findings(capsys).values()
    questions = [profile_query(10, exact=True)] * 5
    wanted = search(database, STREAM, nearby(5), questions).ranked
    assert search(database, through_index(), nearby(5), questions).ranked == wanted
    assert indexed.lay_out(tmp_path, []) == 0
    assert search(database, through_index(), nearby(5), questions).ranked == wanted
    gone = "SELECT to_regnamespace('recommender_shards')"
    assert run(indexed.shards["two"], gone) == [(None,)]
    # The indexes of partitions that came back are to be built, too.
    assert findings(capsys)[
        "The vectors have no index: every request compares all jobs."
    ]
    assert build_vector_index([]) == 0
    assert build not in findings(capsys).values()


def test_vectors_made_before_the_shards_or_migrated_after_them_are_placed(
    databases: Databases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_jobs(databases.url, clustered(50), range(50))
    assert databases.lay_out(tmp_path) == 0
    list(migrate(databases.url, extras=["pgvector"]))
    with closing(Database(databases.url, pool_size=1)) as database:
        assert fill(database) == 50
        found = findings(capsys)
        lacking = [
            problem for problem in found if "the coordinator searches" in problem
        ]
        assert len(lacking) == 2
        assert {found[each] for each in lacking} == {"python scripts/shards.py FILE"}
        assert databases.lay_out(tmp_path) == 0
        assert "vectors_0 moved to one" in capsys.readouterr().out
        questions = [profile_query(5, exact=True)] * 5
        wanted = search(database, STREAM, nearby(5), questions).ranked
        assert search(database, through_index(), nearby(5), questions).ranked == wanted
    list(migrate(databases.url, extras=["pgvector"]))
