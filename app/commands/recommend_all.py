"""Recommend jobs to every user, into recommender.recommendation or a CSV file.

The results are those of the API. Each block of users needs one scan of the jobs. After
an interruption, the same command continues. DATABASE_URL, MODEL_DIR, RANK_BY,
JOB_COLUMNS and the other settings are those of the service.

Exit status: 0 when all users are done, 2 for an error, 130 after Ctrl-C.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import app.commands.one_blas_thread  # noqa: F401  (before NumPy)
from app.batching.batcher import BatchScope
from app.commands.progress import shown
from app.commands.recommendation_targets import (
    CsvTarget,
    RecommendationTarget,
    TableTarget,
)
from app.config import Settings, read_settings
from app.deadline import Deadline
from app.encoder.lazy import LazyEncoder
from app.errors import AppError, ConfigError, UserNotFoundError
from app.query.constraints import Constraints
from app.query.filters import read_filters
from app.query.ids import Id
from app.query.query import BatchKey, Query
from app.query.result import Outcome
from app.ranking.base import RankingContext
from app.ranking.dispatch import Dispatcher, result_of
from app.ranking.registry import RANKINGS, build_rankings, check_rank_by
from app.ranking.retrieval.full_scan import FullScan
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.dsn import primary
from app.storage.connection.model_snapshots import ModelSnapshots
from app.storage.models import model_in_use
from app.storage.recommendations import (
    StoredRecommendation,
    count_users_after,
    users_after,
)

BLOCK_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class QueryTemplate:
    """The query of each user, without the user."""

    key: BatchKey
    top_k: int
    constraints: Constraints

    def of(self, user_id: Id) -> Query:
        return Query(
            self.key,
            self.top_k,
            user_id,
            constraints=self.constraints,
            distinct=RANKINGS[self.key.ranking].is_distinct,
        )


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    try:
        settings = read_settings(Settings)
        dsn = primary(settings.database_url.get_secret_value())
        with closing(Database(dsn, pool_size=1)) as database:
            return _recommend(args, settings, database)
    except (AppError, OSError) as error:
        print(f"recommend_all: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; run the same command to continue.", file=sys.stderr)
        return 130


def _recommend(args: argparse.Namespace, settings: Settings, database: Database) -> int:
    columns = settings.filterable_columns
    filters = read_filters(_json_object(args.filters), columns=columns)
    ranking = args.rank_by or check_rank_by(settings.rank_by)
    constraints = Constraints(min_score=args.min_score)
    template = QueryTemplate(
        BatchKey(ranking, filters=filters), args.top_n, constraints
    )
    with database.snapshot(_deadline()) as transaction:
        catalogue = Catalogue.read(transaction, job_columns=columns)
        version = model_in_use(transaction) or settings.model_source.name
    encoder = LazyEncoder(settings.folder_of(version), version)
    target = _target(args, database, catalogue, f"{template} {encoder.version}")
    after = target.open()
    with database.snapshot(_deadline()) as transaction:
        total = count_users_after(transaction, catalogue, after)
    if after is not None:
        print(f"Continuing an unfinished run: {total} users left.")
    start = time.monotonic()
    done = sum(
        shown(
            _blocks(
                database,
                catalogue,
                _dispatcher(settings, database, encoder),
                template,
                target,
                after=after,
                size=args.block,
            ),
            total,
            unit="user",
            size=int,
        )
    )
    target.finish()
    seconds = time.monotonic() - start
    print(f"{done} users in {seconds:.1f} s ({done / seconds:.0f} per second).")
    return 0


def _blocks(
    database: Database,
    catalogue: Catalogue,
    dispatcher: Dispatcher,
    template: QueryTemplate,
    target: RecommendationTarget,
    *,
    after: Id | None,
    size: int,
) -> Iterator[int]:
    """Recommend to one block after another. Yields the number of users of each."""
    while True:
        with database.snapshot(_deadline()) as transaction:
            users = users_after(transaction, catalogue, after, limit=size)
        if not users:
            return
        scope = BatchScope(_deadline(), lambda: False)
        outcomes = dispatcher.run([template.of(user) for user in users], scope)
        rows = [
            row
            for user, outcome in zip(users, outcomes, strict=True)
            for row in _rows(user, outcome)
        ]
        target.write(users, rows)
        after = users[-1]
        yield len(users)


def _rows(user: Id, outcome: Outcome) -> Iterator[StoredRecommendation]:
    if isinstance(outcome, UserNotFoundError):
        return  # deleted since the block was read
    for rank, hit in enumerate(result_of(outcome).hits, start=1):
        yield StoredRecommendation(
            user, rank, hit.id, hit.similarity_score, hit.match_score
        )


def _dispatcher(
    settings: Settings, database: Database, encoder: LazyEncoder
) -> Dispatcher:
    context = RankingContext(
        ModelSnapshots(database, encoder.version),
        encoder,
        FullScan(version=encoder.version, scan_chunk_rows=settings.scan_chunk_rows),
        settings.skill_cache_dir,
        job_columns=settings.filterable_columns,
    )
    return Dispatcher(build_rankings(context))


def _target(
    args: argparse.Namespace, database: Database, catalogue: Catalogue, question: str
) -> RecommendationTarget:
    if args.csv:
        return CsvTarget(args.csv, question=question, anew=args.restart)
    return TableTarget(database, catalogue, question=question, anew=args.restart)


def _json_object(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise ConfigError(
            '--filters must be a JSON object, for example {"remote": true}.'
        )
    return given


def _deadline() -> Deadline:
    return Deadline.after(BLOCK_TIMEOUT_S)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "--to-table", action="store_true", help="into recommender.recommendation"
    )
    target.add_argument("--csv", type=Path, metavar="FILE")
    parser.add_argument("--top-n", type=_positive, default=10, metavar="JOBS")
    parser.add_argument("--rank-by", choices=list(RANKINGS), help="default: RANK_BY")
    parser.add_argument(
        "--filters", default="{}", metavar="JSON", help="as in a request"
    )
    parser.add_argument("--min-score", type=float, metavar="SCORE")
    parser.add_argument(
        "--block",
        type=_positive,
        default=256,
        metavar="USERS",
        help="users per scan (default: %(default)s)",
    )
    parser.add_argument(
        "--restart", action="store_true", help="start over and overwrite results"
    )
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
