"""TITLE_COLUMN: a job's title is one more of its skills, and a new one is noticed."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg2.errors
import pytest
from numpy.typing import NDArray

from app.backfill import Backfill, Progress
from app.commands import migrate
from app.deadline import Deadline
from app.errors import SchemaError
from app.query.result import Hit
from app.ranking.retrieval.base import EntrySource
from app.ranking.retrieval.replica.replica import Replica
from app.storage.catalogue import Catalogue, ServedTables, check_served
from app.storage.connection.database import Database
from tests.support.encoders import BlendEncoder, HashEncoder
from tests.support.postgres import Server, fresh_database, run
from tests.support.queries import job_query, profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.skills import all_work, fill, skills_of, total_of

TITLED = migrate.MigratedTables(title_column="title")
JOBS = (
    "INSERT INTO skill_job1 (skills, title) VALUES"
    " ('lorries, forklifts', 'Truck driver'), ('knives, ovens', 'Cook'),"
    " ('lorries, ledgers', NULL)"
)
STATES = (
    "SELECT job_id, state::text, skill_ids IS NULL, changed::text"
    " FROM recommender.job_state ORDER BY job_id"
)
TASKS = "SELECT count(*) FROM recommender.resplit"


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    """Three jobs with titles that are no skills yet."""
    with fresh_database(postgres) as fresh:
        run(fresh, "ALTER TABLE skill_job1 ADD title text")
        run(fresh, JOBS)
        yield fresh


@pytest.fixture
def titled(url: str) -> Iterator[Database]:
    """The same, migrated with TITLE_COLUMN and filled."""
    with_titles(url)
    with closing(Database(url, pool_size=4)) as database:
        fill(database, BlendEncoder())
        yield database


def with_titles(url: str, tables: migrate.MigratedTables = TITLED) -> None:
    list(migrate.migrate(url, tables=tables))


def found(
    database: Database,
    folder: Path,
    text: str,
    *,
    ranking: str = "hybrid",
    entry_source: EntrySource | None = None,
) -> Sequence[Hit]:
    built = ranking_over(
        database,
        BlendEncoder(),
        name=ranking,
        folder=folder,
        entry_source=entry_source,
    )
    query = profile_query(3, text=text, ranking=ranking)
    return results(rank(built, [query]))[0].hits


def test_without_the_setting_a_title_is_no_skill(url: str, tmp_path: Path) -> None:
    with closing(Database(url, pool_size=2)) as database:
        fill(database, BlendEncoder())
        assert skills_of(url)[1] == ["knives", "ovens"]
        assert not found(database, tmp_path, "cook", ranking="skills")


@pytest.mark.parametrize("ranking", ["skills", "hybrid"])
def test_a_job_is_found_by_its_title_which_is_shown_as_written(
    titled: Database, url: str, tmp_path: Path, ranking: str
) -> None:
    assert skills_of(url) == [
        ["lorries", "forklifts", "truck driver"],
        ["knives", "ovens", "cook"],
        ["lorries", "ledgers"],
    ]
    text = "truck driver, forklifts, ledgers"
    first = found(titled, tmp_path, text, ranking=ranking)[0]
    assert first.id == 1
    assert first.explanation is not None
    assert [(pair.skill, pair.other) for pair in first.explanation.matched] == [
        ("truck driver", "Truck driver"),
        ("forklifts", "forklifts"),
    ]
    assert first.explanation.missing == ["ledgers"]
    assert first.text == "lorries, forklifts"


def test_a_title_finds_and_is_never_asked_for(
    titled: Database, url: str, tmp_path: Path
) -> None:
    run(url, "INSERT INTO users (user_id, skills) VALUES (1, 'knives')")
    fill(titled, BlendEncoder())
    ranking = ranking_over(titled, BlendEncoder(), name="skills", folder=tmp_path)
    query = job_query(1, 2, ranking="skills", target="users")
    (result,) = results(rank(ranking, [query]))
    why = result.hits[0].explanation
    assert why is not None
    assert why.missing == ["ovens"]


def test_the_embedding_and_whole_texts_are_those_of_the_skills_alone(
    url: str, tmp_path: Path
) -> None:
    with closing(Database(url, pool_size=2)) as database:
        fill(database, BlendEncoder())
        stored = "SELECT embedding FROM skill_job1 ORDER BY job_id"
        before = run(url, stored)
        cosines = found(database, tmp_path, "cook", ranking="similarity")
        with_titles(url)
        encoder = BlendEncoder()
        assert total_of(all_work(database, encoder).run()) == Progress(split=2)
        assert sorted(encoder.seen) == ["cook", "truck driver"]
        assert run(url, stored) == before
        assert found(database, tmp_path, "cook", ranking="similarity") == cosines


def test_a_new_title_is_split_again_and_nothing_is_embedded_again(
    titled: Database, url: str
) -> None:
    before = run(url, STATES)
    run(url, "UPDATE skill_job1 SET title = 'Chef' WHERE job_id = 2")
    now = run(url, STATES)
    assert [row[:3] for row in now] == [
        (1, "embedded", False),
        (2, "embedded", True),
        (3, "embedded", False),
    ]
    assert int(now[1][3]) > int(before[1][3])
    encoder = BlendEncoder()
    assert total_of(all_work(titled, encoder).run()) == Progress(split=1)
    assert encoder.seen == ["chef"]
    assert skills_of(url)[1] == ["knives", "ovens", "chef"]


def test_an_update_that_leaves_the_title_alone_writes_no_state(
    titled: Database, url: str
) -> None:
    run(url, "ALTER TABLE skill_job1 ADD views int")
    before = run(url, STATES)
    run(url, "UPDATE skill_job1 SET views = 1, title = title || ''")
    assert run(url, STATES) == before
    assert list(all_work(titled, BlendEncoder()).run()) == []


def test_a_text_and_a_title_of_one_statement_are_both_made_again(
    titled: Database, url: str
) -> None:
    run(url, "UPDATE skill_job1 SET title = 'Baker', skills = 'bread' WHERE job_id = 2")
    assert total_of(all_work(titled, BlendEncoder()).run()) == Progress(embedded=1)
    assert skills_of(url)[1] == ["bread", "baker"]


def test_a_title_that_goes_takes_its_skill_along(titled: Database, url: str) -> None:
    run(url, "UPDATE skill_job1 SET title = NULL WHERE job_id = 1")
    run(url, "UPDATE skill_job1 SET title = ' n/a ' WHERE job_id = 2")
    fill(titled, BlendEncoder())
    assert skills_of(url)[:2] == [["lorries", "forklifts"], ["knives", "ovens"]]


def test_a_title_that_is_a_skill_already_counts_once(
    titled: Database, url: str
) -> None:
    run(url, "UPDATE skill_job1 SET title = '  KNIVES ' WHERE job_id = 2")
    fill(titled, BlendEncoder())
    assert skills_of(url)[1] == ["knives", "ovens"]


def test_a_title_edited_while_it_is_split_is_not_lost(
    titled: Database, url: str
) -> None:
    class Editor(HashEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if "chef" in texts:  # between the splitting and the storing
                run(url, "UPDATE skill_job1 SET title = 'Baker' WHERE job_id = 2")
            return super().encode(texts)

    run(url, "UPDATE skill_job1 SET title = 'Chef' WHERE job_id = 2")
    first = next(Backfill(titled, Editor(), batch_size=4).run())
    assert (first.split, first.changed) == (0, 1)
    assert skills_of(url)[1] is None
    fill(titled, BlendEncoder())
    assert skills_of(url)[1] == ["knives", "ovens", "baker"]


def test_rows_claimed_before_the_setting_get_their_titles(url: str) -> None:
    class Migrator(HashEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if "ovens" in texts:
                with_titles(url)
            return super().encode(texts)

    with closing(Database(url, pool_size=4)) as database:
        fill(database, Migrator())
        fill(database, BlendEncoder())
        assert skills_of(url)[1] == ["knives", "ovens", "cook"]


def test_another_column_or_none_is_followed(titled: Database, url: str) -> None:
    run(url, "ALTER TABLE skill_job1 ADD role varchar(40)")
    run(url, "UPDATE skill_job1 SET role = 'Chef' WHERE job_id = 2")
    with_titles(url, migrate.MigratedTables(title_column="role"))
    fill(titled, BlendEncoder())
    assert skills_of(url)[:2] == [["lorries", "forklifts"], ["knives", "ovens", "chef"]]
    run(url, "UPDATE skill_job1 SET role = 'Baker' WHERE job_id = 2")
    fill(titled, BlendEncoder())
    assert skills_of(url)[1] == ["knives", "ovens", "baker"]
    with_titles(url, migrate.MigratedTables())
    fill(titled, BlendEncoder())
    assert skills_of(url)[1] == ["knives", "ovens"]
    assert run(url, "SELECT FROM pg_trigger WHERE tgname = 'recommender_titled'") == []
    assert run(url, TASKS) == [(0,)]


def test_a_second_migration_splits_nothing_again(titled: Database, url: str) -> None:
    with_titles(url)
    assert run(url, TASKS) == [(0,)]
    for backfill in all_work(titled, BlendEncoder()).backfills:
        assert not backfill.any_waiting()


def test_titles_written_while_the_trigger_was_off_are_found(
    titled: Database, url: str
) -> None:
    run(
        url,
        "ALTER TABLE skill_job1 DISABLE TRIGGER ALL;"
        "UPDATE skill_job1 SET title = 'Chef' WHERE job_id = 2",
    )
    with_titles(url)
    fill(titled, BlendEncoder())
    assert skills_of(url)[1] == ["knives", "ovens", "chef"]


def test_another_table_of_jobs_has_its_own_titles(titled: Database, url: str) -> None:
    run(
        url,
        "CREATE TABLE other (job_id int PRIMARY KEY, title text, skills text);"
        "INSERT INTO other VALUES (5, 'Nurse', 'wards')",
    )
    with_titles(url, migrate.MigratedTables(jobs="other", title_column="title"))
    fill(titled, BlendEncoder())
    assert skills_of(url) == [["wards", "nurse"]]
    run(url, "UPDATE skill_job1 SET title = 'let go'")
    run(url, "UPDATE other SET title = 'Midwife'")
    fill(titled, BlendEncoder())
    assert skills_of(url) == [["wards", "midwife"]]


@pytest.mark.parametrize("backend", ["stream", "replica", "pgvector"])
def test_every_backend_ranks_by_the_new_title(
    titled: Database, url: str, tmp_path: Path, backend: str
) -> None:
    entry_source = None
    if backend == "replica":
        entry_source = Replica(
            titled,
            tmp_path / "replica",
            version=HashEncoder.version,
            scan_chunk_rows=16,
        )
        entry_source.keeper.run_once()
    elif backend == "pgvector":
        list(migrate.migrate(url, extras=["pgvector"], tables=TITLED))
        fill(titled, BlendEncoder())
    for title in ("Nurse", "Night watch"):
        run(url, f"UPDATE skill_job1 SET title = '{title}' WHERE job_id = 3")
        fill(titled, BlendEncoder())
        hits = found(titled, tmp_path, title, entry_source=entry_source)
        assert hits[0].id == 3
        assert hits[0].explanation is not None
        assert [pair.other for pair in hits[0].explanation.matched] == [title]
    if entry_source is not None:
        entry_source.close()


# --- columns of other types ---------------------------------------------------------

TYPES = ["varchar(40)", "char(40)", "title_domain"]


@pytest.mark.parametrize("type_", TYPES)
def test_a_title_of_any_type_of_text_follows_edits(
    postgres: Server, type_: str
) -> None:
    with fresh_database(postgres, template="template1") as url:
        run(
            url,
            "CREATE DOMAIN title_domain AS varchar(40);"
            f"CREATE TABLE skill_job1 (job_id text PRIMARY KEY, title {type_},"
            " skills text[]);"
            "INSERT INTO skill_job1 VALUES ('a', 'Cook', '{knives}')",
        )
        with_titles(url)
        with closing(Database(url, pool_size=2)) as database:
            fill(database, BlendEncoder())
            assert skills_of(url) == [["knives", "cook"]]
            run(url, "UPDATE skill_job1 SET title = 'Chef'")
            fill(database, BlendEncoder())
            assert skills_of(url) == [["knives", "chef"]]


def test_a_generated_title_of_a_partitioned_table_follows_its_source(
    postgres: Server,
) -> None:
    with fresh_database(postgres, template="template1") as url:
        run(
            url,
            "CREATE TABLE skill_job1 (job_id int PRIMARY KEY, role text, skills text,"
            " title text GENERATED ALWAYS AS (lower(role)) STORED)"
            " PARTITION BY LIST (job_id);"
            "CREATE TABLE one PARTITION OF skill_job1 FOR VALUES IN (1);"
            "CREATE TABLE rest PARTITION OF skill_job1 DEFAULT;"
            "INSERT INTO skill_job1 VALUES (1, 'COOK', 'knives'),"
            " (2, 'NURSE', 'wards')",
        )
        with_titles(url)
        with closing(Database(url, pool_size=2)) as database:
            fill(database, BlendEncoder())
            run(url, "UPDATE skill_job1 SET role = 'CHEF' WHERE job_id = 1")
            fill(database, BlendEncoder())
            assert skills_of(url) == [["knives", "chef"], ["wards", "nurse"]]
            run(url, "UPDATE skill_job1 SET job_id = 3 WHERE job_id = 1")  # moves
            fill(database, BlendEncoder())
            assert skills_of(url) == [["wards", "nurse"], ["knives", "chef"]]


# --- what cannot be served, and a setting that differs ------------------------------

REFUSED = {
    "headline": "skill_job1 (JOBS_TABLE) has no column headline, which TITLE_COLUMN"
    " names; correct it.",
    "views": "skill_job1 (JOBS_TABLE) has a column views of type integer; it may be"
    " text, character varying, character, citext.",
    "tags": "skill_job1 (JOBS_TABLE) has a column tags of type text[]; it may be"
    " text, character varying, character, citext.",
}


@pytest.mark.parametrize("column", REFUSED)
def test_a_column_that_cannot_be_a_title_is_named_before_anything_is_changed(
    url: str, column: str
) -> None:
    run(url, "ALTER TABLE skill_job1 ADD views int, ADD tags text[]")
    with pytest.raises(psycopg2.errors.RaiseException) as caught:
        with_titles(url, replace(TITLED, title_column=column))
    assert caught.value.diag.message_primary == REFUSED[column]
    assert run(url, "SELECT title_column FROM recommender.entity") == [(None,)] * 2


def test_a_title_without_a_table_of_jobs_is_refused(postgres: Server) -> None:
    with fresh_database(postgres, template="template1") as url:
        with pytest.raises(
            psycopg2.errors.RaiseException, match="no table of jobs yet"
        ):
            with_titles(url)
        assert run(url, "SELECT to_regnamespace('recommender')") == [(None,)]


def test_a_setting_that_the_migrations_do_not_know_is_reported(
    titled: Database,
) -> None:
    with titled.snapshot(Deadline.after(30)) as transaction:
        check_served(transaction)
        check_served(transaction, ServedTables(title_column="title"))
        with pytest.raises(SchemaError, match="TITLE_COLUMN names role"):
            check_served(transaction, ServedTables(title_column="role"))


def test_a_title_is_dropped_with_cascade_only_and_then_named(
    titled: Database, url: str
) -> None:
    with pytest.raises(psycopg2.errors.DependentObjectsStillExist):
        run(url, "ALTER TABLE skill_job1 DROP title")
    run(url, "ALTER TABLE skill_job1 DROP title CASCADE")
    with (
        titled.snapshot(Deadline.after(30)) as transaction,
        pytest.raises(SchemaError, match="has no column title any more"),
    ):
        Catalogue.read(transaction)
    with_titles(url, migrate.MigratedTables())
    fill(titled, BlendEncoder())
    assert skills_of(url)[1] == ["knives", "ovens"]
