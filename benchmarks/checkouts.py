"""Other checkouts in one run: each with its own service and database, made by its own
scripts.
"""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.sql import SQL, Identifier

from benchmarks.servers import MODEL_DIR, Running, free_port, wait_until_healthy
from benchmarks.tables import real_texts

JOBS = 500
USERS = 100


@contextmanager
def service(folder: Path, url: str) -> Iterator[Running]:
    """`python -m app` of a checkout, healthy."""
    port, start = free_port(), time.perf_counter()
    settings = {
        "DATABASE_URL": url,
        "PORT": str(port),
        "LOG_LEVEL": "warning",
        "JOB_COLUMNS": "location",
        "SKILL_CACHE_DIR": str(folder / ".cache" / "fairness"),
    }
    with ExitStack() as stack:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            cwd=folder,
            env=environment(folder) | settings,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.wait, 60)
        stack.callback(process.terminate)
        healthy_s = wait_until_healthy(process, port, start)
        yield Running(folder.name, port, process.pid, healthy_s)


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(folder),
        "MODEL_DIR": str(MODEL_DIR),
        "ENV_FILE": os.devnull,
    }


def filled(server: Any, name: str, folder: Path) -> str:
    """A database with jobs and users, migrated and embedded by the checkout."""
    database = f"fairness_{name}"
    with closing(psycopg2.connect(server.get_uri("postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            drop = SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
                Identifier(database)
            )
            cursor.execute(drop)
            cursor.execute(SQL("CREATE DATABASE {}").format(Identifier(database)))
    url: str = server.get_uri(database)
    _script(folder, url, "migrate.py")
    with closing(psycopg2.connect(url)) as connection, connection:
        _insert(connection.cursor())
    _script(folder, url, "generate_embeddings.py")
    return url


def _insert(cursor: Any) -> None:
    cursor.execute("ALTER TABLE skill_job1 ADD location text DEFAULT 'here'")
    for table, id_, what, rows in (
        ("skill_job1", "job_id", "jobs", JOBS),
        ("users", "user_id", "users", USERS),
    ):
        texts = itertools.cycle(real_texts(what, rows))
        insert = SQL(
            "INSERT INTO {} ({}, skills) SELECT * FROM unnest(%s::bigint[], %s::text[])"
        ).format(Identifier(table), Identifier(id_))
        numbered = list(range(1, rows + 1))
        cursor.execute(insert, (numbered, list(itertools.islice(texts, rows))))


def _script(folder: Path, url: str, name: str, *arguments: str) -> None:
    command: Sequence[str] = (sys.executable, f"scripts/{name}", *arguments)
    subprocess.run(
        command,
        cwd=folder,
        env=environment(folder) | {"DATABASE_URL": url},
        check=True,
        stdout=subprocess.DEVNULL,
    )
