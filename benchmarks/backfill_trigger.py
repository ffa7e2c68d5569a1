"""What the triggers cost: an UPDATE of 10,000 rows with and without them.

python -m benchmarks.backfill_trigger
"""

# ruff: noqa: S608  (constants of this file)

import statistics
import time
from contextlib import closing

import psycopg2

from tests.support.postgres import fresh_database, running_server

ROWS = 10_000
ROUNDS = 7
FILL = f"""
    TRUNCATE skill_job1;
    INSERT INTO skill_job1 (job_id, skills, embedding, embedding_version)
    SELECT n, 'python, sql, data analysis ' || n,
           decode(repeat(md5(n::text), 96), 'hex'), 'all-MiniLM-L6-v2'
    FROM generate_series(1, {ROWS}) AS n
"""
STATEMENTS = {
    "texts change": "UPDATE skill_job1 SET skills = skills || '!'",
    "texts stay": "UPDATE skill_job1 SET skills = skills",
    "insert": "INSERT INTO skill_job1 (job_id, skills)"
    f" SELECT n + {ROWS}, 'python, sql ' || n FROM generate_series(1, {ROWS}) AS n",
}


def main() -> None:
    with (
        running_server() as server,
        fresh_database(server) as url,
        closing(psycopg2.connect(url)) as connection,
    ):
        connection.autocommit = True
        cursor = connection.cursor()
        for name, statement in STATEMENTS.items():
            took: dict[str, list[float]] = {"ENABLE": [], "DISABLE": []}
            # Turn about, so that what else the machine does hits both alike.
            for _ in range(ROUNDS):
                for state, times in took.items():
                    cursor.execute(FILL)
                    cursor.execute(f"ALTER TABLE skill_job1 {state} TRIGGER USER")
                    cursor.execute("VACUUM ANALYZE skill_job1")
                    start = time.perf_counter()
                    cursor.execute(statement)
                    times.append((time.perf_counter() - start) * 1000)
            with_ms, without_ms = map(statistics.median, took.values())
            print(
                f"{name}: {with_ms:.0f} ms with the triggers, {without_ms:.0f} without"
                f" ({ROWS} rows, median of {ROUNDS})"
            )


if __name__ == "__main__":
    main()
