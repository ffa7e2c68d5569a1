"""Fill `embedding` and `embedding_version` of every job that has a text but no sound
embedding of the current model. Commits as it goes; run it again to go on.

Exit status: 0 when nothing is left undone, 1 when rows are left, 2 for an error.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence

import _path  # noqa: F401  (finds `app`)
from tqdm import tqdm

from app.backfill import Backfill, Progress
from app.config import ScriptSettings, read_settings
from app.encoder import Encoder
from app.encoder.lazy import LazyEncoder
from app.errors import AppError
from app.storage.database import Database

PLAIN_LINE_EVERY_S = 5.0


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    try:
        settings = read_settings(ScriptSettings)
        database = Database(settings.database_url.get_secret_value(), pool_size=1)
        try:
            backfill = Backfill(
                database, _encoder(args, settings), batch_size=args.batch_size
            )
            return _run(backfill, args)
        finally:
            database.close()
    except AppError as error:
        print(f"generate_embeddings: {error}", file=sys.stderr)
        return 2


def _encoder(args: argparse.Namespace, settings: ScriptSettings) -> Encoder:
    if args.encoder == "numpy":
        return LazyEncoder(settings.model_dir)
    # Imported on demand: it needs torch, which the small host does not have.
    from app.encoder.reference import ReferenceEncoder  # noqa: PLC0415

    return ReferenceEncoder(settings.model_dir, device=args.device)


def _run(backfill: Backfill, args: argparse.Namespace) -> int:
    todo = backfill.remaining()
    if args.dry_run:
        print(f"{todo} jobs would be embedded.")
        return 0 if todo == 0 else 1
    if args.limit is not None:
        todo = min(todo, args.limit)
    start = time.monotonic()
    embedded = changed = 0
    for done in _shown(backfill.run(limit=args.limit), todo):
        embedded += done.embedded
        changed += done.changed
    left = backfill.remaining()
    print(_summary(embedded, changed, left, time.monotonic() - start))
    return 0 if left == 0 else 1


def _summary(embedded: int, changed: int, left: int, seconds: float) -> str:
    rate = embedded / seconds if seconds > 0 else 0.0
    text = f"{embedded} jobs embedded in {seconds:.1f} s ({rate:.0f} per second)"
    if changed:
        text += f", {changed} were edited meanwhile and wait for the next run"
    return f"{text}; {left} left."


def _shown(batches: Iterator[Progress], total: int) -> Iterator[Progress]:
    """The same batches, with a bar on a terminal and plain lines elsewhere."""
    if sys.stderr.isatty():
        yield from _with_bar(batches, total)
    else:
        yield from _with_lines(batches, total)


def _with_bar(batches: Iterator[Progress], total: int) -> Iterator[Progress]:
    with tqdm(total=total, unit="job", smoothing=0.1) as bar:
        for done in batches:
            bar.update(done.embedded + done.changed)
            yield done


def _with_lines(batches: Iterator[Progress], total: int) -> Iterator[Progress]:
    start = shown = time.monotonic()
    seen = 0
    for done in batches:
        seen += done.embedded + done.changed
        now = time.monotonic()
        if now - shown >= PLAIN_LINE_EVERY_S:
            rate = seen / (now - start)
            left_s = max(0, total - seen) / rate
            print(
                f"{seen} of {total} jobs, {rate:.0f} per second, {left_s:.0f} s left",
                flush=True,
            )
            shown = now
        yield done


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch-size", type=_count, default=128, metavar="ROWS")
    parser.add_argument("--limit", type=_count, metavar="ROWS", help="stop after these")
    parser.add_argument(
        "--dry-run", action="store_true", help="only say how many rows there are"
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


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
