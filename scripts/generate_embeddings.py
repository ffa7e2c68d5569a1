"""Fill `embedding` and `embedding_version` of every job and user that has a text but no
sound embedding of the current model. Any number of these may run at once, anywhere.

Exit status: 0 when nothing is left undone, 1 when rows are left or in quarantine, 2 for
an error, 130 after Ctrl-C, 143 after SIGTERM. Whatever ends it, run it again to go on.
"""

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Self

import _path  # noqa: F401  (finds `app`)
import _threads  # noqa: F401  (before NumPy)
from _progress import shown, summary
from skill_filling import fill_skills

from app.backfill import Backfill, Progress
from app.backfill.vectors import VectorFilling
from app.backfill.watch import Bell, watch
from app.backfill.worker import LEASE_S
from app.config import ScriptSettings, read_settings
from app.encoder import Encoder
from app.encoder.lazy import LazyEncoder
from app.errors import AppError
from app.storage.database import Database
from app.storage.hosts import primary
from app.storage.listener import Listener
from app.storage.tables import JOBS, USERS

TABLES = {"jobs": [JOBS], "users": [USERS], "all": [JOBS, USERS]}


class Stop:
    """The first signal lets the batch end; a second one interrupts at once."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.status = 0

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, self._stop)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, _frame: object) -> None:
        self.status = 128 + number
        if self.event.is_set():
            raise KeyboardInterrupt
        self.event.set()


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    stop = Stop()
    try:
        settings = read_settings(ScriptSettings)
        # A replica takes no writes, and announces no texts.
        dsn = primary(settings.database_url.get_secret_value())
        with stop, closing(Database(dsn, pool_size=1)) as database:
            encoder = _encoder(args, settings)
            backfills = _backfills(args, database, encoder, stop.event)
            if args.failures:
                return _list_failures(backfills)
            if args.dry_run:
                return _count(backfills)
            vectors = VectorFilling(database, version=encoder.version, stop=stop.event)
            status = _embed(args, backfills, vectors, dsn, stop)
            if status or args.what != "all":
                return status
            return fill_skills(database, encoder)
    except AppError as error:
        print(f"generate_embeddings: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return stop.status


def _encoder(args: argparse.Namespace, settings: ScriptSettings) -> Encoder:
    if args.encoder == "numpy" or args.failures or args.dry_run:
        return LazyEncoder(settings.model_dir)
    # Imported on demand: it needs torch, which the small host does not have.
    from app.encoder.reference import ReferenceEncoder  # noqa: PLC0415

    return ReferenceEncoder(settings.model_dir, device=args.device)


def _backfills(
    args: argparse.Namespace,
    database: Database,
    encoder: Encoder,
    stop: threading.Event,
) -> list[Backfill]:
    # sentence-transformers sorts what it gets by length: the more at once, the better.
    slice_rows = args.batch_size if args.encoder == "sentence-transformers" else 16
    return [
        Backfill(
            database,
            encoder,
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


def _count(backfills: Sequence[Backfill]) -> int:
    waiting = {backfill.table.rows: backfill.remaining() for backfill in backfills}
    for rows, count in waiting.items():
        print(f"{count} {rows} would be embedded.")
    return 1 if any(waiting.values()) else 0


def _embed(
    args: argparse.Namespace,
    backfills: Sequence[Backfill],
    vectors: VectorFilling,
    dsn: str,
    stop: Stop,
) -> int:
    if args.retry_failures:
        freed = sum(backfill.retry_failures() for backfill in backfills)
        print(f"{freed} rows are out of quarantine.")
    # Also shows at once what is wrong with the database, before anything waits for it.
    for backfill in backfills:
        backfill.remaining()
    if args.watch:
        _watch(backfills, vectors, dsn, stop.event)
    else:
        _run(args.limit, backfills)
        if args.what != "users":
            _fill_vectors(vectors)
    return stop.status or _left(backfills)


def _fill_vectors(vectors: VectorFilling) -> None:
    """For SEARCH_BACKEND=pgvector; without its migration there is nothing to do."""
    waiting = vectors.waiting()
    if not waiting:
        return
    start = time.monotonic()
    batches = (Progress(embedded=filled) for filled in vectors.run())
    filled = sum(done.embedded for done in shown(batches, waiting, unit="vector"))
    rate = filled / (time.monotonic() - start)
    print(f"{filled} vectors made from stored embeddings ({rate:.0f} per second).")


def _watch(
    backfills: Sequence[Backfill],
    vectors: VectorFilling,
    dsn: str,
    stop: threading.Event,
) -> None:
    print("Watching for texts; Ctrl-C ends it.", flush=True)
    with closing(Listener(dsn)) as listener:
        for done in watch(backfills, Bell(listener), stop, vectors):
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
        for done in shown(batches, todo, unit=backfill.table.rows.removesuffix("s")):
            total += done
        seconds = time.monotonic() - start
        print(summary(total, seconds, rows=backfill.table.rows), flush=True)
        limit = None if limit is None else max(0, limit - total.seen)


def _left(backfills: Sequence[Backfill]) -> int:
    """Say what is not embedded: 1 when there is something, else 0."""
    undone = 0
    for backfill in backfills:
        found = backfill.coverage()
        undone += found.waiting + found.quarantined
        print(
            f"{found.waiting} {backfill.table.rows} left,"
            f" {found.quarantined} in quarantine."
        )
    return 1 if undone else 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--dry-run", action="store_true", help="only say how many rows there are"
    )
    mode.add_argument(
        "--failures", action="store_true", help="only list the rows in quarantine"
    )
    mode.add_argument(
        "--watch",
        action="store_true",
        help="stay up, and embed what appears within a second or two",
    )
    parser.add_argument(
        "--retry-failures",
        action="store_true",
        help="let all rows out of quarantine first",
    )
    parser.add_argument(
        "--what",
        choices=sorted(TABLES),
        default="all",
        help="default: all, the skills of both among it",
    )
    parser.add_argument("--batch-size", type=_positive, default=128, metavar="ROWS")
    parser.add_argument(
        "--limit", type=_positive, metavar="ROWS", help="stop after these"
    )
    parser.add_argument(
        "--lease-s",
        type=float,
        default=LEASE_S,
        metavar="SECONDS",
        help="a killed worker's rows wait so long for another (default: %(default)s)",
    )
    parser.add_argument(
        "--encoder",
        choices=["numpy", "sentence-transformers"],
        default="numpy",
        help="numpy fits the small host; the other needs requirements.txt",
    )
    parser.add_argument(
        "--device", help="for sentence-transformers: cpu, cuda, mps (default: the best)"
    )
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
