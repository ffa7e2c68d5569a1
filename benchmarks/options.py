"""What freshness, `max_per`, diversity, feedback and interleaving cost beside the same
ranking without them: one client, in alternating rounds of one service each.

    REAL_DATA_DIR=… python -m benchmarks.options [--rows 10000 100000] [--rounds 7]

Columns `posted` and `company` are added to the table for the run. Half of the users
have ten events. Ratios are medians over the rounds, each beside its round's own `none`.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from statistics import median
from typing import Any

import psycopg2

from benchmarks.load import closed_loop
from benchmarks.rankings import PATIENT, table_with_skills
from benchmarks.servers import Running, project
from benchmarks.tables import DATA, USERS, bench_server

RANKINGS = ("hybrid", "similarity")
HALF = USERS // 2
COLUMNS = {"JOB_COLUMNS": "posted,company"}
# What a service compares in every answer; the last option has one of its own.
COMPARED = {"hybrid": "rank_by:similarity", "similarity": "rank_by:hybrid"}

NONE, FEEDBACK, INTERLEAVED = "none", "10 events of feedback", "`INTERLEAVE`"
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    NONE: {},
    "`freshness`": {"freshness": {"column": "posted"}},
    "`max_per`": {"max_per": {"company": 2}},
    "`diversity`": {"diversity": 0.3},
    FEEDBACK: {},
    INTERLEAVED: {},
}

ADD = """\
ALTER TABLE skill_job1 ADD COLUMN IF NOT EXISTS posted date,
    ADD COLUMN IF NOT EXISTS company text;
UPDATE skill_job1 SET posted = current_date - (job_id %% 365)::integer,
    company = 'company ' || job_id %% 997;
DELETE FROM recommender.feedback;
INSERT INTO recommender.feedback (user_id, job_id, event)
SELECT
    u::text,
    (1 + (u * 7919 + n * 104729) %% (SELECT max(job_id) FROM skill_job1))::text,
    (CASE WHEN n < 5 THEN 'saved' WHEN n < 8 THEN 'dismissed' ELSE 'applied' END)
        ::recommender.feedback_event
FROM generate_series(1, %(users)s) AS u, generate_series(0, 9) AS n;
"""
REMOVE = """\
ALTER TABLE skill_job1 DROP COLUMN posted, DROP COLUMN company;
DELETE FROM recommender.feedback;
DELETE FROM recommender.exposure;
"""
HEADER = (
    "| jobs | ranking | option | p50, ms | processor ms a request | time beside none |"
    " processor beside none | RssAnon, MB |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)

# (p50 in ms, processor ms a request) of each round.
Rounds = list[tuple[float, float]]


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    with bench_server() as server:
        urls = {rows: table_with_skills(server, rows) for rows in args.rows}
        print(HEADER, flush=True)
        for rows, url in urls.items():
            with _columns(url):
                for ranking in RANKINGS:
                    for line in _lines(url, rows, ranking, args):
                        print(line, flush=True)
    return 0


def _lines(
    url: str, rows: int, ranking: str, args: argparse.Namespace
) -> Iterator[str]:
    """A row of the table for each option."""
    settings = {
        **PATIENT,
        **COLUMNS,
        "RANK_BY": ranking,
        "SKILL_CACHE_DIR": str(DATA / f"skills-{rows}"),
    }
    logged = {"EXPOSURE_DAYS": "30", "INTERLEAVE": COMPARED[ranking]}
    with ExitStack() as stack:
        plain = stack.enter_context(project(url, **settings))
        comparing = stack.enter_context(project(url, **settings, **logged))
        services = {
            name: comparing if name == INTERLEAVED else plain for name in OPTIONS
        }
        for name, service in services.items():
            _measured(service, name, args.requests)  # loads the model and caches
        seen: dict[str, Rounds] = {name: [] for name in OPTIONS}
        for _ in range(args.rounds):
            for name, service in services.items():
                seen[name].append(_measured(service, name, args.requests))
        for name, service in services.items():
            figures = _figures(seen[name], seen[NONE])
            anon_mb = service.memory().anon_mb
            yield f"| {rows:,} | `{ranking}` | {name} | {figures} | {anon_mb:.1f} |"


def _measured(service: Running, name: str, requests: int) -> tuple[float, float]:
    """p50 and processor time of one request, in milliseconds."""
    first = 1 if name == FEEDBACK else 1 + HALF

    def body(number: int) -> dict[str, Any]:
        user = first + number % HALF
        return {"user_id": user, "top_n": 10, **OPTIONS[name]}

    before = service.cpu_s()
    load = closed_loop(service.port, body, clients=1, requests=requests)
    cpu_ms = (service.cpu_s() - before) / len(load.all_answered().latencies_s) * 1000
    return load.percentile_ms(50), cpu_ms


def _figures(seen: Rounds, none: Rounds) -> str:
    (p50, cpu), (time, processor) = (
        [median(each[n] for each in rounds) for n in (0, 1)]
        for rounds in (seen, _ratios(seen, none))
    )
    return f"{p50:.1f} | {cpu:.1f} | {time:.2f} | {processor:.2f}"


def _ratios(seen: Rounds, none: Rounds) -> Rounds:
    return [(a / c, b / d) for (a, b), (c, d) in zip(seen, none, strict=True)]


@contextmanager
def _columns(url: str) -> Iterator[None]:
    """The columns and events of the run."""
    _run(url, ADD, "VACUUM ANALYZE")
    try:
        yield
    finally:
        _run(url, REMOVE)


def _run(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement, {"users": HALF})


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=10, help="of each round")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
