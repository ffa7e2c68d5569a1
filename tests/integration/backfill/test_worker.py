"""One worker over a real database, without the model."""

import threading
from collections.abc import Sequence
from contextlib import closing
from itertools import islice

import numpy as np
import psycopg2
import pytest
from numpy.typing import NDArray
from psycopg2.sql import SQL

from app.backfill import Backfill, Progress
from app.commands.migrate import migrate
from app.errors import DatabaseUnavailableError, ModelUnavailableError
from app.storage.connection.database import Database
from app.storage.coverage import Coverage
from tests.support.encoders import HashEncoder, direction
from tests.support.postgres import run
from tests.support.rows import add_job, add_pending_jobs, add_user
from tests.support.skills import rows_of, total_of

SOUND = np.ones(384, "<f4").tobytes()


class HookedEncoder(HashEncoder):
    """Calls a function during encoding; some texts fail."""

    def __init__(self, hook: object = None, poison: Sequence[str] = ()) -> None:
        super().__init__()
        self.hook = hook
        self.poison = set(poison)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if callable(self.hook):
            self.hook()
        if self.poison.intersection(texts):
            raise ValueError("the text is poison")
        return super().encode(texts)


def embed(database: Database, encoder: HashEncoder, batch_size: int = 4) -> Progress:
    return total_of(Backfill(database, encoder, batch_size=batch_size).run())


def embedded(url: str) -> dict[object, str]:
    """The jobs with an embedding of their current text."""
    rows = run(
        url, "SELECT job_id, skills, embedding, embedding_version FROM skill_job1"
    )
    return {
        job_id: skills
        for job_id, skills, embedding, version in rows
        if embedding is not None
        and version == HashEncoder.version
        and bytes(embedding) == direction(skills).tobytes()
    }


def claims(url: str) -> int:
    count: int = run(url, "SELECT count(*) FROM recommender.claim")[0][0]
    return count


def test_all_rows_with_a_text_are_embedded_in_the_order_of_their_ids(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, [f"skill {n}" for n in range(10)])
    encoder = HashEncoder()
    assert embed(database, encoder, batch_size=10) == Progress(embedded=10)
    texts = [f"skill {n}" for n in range(10)]
    assert encoder.seen == [*texts, *texts]  # each is its own only skill
    assert len(embedded(database_url)) == 10
    assert claims(database_url) == 0


def test_f22_f23_f29_rows_of_every_state_are_counted_and_fixed(
    database: Database, database_url: str
) -> None:
    add_job(database_url, 1, "own", version=None)  # as the guide's script writes it
    add_job(database_url, 2, "current")
    add_job(database_url, 3, "short", embedding=SOUND[:-1])
    add_job(database_url, 4, "other model", version="another-model")
    add_pending_jobs_from(database_url, 5, ["new", None, " \n\u2003"])
    backfill = Backfill(database, HashEncoder(), batch_size=4)

    assert backfill.coverage() == Coverage(
        embedded=2, pending=1, stale=1, malformed=1, blank=2
    )
    assert backfill.remaining() == 5
    # 1 and 2 have their embeddings, and no skill ids yet.
    assert total_of(backfill.run()) == Progress(embedded=3, split=2)
    assert backfill.coverage() == Coverage(embedded=5, blank=2)
    assert embedded(database_url).keys() == {2, 3, 4, 5}  # 1 has no version: kept


def add_pending_jobs_from(url: str, first: int, texts: Sequence[str | None]) -> None:
    for number, text in enumerate(texts, start=first):
        run(
            url,
            SQL("INSERT INTO skill_job1 (job_id, skills) VALUES (%s, %s)"),
            (number, text),
        )


def test_f70_with_nothing_to_do_it_writes_nothing(
    database: Database, database_url: str
) -> None:
    add_job(database_url, 1, "python")
    add_pending_jobs_from(database_url, 2, [" "])
    embed(database, HashEncoder())
    before = next_transaction_id(database_url)
    backfill = Backfill(database, HashEncoder(), batch_size=4)
    assert rows_of(backfill.run()) == []
    assert backfill.remaining() == 0
    assert next_transaction_id(database_url) == before


def next_transaction_id(url: str) -> object:
    """The next transaction id: Postgres numbers only writing transactions."""
    return run(url, "SELECT pg_snapshot_xmax(pg_current_snapshot())")[0][0]


def test_f66_a_row_edited_while_it_is_embedded_gets_the_vector_of_its_new_text(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["old", "kept"])
    edits = iter(["UPDATE skill_job1 SET skills = 'new' WHERE job_id = 1"])

    def edit() -> None:
        for statement in edits:
            run(database_url, statement)

    assert embed(database, HookedEncoder(edit)) == Progress(embedded=2, changed=1)
    assert embedded(database_url) == {1: "new", 2: "kept"}


def test_f67_a_row_deleted_while_it_is_embedded_stops_nothing(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["gone", "kept"])
    encoder = HookedEncoder(
        lambda: run(database_url, "DELETE FROM skill_job1 WHERE job_id = 1")
    )
    assert embed(database, encoder) == Progress(embedded=1, changed=1)
    assert embedded(database_url) == {2: "kept"}


def test_f69_an_editor_is_not_blocked_while_rows_are_being_embedded(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["old", "kept"])

    def edit_without_waiting() -> None:
        run(
            database_url,
            "BEGIN; SET LOCAL lock_timeout = '1ms';"
            " SELECT * FROM skill_job1 FOR UPDATE;"
            " UPDATE skill_job1 SET skills = skills || ' edited'"
            " WHERE skills NOT LIKE '%edited'; COMMIT",
        )

    assert embed(database, HookedEncoder(edit_without_waiting)).embedded == 2
    assert embedded(database_url) == {1: "old edited", 2: "kept edited"}


def test_a_row_locked_by_an_editor_is_skipped_without_waiting(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["busy", "free"])
    with closing(psycopg2.connect(database_url)) as editor:
        editor.cursor().execute("SELECT FROM skill_job1 WHERE job_id = 1 FOR UPDATE")
        assert embed(database, HashEncoder()) == Progress(embedded=1)
        assert embedded(database_url) == {2: "free"}
        editor.rollback()
    assert embed(database, HashEncoder()) == Progress(embedded=1)


def test_f68_rows_that_cannot_be_encoded_go_into_quarantine_and_the_others_finish(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a", "poison 1", "b", "poison 2", "c"])
    encoder = HookedEncoder(poison=["poison 1", "poison 2"])
    backfill = Backfill(database, encoder, batch_size=4)

    done = total_of(backfill.run())

    assert done == Progress(embedded=3, quarantined=2)
    assert embedded(database_url) == {1: "a", 3: "b", 5: "c"}
    assert backfill.coverage() == Coverage(embedded=3, quarantined=2)
    reasons = [(failure.row_id, failure.reason) for failure in backfill.failures()]
    assert reasons == [
        ("2", "The encoder failed with ValueError."),
        ("4", "The encoder failed with ValueError."),
    ]
    assert rows_of(backfill.run()) == []  # no worker retries them


def test_f68_rows_that_the_database_refuses_go_into_quarantine_too(
    database: Database, database_url: str
) -> None:
    run(
        database_url,
        "ALTER TABLE skill_job1 ADD CHECK (job_id <> 2 OR embedding IS NULL)",
    )
    add_pending_jobs(database_url, ["a", "refused", "c"])
    backfill = Backfill(database, HashEncoder(), batch_size=4)
    assert total_of(backfill.run()) == Progress(embedded=2, quarantined=1)
    assert [failure.reason for failure in backfill.failures()] == [
        "The database rejected a statement (SQLSTATE 23514)."
    ]
    assert embedded(database_url) == {1: "a", 3: "c"}
    assert claims(database_url) == 0


def test_an_update_that_a_trigger_swallows_ends_in_quarantine_and_not_in_a_loop(
    database: Database, database_url: str
) -> None:
    run(
        database_url,
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN NULL; END $$;"
        "CREATE TRIGGER swallow BEFORE UPDATE ON skill_job1"
        " FOR EACH ROW WHEN (NEW.job_id <= 2) EXECUTE FUNCTION swallow()",
    )
    add_pending_jobs(database_url, ["a", "b", "c"])
    backfill = Backfill(database, HashEncoder(), batch_size=1)
    assert total_of(backfill.run()).quarantined == 2
    assert embedded(database_url) == {3: "c"}


def test_a_row_that_an_editor_holds_at_every_store_is_not_quarantined(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a"])
    with closing(psycopg2.connect(database_url)) as editor, editor.cursor() as cursor:
        encoder = HookedEncoder(
            lambda: cursor.execute("SELECT FROM skill_job1 FOR UPDATE")
        )
        backfill = Backfill(database, encoder, batch_size=4)
        for done in islice(backfill.run(), 6):
            assert rows_of([done]) == [Progress(changed=1)]
            editor.rollback()
    encoder.hook = None
    assert total_of(backfill.run()) == Progress(embedded=1)


def test_a_quarantined_row_is_tried_again_when_its_text_changes(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["poison"])
    encoder = HookedEncoder(poison=["poison"])
    embed(database, encoder)
    run(database_url, "UPDATE skill_job1 SET skills = 'mended'")
    assert embed(database, encoder) == Progress(embedded=1)
    assert Backfill(database, encoder, batch_size=4).failures() == []
    assert run(database_url, "SELECT * FROM recommender.failure") == []


def test_a_quarantined_row_is_retried_on_request(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["poison", "b"])
    encoder = HookedEncoder(poison=["poison"])
    embed(database, encoder)
    encoder.poison.clear()
    backfill = Backfill(database, encoder, batch_size=4)
    assert backfill.retry_failures() == 1
    assert total_of(backfill.run()) == Progress(embedded=1)


def test_a_missing_model_is_no_fault_of_the_rows_and_gives_them_back(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a"])

    def fail() -> None:
        raise ModelUnavailableError("The model is absent: run `make model`.")

    with pytest.raises(ModelUnavailableError):
        embed(database, HookedEncoder(fail))
    assert claims(database_url) == 0
    assert run(database_url, "SELECT * FROM recommender.failure") == []


def test_an_error_that_would_befall_every_row_quarantines_none(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a", "b"])
    run(
        database_url,
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'no space' USING ERRCODE = 'disk_full'; END $$;"
        "CREATE TRIGGER full_disk BEFORE UPDATE ON skill_job1"
        " FOR EACH ROW EXECUTE FUNCTION full_disk()",
    )
    backfill = Backfill(database, HashEncoder(), batch_size=4, patience_s=0.3)
    with pytest.raises(DatabaseUnavailableError, match=r"SQLSTATE 53100"):
        list(backfill.run())
    assert run(database_url, "SELECT * FROM recommender.failure") == []
    assert claims(database_url) == 0


def test_stopped_half_way_it_stores_its_results_and_releases_the_rest(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, [f"skill {n}" for n in range(10)])
    stop = threading.Event()
    backfill = Backfill(
        database, HookedEncoder(stop.set), batch_size=10, slice_rows=3, stop=stop
    )
    assert rows_of(backfill.run()) == [Progress(embedded=3)]
    assert len(embedded(database_url)) == 3
    assert claims(database_url) == 0


def test_a_limit_counts_rows(database: Database, database_url: str) -> None:
    add_pending_jobs(database_url, [f"skill {n}" for n in range(10)])
    backfill = Backfill(database, HashEncoder(), batch_size=4)
    assert [done.embedded for done in backfill.run(limit=6)] == [4, 2]


@pytest.mark.parametrize("column", ["uuid", "text", "integer"])
def test_ids_of_every_type_page_to_the_end(
    database: Database, database_url: str, column: str
) -> None:
    run(
        database_url,
        "ALTER TABLE skill_job1 ALTER job_id DROP IDENTITY;"
        f" ALTER TABLE skill_job1 ALTER job_id TYPE {column} USING NULL",
    )
    list(migrate(database_url))  # the state has the new type, too
    value = "n" if column == "integer" else "md5(n::text)::uuid"
    run(
        database_url,
        f"INSERT INTO skill_job1 SELECT {value}, 'skill ' || n"
        " FROM generate_series(1, 25) AS n",
    )
    assert embed(database, HashEncoder()) == Progress(embedded=25)
    assert len(embedded(database_url)) == 25


def test_a_text_of_fixed_length_can_be_compared_with_what_was_embedded(
    database: Database, database_url: str
) -> None:
    run(database_url, "ALTER TABLE skill_job1 ALTER skills TYPE char(20)")
    add_pending_jobs(database_url, ["padded"])
    assert embed(database, HashEncoder()) == Progress(embedded=1)


def test_users_are_embedded_as_jobs_are(database: Database, database_url: str) -> None:
    add_user(database_url, 1, "python")
    add_user(database_url, 2, None)
    backfill = Backfill(database, HashEncoder(), batch_size=4, entity="users")
    assert rows_of(backfill.run()) == [Progress(embedded=1)]
    ((stored,),) = run(
        database_url, "SELECT embedding FROM recommender.user_state WHERE user_id = 1"
    )
    assert bytes(stored) == direction("python").tobytes()
    assert backfill.coverage() == Coverage(embedded=1, blank=1)
