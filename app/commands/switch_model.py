"""Switch a database to another model, without a gap.

First all rows and skills are embedded by the model NAME, beside the embeddings in use;
then both models are compared on some users, and the new one is calibrated; then one row
is written, and every process answers by NAME with its next request. Run it again after
an interruption to continue, and with the name of the model before to go back: what that
one has embedded is still there, until --drop-old. The files of NAME must be on every
host (fetch_model.py).

Exit status: 0 when done, 1 if rows could not be embedded, 2 for an error, 130 after
Ctrl-C, 143 after SIGTERM.
"""

import argparse
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from functools import partial

import app.commands.blas_threads  # noqa: F401  (before NumPy)
from app.backfill.switching import ModelSwitch, drop_old, written
from app.backfill.watch import Work
from app.commands import build_vector_index
from app.commands.calibrate_model import ComparedModels, add_labels, calibrate_model
from app.commands.calibration.labels import read_labels
from app.commands.embed_options import add_encoders, add_lease, model_name, positive
from app.commands.embed_vectors import fill_vectors
from app.commands.embed_work import build_encoder, build_work, encoders_of, slice_rows
from app.commands.model_comparison import compare_models
from app.commands.progress import shown
from app.commands.stop import Stop
from app.config import ScriptSettings, read_settings
from app.encoder.checkpoint import verify_model
from app.errors import AppError, ConfigError, command_line
from app.query.numbers import counted
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.dsn import primary
from app.storage.models import embedding_bytes, model_in_use
from app.storage.shards import check_model
from app.storage.vector_filling import has_index

BYTES_PER_MB = 1_000_000
# Between two looks at rows that other workers hold.
SETTLE_PAUSE_S = 0.25


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    stop = Stop()
    try:
        settings = read_settings(ScriptSettings)
        dsn = primary(settings.database_url.get_secret_value())
        with stop, closing(Database(dsn, pool_size=1)) as database:
            return _switch(args, settings, database, stop) or stop.status
    except AppError as error:
        print(f"switch_model: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return stop.status


def _switch(
    args: argparse.Namespace, settings: ScriptSettings, database: Database, stop: Stop
) -> int:
    written(database, partial(check_model, version=args.name))
    labels = read_labels(args.labels) if args.labels else ()
    in_use = written(database, model_in_use)
    verify_model(settings.folder_of(args.name), args.name)
    if in_use is None:
        raise ConfigError(
            f"No row is embedded yet: set MODEL={args.name} and run"
            f" `{command_line('embed')}`."
        )
    encoder = build_encoder(settings, args.name, args.encoder, device=args.device)
    at_once = slice_rows(args.encoder, args.batch_size)
    switch = ModelSwitch(
        database,
        encoder,
        batch_size=args.batch_size,
        slice_rows=at_once,
        lease_s=args.lease_s,
        stop=stop.event,
    )
    if in_use != args.name:
        _embed(args, database, switch, stop, in_use=in_use)
        if stop.status:
            return stop.status
        models = ComparedModels(args.name, in_use, labels)
        _compare(database, settings, models, in_use=in_use)
        if args.no_switch or stop.event.is_set():
            return stop.status
        _flip(switch, args.name)
    work = build_work(
        database,
        encoder,
        batch_size=args.batch_size,
        slice_rows=at_once,
        lease_s=args.lease_s,
        stop=stop.event,
    )
    left = _settle(switch, work, stop.event, patience_s=args.lease_s + SETTLE_PAUSE_S)
    if args.drop_old and not stop.status:
        _drop(database, stop)
    return 1 if left else 0


def _embed(
    args: argparse.Namespace,
    database: Database,
    switch: ModelSwitch,
    stop: Stop,
    *,
    in_use: str,
) -> None:
    _fill(args, database, switch)
    _index_vectors(database, switch, stop, in_use=in_use, name=args.name)
    if stop.status:
        print("Stopped; run it again to go on.")


def _fill(args: argparse.Namespace, database: Database, switch: ModelSwitch) -> None:
    before = written(database, embedding_bytes)
    switch.begin()
    missing = switch.missing()
    print(f"{counted(missing, 'texts')} to embed by {args.name}.", flush=True)
    start = time.monotonic()
    done = sum(shown(switch.fill(), missing, unit="row", size=int))
    fill_vectors(switch.vectors)
    space = (written(database, embedding_bytes) - before) / BYTES_PER_MB
    print(f"{done} embedded in {time.monotonic() - start:.1f} s; {space:.0f} MB more.")


def _index_vectors(
    database: Database, switch: ModelSwitch, stop: Stop, *, in_use: str, name: str
) -> None:
    """Build an index of the vectors for pgvector where the model in use has one."""
    if stop.status or not written(database, lambda tx: has_index(tx, in_use)):
        return
    if build_vector_index.main(["--model", name], stop=stop.event) and not stop.status:
        raise ConfigError(
            f"The vectors by {name} have no index; run"
            f" `{command_line('build-vector-index')} --model {name}` as the owner of"
            " the tables, and then this again."
        )
    # What was edited while it was built.
    deque(switch.fill(), maxlen=0)
    deque(switch.vectors.run(), maxlen=0)


def _compare(
    database: Database, settings: ScriptSettings, models: ComparedModels, *, in_use: str
) -> None:
    print(compare_models(database, in_use, models.version), flush=True)
    for line in calibrate_model(database, encoders_of(settings), models):
        print(line, flush=True)


def _flip(switch: ModelSwitch, name: str) -> None:
    start = time.monotonic()
    switch.switch()
    seconds = time.monotonic() - start
    print(f"Switched to {name} in {seconds:.2f} s.", flush=True)


def _settle(
    switch: ModelSwitch, work: Work, stop: threading.Event, *, patience_s: float
) -> int:
    """Embed the rows that were edited during the switch. Returns the number of rows
    that stay without an embedding: stale ones, and those in quarantine.
    """
    # Another worker may hold a row, and a dead one holds it for the length of a lease.
    give_up_at = time.monotonic() + patience_s
    while True:
        switch.settle()
        deque(work.run(), maxlen=0)
        found = [backfill.coverage() for backfill in work.backfills]
        stale = sum(coverage.stale for coverage in found)
        if not stale or time.monotonic() > give_up_at or stop.wait(SETTLE_PAUSE_S):
            break
    quarantined = sum(coverage.quarantined for coverage in found)
    pending = sum(coverage.pending for coverage in found)
    print(
        f"{counted(stale, 'rows')} stale, {quarantined} in quarantine,"
        f" {pending} edited just now"
        " and waiting."
    )
    return stale + quarantined


def _drop(database: Database, stop: Stop) -> None:
    before = written(database, embedding_bytes)
    jobs = written(database, Catalogue.read).jobs
    dropped = sum(drop_old(database, jobs, stop.event))
    table = jobs.quoted_name
    print(
        f"{counted(dropped, 'embeddings')} of other models dropped; all took"
        f" {before / BYTES_PER_MB:.0f} MB. VACUUM lets new rows use their space, and"
        f" VACUUM FULL {table} gives it back to the disk."
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "name", metavar="NAME", type=model_name, help="of a fetched model"
    )
    parser.add_argument(
        "--no-switch", action="store_true", help="only embed and compare"
    )
    parser.add_argument(
        "--drop-old",
        action="store_true",
        help="then drop the embeddings of all other models",
    )
    parser.add_argument("--batch-size", type=positive, default=128, metavar="ROWS")
    add_labels(parser)
    add_lease(parser)
    add_encoders(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
