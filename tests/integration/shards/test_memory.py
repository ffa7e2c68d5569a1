"""What a session of the coordinator holds while it reads all jobs from their shards."""

import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from app.commands.shards.servers import ROWS_HELD
from app.deadline import Deadline
from app.encoder.checkpoint import MINILM
from app.storage import jobs, skills
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.transaction import NOTHING, Sink, Transaction
from tests.support.bulk import fill_jobs
from tests.support.postgres import run
from tests.support.rows import VERSION, admit
from tests.support.shards import Databases, Fleet

PARTITIONS = 16
JOBS = 12_000
ALLOCATED = "SELECT sum(total_bytes)::int8 FROM pg_backend_memory_contexts"
# A row of 1.6 KB in a context that doubles its blocks; and what a session needs anyway.
MOST_BYTES = ROWS_HELD * 2_000 + 2_000_000


def laid_out(
    fleet: Fleet, count: int, folder: Path, patch: pytest.MonkeyPatch
) -> Iterator[Databases]:
    with fleet.fresh() as databases:
        patch.setenv("DATABASE_URL", databases.url)
        run(databases.url, "SELECT recommender.adopt()")
        fill_jobs(databases.url, count)
        admit(databases.url)
        assert databases.lay_out(folder, partitions=PARTITIONS) == 0
        yield databases


def statements(url: str, patch: pytest.MonkeyPatch) -> dict[str, tuple[str, str]]:
    """What the rankings stream: settings and query by the name of the ranking."""
    found: list[tuple[str, str]] = []

    def note(
        transaction: Transaction, query: object, _: Sink, *, settings: object = NOTHING
    ) -> None:
        cursor = transaction._cursor
        found.append((settings.as_string(cursor), query.as_string(cursor)))  # type: ignore[attr-defined]

    sink = io.BytesIO()
    with (
        patch.context() as patched,
        closing(Database(url, pool_size=1)) as database,
        database.snapshot(Deadline.after(30)) as transaction,
    ):
        table = Catalogue.read(transaction).jobs
        patched.setattr(Transaction, "copy_out", note)
        jobs.stream_embeddings(transaction, sink, jobs=table, version=VERSION)
        skills.stream_entries(
            transaction, sink, table, version=VERSION, dimension=MINILM.dimension
        )
    similarity, hybrid = found
    return {"similarity": similarity, "hybrid": hybrid}


def held_bytes(url: str, settings: str, query: str) -> int:
    """Of a session that reads all rows, at most, beyond what it takes to plan that."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"{settings}EXPLAIN {query}")
        cursor.execute(ALLOCATED)
        ((before,),) = cursor.fetchall()
        cursor.execute(f"DECLARE reading NO SCROLL CURSOR FOR {query}")
        most, fetched = 0, 1
        while fetched:
            cursor.execute("FETCH 500 FROM reading")
            fetched = len(cursor.fetchall())
            cursor.execute(ALLOCATED)
            ((now,),) = cursor.fetchall()
            most = max(most, now - before)
        return int(most)


def test_a_stream_holds_a_bounded_number_of_rows_whatever_the_number_of_jobs(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: dict[str, list[int]] = {}
    for count in (JOBS // 2, JOBS):
        for databases in laid_out(fleet, count, tmp_path, monkeypatch):
            for name, each in statements(databases.url, monkeypatch).items():
                held.setdefault(name, []).append(held_bytes(databases.url, *each))
                (settings, query) = each
                plan = run(databases.url, f"{settings}EXPLAIN {query}")
                text = "\n".join(line for (line,) in plan)
                assert text.count("Async Foreign Scan on jobs_") == PARTITIONS
                # Nothing collects rows before it passes the first on.
                for node in ("Hash", "Sort", "Materialize", "Seq Scan"):
                    assert node not in text, text
    print(held)
    for half, whole in held.values():
        assert whole < MOST_BYTES
        assert whole < 1.2 * half
