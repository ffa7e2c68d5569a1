"""Embed the texts of jobs and users, and extract their skills.

Several processes may run at the same time, also on different hosts. After any
interruption, run it again to continue. With --scheduler, the workers of a Dask cluster
embed (docs/cluster.md).

Exit status: 0 if all rows are done, 1 if rows are left or in quarantine, 2 for an
error, 130 after Ctrl-C, 143 after SIGTERM.
"""

import argparse
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial

import app.commands.blas_threads  # noqa: F401  (before NumPy)
from app.backfill import Backfill, Progress
from app.backfill.vocabulary import VocabularyKeeper
from app.backfill.watch import ModelWork, Work, watch
from app.commands.cluster import Cluster, cluster_at
from app.commands.embed_on_cluster import SharedBackfill
from app.commands.embed_options import parse
from app.commands.embed_vectors import fill_vectors
from app.commands.embed_work import build_encoder, build_work, slice_rows
from app.commands.progress import shown, summary
from app.commands.stop import Stop
from app.config import ScriptSettings, read_settings
from app.errors import AppError
from app.query.numbers import counted
from app.storage.connection.database import Database
from app.storage.connection.dsn import primary
from app.storage.entity import ENTITIES, EntityName

ONLY: Mapping[str, Sequence[EntityName]] = {"jobs": ("jobs",), "users": ("users",)}
WHATS = (*ONLY, "all")

# Runs the batches of one table, up to a number of rows.
RunBatches = Callable[[Backfill, int | None], Iterator[Progress]]


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv, __doc__ or "", whats=WHATS)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    stop = Stop()
    try:
        settings = read_settings(ScriptSettings)
        # Replicas are read-only.
        dsn = primary(settings.database_url.get_secret_value())
        with (
            stop,
            cluster_at(args.scheduler) as cluster,
            closing(Database(dsn, pool_size=1)) as database,
        ):
            works = ModelWork(
                database,
                partial(_work, args, settings, database, stop.event),
                settings.model_source.name,
            )
            work = works.current()
            if args.failures:
                return _list_failures(work.backfills)
            if args.dry_run:
                return _count(work)
            if args.prune_skills:
                return _prune(work.vocabulary)
            run = (
                _run_here if cluster is None else _shared(args, cluster, database, stop)
            )
            return _embed(args, works, stop, run=run)
    except AppError as error:
        print(f"generate_embeddings: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return stop.status


def _work(
    args: argparse.Namespace,
    settings: ScriptSettings,
    database: Database,
    stop: threading.Event,
    version: str,
) -> Work:
    only_looks = args.failures or args.dry_run
    encoder = build_encoder(
        settings, version, "numpy" if only_looks else args.encoder, device=args.device
    )
    return build_work(
        database,
        encoder,
        entities=ONLY.get(args.what, ENTITIES),
        batch_size=args.batch_size,
        slice_rows=slice_rows(args.encoder, args.batch_size),
        lease_s=args.lease_s,
        stays_up=args.watch,
        stop=stop,
    )


def _list_failures(backfills: Sequence[Backfill]) -> int:
    found = False
    for backfill in backfills:
        for failure in backfill.failures():
            found = True
            when = failure.failed_at.isoformat(sep=" ", timespec="seconds")
            print(f"{backfill.entity} {failure.row_id}\t{when}\t{failure.reason}")
    if not found:
        print("No row is in quarantine.")
    return 1 if found else 0


def _count(work: Work) -> int:
    waiting = {backfill.entity: backfill.remaining() for backfill in work.backfills}
    for rows, count in waiting.items():
        print(f"{counted(count, rows)} would be embedded and their skills extracted.")
    stale = work.vocabulary.count_stale()
    print(f"{counted(stale, 'skills')} would be embedded again.")
    return 1 if stale or any(waiting.values()) else 0


def _prune(vocabulary: VocabularyKeeper) -> int:
    removed = vocabulary.remove_unused()
    print(f"{counted(removed, 'unused skills')} removed.")
    return 0


def _run_here(backfill: Backfill, limit: int | None) -> Iterator[Progress]:
    return backfill.run(limit=limit)


def _shared(
    args: argparse.Namespace, cluster: Cluster, database: Database, stop: Stop
) -> RunBatches:
    print(cluster.describe(), flush=True)
    return SharedBackfill(
        cluster,
        database,
        encoder=args.encoder,
        device=args.device,
        batch_size=args.batch_size,
        lease_s=args.lease_s,
        stop=stop.event,
    ).run


def _embed(
    args: argparse.Namespace, works: ModelWork, stop: Stop, *, run: RunBatches
) -> int:
    work = works.current()
    if args.retry_failures:
        freed = sum(backfill.retry_failures() for backfill in work.backfills)
        print(f"{counted(freed, 'rows')} released from quarantine.")
    # Reports errors of the database at once, before the model loads.
    for backfill in work.backfills:
        backfill.remaining()
    if args.watch:
        _watch(works, stop.event)
    else:
        _run(args.limit, work, stop.event, run=run)
    return stop.status or _left(work)


def _watch(works: ModelWork, stop: threading.Event) -> None:
    print("Watching for new texts; Ctrl-C stops it.", flush=True)
    for done in watch(works.current, stop):
        print(
            f"{done.embedded} embedded, {done.split} with skills only,"
            f" {done.changed} skipped, {done.quarantined} quarantined,"
            f" {counted(done.skills, 'new skills')}",
            flush=True,
        )


def _run(
    limit: int | None, work: Work, stop: threading.Event, *, run: RunBatches
) -> None:
    renewed = sum(work.vocabulary.renew())
    if renewed:
        print(f"{counted(renewed, 'skills')} embedded again.", flush=True)
    jobs = 0
    for backfill in work.backfills:
        done = _run_one(limit, backfill, run)
        limit = None if limit is None else max(0, limit - done.seen)
        jobs += done.embedded + done.split if backfill.entity == "jobs" else 0
    for backfill in work.backfills:
        done = sum(backfill.split_again(), Progress())
        jobs += done.embedded + done.split if backfill.entity == "jobs" else 0
        if done.split:
            print(
                f"{counted(done.split, backfill.entity, 'have')} other skills now.",
                flush=True,
            )
    if work.vectors is not None and not stop.is_set():
        fill_vectors(work.vectors)
    work.vocabulary.finish(jobs=jobs)


def _run_one(limit: int | None, backfill: Backfill, run: RunBatches) -> Progress:
    waiting = backfill.remaining()
    todo = waiting if limit is None else min(waiting, limit)
    start = time.monotonic()
    total = Progress()
    batches = run(backfill, limit)
    unit = backfill.entity.removesuffix("s")
    for done in shown(batches, todo, unit=unit, size=lambda each: each.settled):
        total += done
    print(summary(total, time.monotonic() - start, rows=backfill.entity), flush=True)
    return total


def _left(work: Work) -> int:
    """Print the number of unfinished rows. Returns 1 if there are any, else 0."""
    undone = 0
    for backfill in work.backfills:
        waiting = backfill.remaining()
        quarantined = backfill.coverage().quarantined
        undone += waiting + quarantined
        print(f"{waiting} {backfill.entity} left, {quarantined} in quarantine.")
    stale = work.vocabulary.count_stale()
    if stale:
        print(f"{counted(stale, 'skills')} left to embed.")
    return 1 if undone + stale else 0


if __name__ == "__main__":
    sys.exit(main())
