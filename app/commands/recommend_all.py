"""Recommend jobs to every user, into recommender.recommendation or a CSV file.

The results are those of the API. Each block of users needs one scan of the jobs. After
an interruption, the same command continues. DATABASE_URL, MODEL_DIR, RANK_BY,
JOB_COLUMNS and the other settings are those of the service. With --scheduler, the
workers of a Dask cluster answer the blocks (docs/cluster.md).

Exit status: 0 when all users are done, 2 for an error, 130 after Ctrl-C.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import app.commands.one_blas_thread  # noqa: F401  (before NumPy)
from app.commands.cluster import Cluster, add_scheduler, cluster_at
from app.commands.cluster_worker import Origin, RecommendTask, recommend
from app.commands.news import add_news_options, news_of
from app.commands.progress import shown
from app.commands.recommend_block import (
    BlockRecommender,
    QueryTemplate,
    RecommendedBlock,
    block_deadline,
)
from app.commands.recommendation_targets import (
    CsvTarget,
    RecommendationTarget,
    TableTarget,
)
from app.config import Settings, read_settings
from app.encoder.lazy import LazyEncoder
from app.errors import AppError, ConfigError
from app.query.constraints import Constraints, Unexpired
from app.query.filters import read_filters
from app.query.ids import Id
from app.query.numbers import counted
from app.query.query import BatchKey
from app.ranking.registry import RANKINGS, check_rank_by
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.dsn import primary
from app.storage.models import model_in_use
from app.storage.recommendations import count_users_after, users_after


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    try:
        settings = read_settings(Settings)
        dsn = primary(settings.database_url.get_secret_value())
        with (
            cluster_at(args.scheduler) as cluster,
            closing(Database(dsn, pool_size=1)) as database,
        ):
            return _recommend(args, settings, database, cluster=cluster)
    except (AppError, OSError) as error:
        print(f"recommend_all: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; run the same command to continue.", file=sys.stderr)
        return 130


def _recommend(
    args: argparse.Namespace,
    settings: Settings,
    database: Database,
    *,
    cluster: Cluster | None,
) -> int:
    columns = settings.filterable_columns
    filters = read_filters(_json_object(args.filters), columns=columns)
    if settings.expires is not None:
        filters = (*filters, Unexpired(settings.expires))
    ranking = args.rank_by or check_rank_by(settings.rank_by)
    constraints = Constraints(min_score=args.min_score)
    template = QueryTemplate(
        BatchKey(ranking, filters=filters, boosts=settings.boosts),
        args.top_n,
        constraints,
        settings.variety,
    )
    with database.snapshot(block_deadline()) as transaction:
        catalogue = Catalogue.read(transaction, job_columns=columns)
        version = model_in_use(transaction) or settings.model_source.name
    news = news_of(args, settings, database, catalogue)
    question = f"{template} {version}"
    tells = news is not None and news.is_of_last
    target = _target(args, database, catalogue, question, tells=tells)
    after = target.open()
    with database.snapshot(block_deadline()) as transaction:
        total = count_users_after(transaction, catalogue, after)
    if after is not None:
        print(f"Continuing an unfinished run: {counted(total, 'users')} left.")
    start = time.monotonic()
    users = _users(database, catalogue, after=after, size=args.block)
    task = RecommendTask(Origin.of(database), template, version, tuple(columns))
    if cluster is None:
        blocks = _recommended_here(users, task, settings, database)
    else:
        blocks = _recommended_by(cluster, task, users)
    done = sum(shown(_stored(blocks, target), total, unit="user", size=int))
    target.finish()
    print(_took(done, time.monotonic() - start))
    if news is not None:
        news.tell()
    return 0


def _took(users: int, seconds: float) -> str:
    rate = users / seconds
    return f"{counted(users, 'users')} in {seconds:.1f} s ({rate:.0f} per second)."


def _users(
    database: Database, catalogue: Catalogue, *, after: Id | None, size: int
) -> Iterator[Sequence[Id]]:
    """The users in order, block by block; each is read when it is needed."""
    while True:
        with database.snapshot(block_deadline()) as transaction:
            users = users_after(transaction, catalogue, after, limit=size)
        if not users:
            return
        yield users
        after = users[-1]


def _recommended_here(
    users: Iterator[Sequence[Id]],
    task: RecommendTask,
    settings: Settings,
    database: Database,
) -> Iterator[RecommendedBlock]:
    encoder = LazyEncoder(settings.folder_of(task.version), task.version)
    here = BlockRecommender(
        database,
        encoder,
        task.template,
        settings=settings,
        job_columns=task.job_columns,
    )
    return map(here.run, users)


def _recommended_by(
    cluster: Cluster, task: RecommendTask, users: Iterator[Sequence[Id]]
) -> Iterator[RecommendedBlock]:
    print(cluster.describe(), flush=True)
    tasks = (replace(task, users=tuple(block)) for block in users)
    return cluster.in_order(recommend, tasks)


def _stored(
    blocks: Iterator[RecommendedBlock], target: RecommendationTarget
) -> Iterator[int]:
    """Store one block after another. Yields the number of users of each."""
    for block in blocks:
        target.write(block.users, block.rows)
        yield len(block.users)


def _target(
    args: argparse.Namespace,
    database: Database,
    catalogue: Catalogue,
    question: str,
    *,
    tells: bool,
) -> RecommendationTarget:
    anew = args.restart
    if args.csv:
        if args.csv.is_dir():
            raise ConfigError("--csv should be a file, not a folder.")
        return CsvTarget(args.csv, question=question, anew=anew)
    return TableTarget(database, catalogue, question=question, anew=anew, tells=tells)


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
    add_news_options(parser)
    parser.add_argument(
        "--restart", action="store_true", help="start over and overwrite results"
    )
    add_scheduler(parser.add_argument)
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
