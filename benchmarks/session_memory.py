"""Memory of sessions of Postgres, as the kernel counts it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2

from benchmarks.memory import sampling

SAMPLED_EVERY_S = 0.05
SESSIONS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = %s"
    " AND application_name = 'job-recommender'"
)


@contextmanager
def peak_memory(url: str, database: str) -> Iterator[list[float]]:
    """RssAnon in MB of the service's sessions in a database of this server, sampled."""
    seen = [0.0]
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True

        def sample() -> None:
            with connection.cursor() as cursor:
                cursor.execute(SESSIONS, (database,))
                seen.extend(anonymous_mb(pid) for (pid,) in cursor.fetchall())

        with sampling(sample, SAMPLED_EVERY_S):
            yield seen


def anonymous_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0.0
    # A process that has ended keeps its place for a moment, without memory.
    found = [line.split()[1] for line in lines if line.startswith("RssAnon")]
    return int(found[0]) * 1024 / 1e6 if found else 0.0
