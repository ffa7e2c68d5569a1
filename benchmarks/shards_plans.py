"""What the coordinator sends to each shard, and the shard's own plan for it."""

import json
import re
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import psycopg2

from app.deadline import Deadline
from app.ranking.retrieval.search_params import NEAR
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.vectors import NearestQuery, VectorQuery, nearest_query
from benchmarks.recombined import users_of
from benchmarks.shards_table import VERSION
from tests.support.postgres import run
from tests.support.shards import Databases

TOP_N = 10
BY_ID = "SELECT job_id, skills FROM skill_job1 WHERE job_id = ANY ('{1,2,3,4,5}')"
REMOTE_SQL = re.compile(r"Remote SQL: (.*)")
VECTOR = re.compile(r"\[[-\d,]{100,}\]")
PARTS = "SELECT part FROM recommender_shards.health"


def near_statement(url: str) -> str:
    """The search of pgvector for one user, as the service sends it."""
    with closing(Database(url, pool_size=1)) as database:
        with database.snapshot(Deadline.after(60)) as transaction:
            rows = VectorQuery.of(Catalogue.read(transaction), VERSION)
        unit = users_of(1)[0].astype(np.float64)
        near = NearestQuery(unit, wanted=TOP_N, size=TOP_N + 20, margin=NEAR.margin)
        with closing(psycopg2.connect(url)) as connection:
            query = nearest_query(rows, [near], hnsw=NEAR.hnsw)
            return str(query.as_string(connection))


def show_plans(databases: Databases, names: Sequence[str], query: str) -> None:
    """Print them for a statement, one of each shard."""
    lines = run(databases.url, f"EXPLAIN (VERBOSE, FORMAT TEXT) {query}")
    sent = {found[1] for (line,) in lines if (found := REMOTE_SQL.search(line))}
    vector = f"'{users_of(1)[0].tolist()}'"
    for name in names:
        there = {part for (part,) in run(databases.shards[name], PARTS)}
        there |= {part.replace("jobs_", "vectors_") for part in there}
        for statement in sorted(sent, reverse=True):
            if any(f"recommender_shards.{part} " in f"{statement} " for part in there):
                filled = statement.replace("$1::public.halfvec", vector)
                filled = filled.replace("$1::bigint[]", "'{1,2,3}'::bigint[]")
                plan = run(databases.shards[name], f"EXPLAIN {filled}")
                used = [line.strip() for (line,) in plan if "Index" in line]
                short = VECTOR.sub("[…]", statement)
                print(f"  {name}: {short}\n    {json.dumps(used[:1])}", flush=True)
                break
