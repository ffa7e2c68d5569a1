"""An edit and an embedding of the same row, over and over: the new text always wins.

`make bench-backfill`, or python -m benchmarks.backfill_race [--rounds 1000]
"""

# ruff: noqa: S311  (chance, no secrets)

import argparse
import random
import threading
from contextlib import closing

from app.backfill import Backfill, Progress
from app.encoder.lazy import LazyEncoder
from app.storage.connection.database import Database
from benchmarks.backfill_support import (
    MODEL_DIR,
    Oracle,
    add_jobs,
    embedded_rows,
    real_texts,
)
from tests.support.postgres import fresh_database, run, running_server

# Encoding a posting takes about as long, so that the edit falls before, into and
# after it.
LATEST_S = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    args = parser.parse_args()
    texts = list(dict.fromkeys(real_texts(400)))
    oracle = Oracle(texts)
    encoder = LazyEncoder(MODEL_DIR)
    with (
        running_server() as server,
        fresh_database(server) as url,
        closing(Database(url, pool_size=1)) as database,
    ):
        add_jobs(url, texts[:1])
        backfill = Backfill(database, encoder, batch_size=1)
        during = wrong = 0
        for _ in range(args.rounds):
            done, new = _race(url, backfill, texts)
            # Both were embedded: the edit came after the old text was stored.
            during += done.changed
            ((text, data),) = embedded_rows(url)
            wrong += text != new or oracle.wrong([(text, data)])
        print(
            f"{args.rounds} races, {during} of them decided by compare-and-set:"
            f" {wrong} wrong"
        )


def _race(url: str, backfill: Backfill, texts: list[str]) -> tuple[Progress, str]:
    """Embed the row during an edit. Returns the progress and the new text."""
    old, new = random.sample(texts, 2)
    run(url, "UPDATE skill_job1 SET skills = %s, embedding = NULL", (old,))
    editor = threading.Timer(random.uniform(0, LATEST_S), _edit, (url, new))
    editor.start()
    done = sum(backfill.run(), Progress())
    editor.join()
    return sum(backfill.run(), done), new


def _edit(url: str, text: str) -> None:
    run(url, "UPDATE skill_job1 SET skills = %s", (text,))


if __name__ == "__main__":
    main()
