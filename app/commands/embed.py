"""Fill `embedding` and `embedding_version` of every job and user that has a text but no
sound embedding of the current model, and `skill_ids` and the vocabulary of skills. Any
number of these may run at once, anywhere.

Exit status: 0 when nothing is left undone, 1 when rows are left or in quarantine, 2 for
an error, 130 after Ctrl-C, 143 after SIGTERM. Whatever ends it, run it again to go on.
"""

import argparse
import logging
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import app.commands.blas_threads  # noqa: F401  (before NumPy)
from app.backfill import Backfill, Progress
from app.backfill.skills import SkillBackfill, SkillProgress
from app.backfill.vectors import VectorFilling
from app.backfill.watch import WakeUp, watch
from app.backfill.worker import PATIENCE_S
from app.commands.embed_options import parse
from app.commands.embed_skills import fill_skills, watched
from app.commands.embed_vectors import fill_vectors
from app.commands.progress import settled, shown, summary
from app.commands.stop import Stop
from app.config import ScriptSettings, read_settings
from app.encoder.lazy import LazyEncoder
from app.encoder.passages import PassageEncoder, PromptedEncoder
from app.errors import AppError
from app.storage.connection.database import Database
from app.storage.connection.dsn import primary
from app.storage.connection.listener import Listener
from app.storage.tables import JOBS, USERS


@dataclass(frozen=True)
class Work:
    """Everything that can wait in the tables of a run."""

    backfills: Sequence[Backfill]
    skills: SkillBackfill
    vectors: VectorFilling | None  # of jobs


TABLES = {"jobs": [JOBS], "users": [USERS], "all": [JOBS, USERS]}


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv, __doc__ or "", whats=sorted(TABLES))
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    stop = Stop()
    try:
        settings = read_settings(ScriptSettings)
        # A replica takes no writes, and announces no texts.
        dsn = primary(settings.database_url.get_secret_value())
        with stop, closing(Database(dsn, pool_size=1)) as database:
            encoder = _encoder(args, settings)
            backfills = _backfills(args, database, encoder, stop.event)
            skills = SkillBackfill(
                database,
                encoder,
                tables=TABLES[args.what],
                stays_up=args.watch,
                patience_s=PATIENCE_S,
                stop=stop.event,
            )
            if args.failures:
                return _list_failures(backfills)
            if args.dry_run:
                return _count(backfills, skills)
            if args.prune_skills:
                return _prune(skills)
            vectors = VectorFilling(database, version=encoder.version, stop=stop.event)
            work = Work(backfills, skills, vectors if args.what != "users" else None)
            return _embed(args, work, dsn, stop)
    except AppError as error:
        print(f"generate_embeddings: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return stop.status


def _encoder(args: argparse.Namespace, settings: ScriptSettings) -> PromptedEncoder:
    name = settings.model_source.name
    if args.encoder == "numpy" or args.failures or args.dry_run:
        return LazyEncoder(settings.model_dir, name)
    # Imported on demand: it needs torch, which the small host does not have.
    from app.encoder.reference import ReferenceEncoder  # noqa: PLC0415

    return ReferenceEncoder(settings.model_dir, device=args.device, name=name)


def _backfills(
    args: argparse.Namespace,
    database: Database,
    encoder: PromptedEncoder,
    stop: threading.Event,
) -> list[Backfill]:
    # sentence-transformers sorts what it gets by length: the more at once, the better.
    slice_rows = args.batch_size if args.encoder == "sentence-transformers" else 16
    return [
        Backfill(
            database,
            PassageEncoder(encoder) if table is JOBS else encoder,
            table=table,
            batch_size=args.batch_size,
            slice_rows=slice_rows,
            lease_s=args.lease_s,
            stop=stop,
        )
        for table in TABLES[args.what]
    ]


def _list_failures(backfills: Sequence[Backfill]) -> int:
    found = False
    for backfill in backfills:
        for failure in backfill.failures():
            found = True
            when = failure.failed_at.isoformat(sep=" ", timespec="seconds")
            print(f"{backfill.table.rows} {failure.row_id}\t{when}\t{failure.reason}")
    if not found:
        print("No row is in quarantine.")
    return 1 if found else 0


def _count(backfills: Sequence[Backfill], skills: SkillBackfill) -> int:
    waiting = {backfill.table.rows: backfill.remaining() for backfill in backfills}
    for rows, count in waiting.items():
        print(f"{count} {rows} would be embedded.")
    unsplit = skills.remaining()
    print(f"{unsplit} texts and skills would be split or embedded.")
    return 1 if unsplit or any(waiting.values()) else 0


def _prune(skills: SkillBackfill) -> int:
    print(f"{skills.remove_unused()} skills that no job and no user has were removed.")
    return 0


def _embed(
    args: argparse.Namespace,
    work: Work,
    dsn: str,
    stop: Stop,
) -> int:
    backfills = work.backfills
    if args.retry_failures:
        freed = sum(backfill.retry_failures() for backfill in backfills)
        print(f"{freed} rows are out of quarantine.")
    # Also shows at once what is wrong with the database, before anything waits for it.
    for backfill in backfills:
        backfill.remaining()
    if args.watch:
        _watch(work, dsn, stop.event)
    else:
        _run(args.limit, backfills)
        if work.vectors is not None and not stop.event.is_set():
            fill_vectors(work.vectors)
        if not stop.event.is_set():
            fill_skills(work.skills, limit=args.limit)
    return stop.status or _left(backfills, work.skills)


def _watch(
    work: Work,
    dsn: str,
    stop: threading.Event,
) -> None:
    print("Watching for texts; Ctrl-C ends it.", flush=True)
    with closing(Listener(dsn)) as listener:
        for done in watch(
            work.backfills, work.skills, work.vectors, WakeUp(listener), stop
        ):
            if isinstance(done, SkillProgress):
                print(watched(done), flush=True)
                continue
            print(
                f"{done.embedded} embedded, {done.changed} changed meanwhile,"
                f" {done.quarantined} into quarantine",
                flush=True,
            )


def _run(limit: int | None, backfills: Sequence[Backfill]) -> None:
    for backfill in backfills:
        waiting = backfill.remaining()
        todo = waiting if limit is None else min(waiting, limit)
        start = time.monotonic()
        total = Progress()
        batches = backfill.run(limit=limit)
        unit = backfill.table.rows.removesuffix("s")
        for done in shown(batches, todo, unit=unit, size=settled):
            total += done
        seconds = time.monotonic() - start
        print(summary(total, seconds, rows=backfill.table.rows), flush=True)
        limit = None if limit is None else max(0, limit - total.seen)


def _left(backfills: Sequence[Backfill], skills: SkillBackfill) -> int:
    """Say what is not embedded or split: 1 when there is something, else 0."""
    undone = 0
    for backfill in backfills:
        found = backfill.coverage()
        undone += found.waiting + found.quarantined
        print(
            f"{found.waiting} {backfill.table.rows} left,"
            f" {found.quarantined} in quarantine."
        )
    unsplit = skills.remaining()
    print(f"{unsplit} texts or skills left to split or embed.")
    return 1 if undone + unsplit else 0


if __name__ == "__main__":
    sys.exit(main())
