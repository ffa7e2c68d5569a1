"""Progress of a backfill: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from tqdm import tqdm

from app.backfill import Progress
from app.query.numbers import counted

PLAIN_LINE_EVERY_S = 5.0

DoneBatch = TypeVar("DoneBatch")


def shown(
    batches: Iterator[DoneBatch],
    total: int,
    *,
    unit: str,
    size: Callable[[DoneBatch], int],
) -> Iterator[DoneBatch]:
    """Yield the batches while showing their progress.

    `total`: the number of rows at the start. `size`: the number of rows of a batch.
    """
    if sys.stderr.isatty():
        yield from _with_bar(batches, total, unit, size)
    else:
        yield from _with_lines(batches, total, unit, size)


def summary(done: Progress, seconds: float, *, rows: str) -> str:
    """One sentence for all batches. `rows`: the rows' name, for example "jobs"."""
    rate = done.embedded / seconds if seconds > 0 else 0.0
    text = (
        f"{counted(done.embedded, rows)} embedded in {seconds:.1f} s"
        f" ({rate:.0f} per second)"
    )
    if done.split:
        text += f", {done.split} with skills only"
    if done.skills:
        text += f", {counted(done.skills, 'new skills')}"
    if done.changed:
        text += f", {done.changed} skipped (edited or locked)"
    if done.quarantined:
        text += f", {done.quarantined} quarantined (see --failures)"
    return f"{text}."


def _with_bar(
    batches: Iterator[DoneBatch],
    total: int,
    unit: str,
    size: Callable[[DoneBatch], int],
) -> Iterator[DoneBatch]:
    with tqdm(total=total, unit=unit, smoothing=0.1) as bar:
        for done in batches:
            bar.update(size(done))
            yield done


def _with_lines(
    batches: Iterator[DoneBatch],
    total: int,
    unit: str,
    size: Callable[[DoneBatch], int],
) -> Iterator[DoneBatch]:
    start = shown_at = time.monotonic()
    seen = 0
    for done in batches:
        seen += size(done)
        now = time.monotonic()
        if now - shown_at >= PLAIN_LINE_EVERY_S and seen:
            rate = seen / (now - start)
            left_s = max(0, total - seen) / rate
            print(
                f"{seen} of {total} {unit}s, {rate:.0f} per second,"
                f" {left_s:.0f} s left",
                flush=True,
            )
            shown_at = now
        yield done
