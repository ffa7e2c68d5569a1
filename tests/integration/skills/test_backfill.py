"""The backfill of the vocabulary and skill ids, and pending rows."""

import threading
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import psycopg2
import pytest
from numpy.typing import NDArray
from psycopg2.sql import SQL

from app.backfill import Backfill, Progress
from app.backfill.vocabulary import VocabularyKeeper
from app.storage.connection.database import Database
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.rows import admit
from tests.support.skills import all_work, fill, rows_of, skills_of, total_of


def add_jobs(url: str, *texts: str | None) -> None:
    run(
        url,
        SQL(
            "INSERT INTO skill_job1 (job_id, skills)"
            " SELECT n, t FROM unnest(%s::text[]) WITH ORDINALITY AS new (t, n)"
        ),
        (list(texts),),
    )


def test_every_text_becomes_ids_and_every_skill_is_embedded_once(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "SQL, Python", None, "python; Go", "  ", "...", "go")
    run(database_url, "INSERT INTO users (user_id, skills) VALUES (1, 'Rust/Python')")
    encoder = HashEncoder()
    work = all_work(database, encoder, batch_size=2)
    assert sum(backfill.remaining() for backfill in work.backfills) == 5
    done = sum(work.run(), Progress())
    assert (done.embedded, done.skills) == (5, 4)
    assert skills_of(database_url) == [
        ["sql", "python"],
        None,
        ["python", "go"],
        None,
        [],
        ["go"],
    ]
    assert skills_of(database_url, "user_state", "user_id") == [["rust", "python"]]
    texts = ["SQL, Python", "python; Go", "...", "go", "Rust/Python"]
    skills = ["go", "python", "rust", "sql"]
    assert sorted(encoder.seen) == sorted([*texts, *skills])
    assert not any(backfill.remaining() for backfill in work.backfills)


def test_f70_a_second_run_writes_nothing(database: Database, database_url: str) -> None:
    add_jobs(database_url, "sql")
    fill(database, HashEncoder())
    before = run(
        database_url, "SELECT xmin, revision FROM recommender.skill_vocabulary"
    )
    assert list(all_work(database, HashEncoder()).run()) == []
    assert (
        run(database_url, "SELECT xmin, revision FROM recommender.skill_vocabulary")
        == before
    )


def test_an_edit_makes_a_row_pending_and_another_column_does_not(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "sql", "go")
    fill(database, HashEncoder())
    run(database_url, "UPDATE skill_job1 SET skills = 'rust' WHERE job_id = 1")
    run(database_url, "UPDATE skill_job1 SET embedding = 'x' WHERE job_id = 2")
    assert skills_of(database_url) == [None, ["go"]]
    fill(database, HashEncoder())
    assert skills_of(database_url) == [["rust"], ["go"]]


def test_f66_an_edit_during_the_embedding_keeps_the_row_pending(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "sql", "go")

    class Editor(HashEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            run(database_url, "UPDATE skill_job1 SET skills = 'new' WHERE job_id = 1")
            return super().encode(texts)

    first = next(Backfill(database, Editor(), batch_size=4).run())
    assert (first.embedded, first.changed) == (1, 1)
    assert skills_of(database_url) == [None, ["go"]]


def test_f67_a_row_deleted_during_the_embedding_is_no_error(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "sql", "go")

    class Deleter(HashEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            run(database_url, "DELETE FROM skill_job1 WHERE job_id = 1")
            return super().encode(texts)

    backfill = Backfill(database, Deleter(), batch_size=4)
    assert total_of(backfill.run()) == Progress(embedded=1, changed=1)
    assert skills_of(database_url) == [["go"]]


def test_f29_skills_of_another_version_are_embedded_again_under_their_ids(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "sql")
    fill(database, HashEncoder())
    run(database_url, "UPDATE recommender.skill SET embedding_version = 'older'")
    work = all_work(database, HashEncoder())
    assert work.vocabulary.count_stale() == 1
    assert list(work.run()) == [Progress(skills=1)]
    assert run(
        database_url, "SELECT skill_id, embedding_version FROM recommender.skill"
    ) == [(1, HashEncoder.version)]


def test_skills_that_no_row_has_any_more_can_be_removed(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "sql, go", "rust")
    run(database_url, "INSERT INTO users (user_id, skills) VALUES (1, 'oil')")
    fill(database, HashEncoder())
    run(database_url, "UPDATE skill_job1 SET skills = 'go' WHERE job_id = 1")
    run(database_url, "DELETE FROM skill_job1 WHERE job_id = 2")
    fill(database, HashEncoder())
    assert VocabularyKeeper(database, HashEncoder()).remove_unused() == 2
    assert run(database_url, "SELECT skill FROM recommender.skill ORDER BY skill") == [
        ("go",),
        ("oil",),
    ]


def test_a_skill_removed_during_the_embedding_keeps_its_rows_pending(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "sql")
    fill(database, HashEncoder())
    run(database_url, "INSERT INTO skill_job1 (job_id, skills) VALUES (9, 'sql, go')")

    class Remover(HashEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if list(texts) == ["go"]:
                query = "DELETE FROM recommender.skill WHERE skill = 'sql'"
                run(database_url, query)
            return super().encode(texts)

    backfill = Backfill(database, Remover(), batch_size=4)
    # Its embedding is kept, and the next batch brings its skills.
    assert rows_of(backfill.run()) == [Progress(embedded=1), Progress(split=1)]
    data = run(
        database_url, "SELECT skill_ids FROM recommender.job_state WHERE job_id = 9"
    )[0][0]
    names = dict(run(database_url, "SELECT skill_id, skill FROM recommender.skill"))
    assert [names[n] for n in np.frombuffer(data, "<i4").tolist()] == ["sql", "go"]


def test_a_row_that_an_editor_has_locked_is_left_for_the_next_run(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "sql", "go")
    with closing(psycopg2.connect(database_url)) as editor, editor.cursor() as cursor:
        cursor.execute("SELECT FROM skill_job1 WHERE job_id = 1 FOR UPDATE")
        (done,) = Backfill(database, HashEncoder(), batch_size=4).run()
        assert (done.embedded, done.changed) == (1, 0)
        editor.rollback()
    fill(database, HashEncoder())
    assert skills_of(database_url) == [["sql"], ["go"]]


@pytest.mark.parametrize("table", ["skill_job1", "users"])
def test_a_text_that_another_trigger_changes_makes_the_row_pending(
    database: Database, database_url: str, table: str
) -> None:
    key = {"skill_job1": "job_id", "users": "user_id"}[table]
    run(database_url, f"INSERT INTO {table} ({key}, skills) VALUES (1, 'sql')")
    fill(database, HashEncoder())
    run(
        database_url,
        "CREATE FUNCTION translate_text() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.skills := 'go'; RETURN NEW; END $$;"
        f" CREATE TRIGGER translate_text BEFORE UPDATE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION translate_text()",
    )
    run(database_url, f"UPDATE {table} SET {key} = 2")
    admit(database_url)
    state = {"skill_job1": "job_state", "users": "user_state"}[table]
    assert skills_of(database_url, state, key) == [None]


def test_only_the_selected_tables_are_processed_and_all_keep_their_skills(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "sql")
    run(database_url, "INSERT INTO users (user_id, skills) VALUES (1, 'oil')")
    fill(database, HashEncoder())
    run(database_url, "UPDATE users SET skills = 'gas'")
    run(database_url, "UPDATE skill_job1 SET skills = 'go'")
    users_only = all_work(database, HashEncoder(), entities=["users"])
    assert total_of(users_only.run()) == Progress(embedded=1)
    assert skills_of(database_url) == [None]
    assert skills_of(database_url, "user_state", "user_id") == [["gas"]]
    fill(database, HashEncoder())
    assert users_only.vocabulary.remove_unused() == 2
    assert skills_of(database_url) == [["go"]]


def test_a_stop_keeps_the_skills_that_are_embedded_and_the_row_waits(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "a, b, c, d, e")
    stop = threading.Event()
    encoder = HashEncoder()
    vocabulary = VocabularyKeeper(
        database,
        encoder,
        slice_skills=2,
        stop=stop,
        throttle=lambda _spent_s: stop.set() if len(encoder.seen) >= 5 else None,
    )
    backfill = Backfill(
        database, encoder, batch_size=4, vocabulary=vocabulary, stop=stop
    )
    assert list(backfill.run()) == [Progress(embedded=1, skills=4)]
    assert skills_of(database_url) == [None]
    second = HashEncoder()
    fill(database, second)
    assert second.seen == ["e"]
    assert skills_of(database_url) == [["a", "b", "c", "d", "e"]]


def test_a_skill_that_cannot_be_encoded_matches_nothing_and_is_reported(
    database: Database, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_jobs(database_url, "sql, secret word")

    class Failing(HashEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if "secret word" in texts:
                raise ValueError(texts)
            return super().encode(texts)

    fill(database, Failing())
    assert skills_of(database_url) == [["sql", "secret word"]]
    stored = dict(run(database_url, "SELECT skill, embedding FROM recommender.skill"))
    assert not any(bytes(stored["secret word"]))
    assert any(bytes(stored["sql"]))
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text


def test_polling_is_right_before_and_after_the_work(
    database: Database, database_url: str
) -> None:
    work = all_work(database, HashEncoder())
    add_jobs(database_url, "sql")
    assert work.any_waiting()
    for _ in range(2):  # the second run sees the vocabulary that the first one left
        list(work.run())
    assert not work.any_waiting()
    run(database_url, "UPDATE recommender.skill SET embedding_version = 'older'")
    assert work.any_waiting()
