"""How many of the first ten are near-repeats, and what it costs to let them take one
place: `python -m evaluation.repeats`, on the development half of the surveys.
"""

import argparse
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from app.encoder.lazy import LazyEncoder
from app.query.ids import Id, IdColumn
from app.ranking.hybrid import ByAllParts
from app.ranking.skills.distinct import (
    DistinctRequest,
    Leaders,
    distinct_page,
    first_window,
)
from app.ranking.skills.ranking_state import RankingState
from app.ranking.top_k.heap import Scored
from evaluation.datasets import Dataset, surveyed
from evaluation.encoding import RememberingEncoder
from evaluation.entries import Entries, entries_of
from evaluation.measures import FIRST_PAGE, interval
from evaluation.run import ROOT, SEED
from evaluation.served import served_rows

HEADER = "| data | repeats among ten | right among ten (95 %) |\n| --- | --- | --- |"


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    folder = os.environ.get("REAL_DATA_DIR")
    if not folder:
        print("evaluation: set REAL_DATA_DIR, see tests/README.md.", file=sys.stderr)
        return 2
    encoder = RememberingEncoder(LazyEncoder(args.model_dir), args.cache)
    data = surveyed(Path(folder), held_out=args.held_out, seed=SEED)
    print(HEADER)
    for name, (repeats, right) in measured(data, encoder).items():
        print(f"| {data.name}, {name} | {repeats:.2f} | {right} |")
    return 0


def measured(
    data: Dataset, encoder: RememberingEncoder
) -> Mapping[str, tuple[float, str]]:
    """(repeats among ten, the share of right ones) of all rows and of distinct ones."""
    entries = entries_of(data, with_titles=False)
    lists = _lists(entries)
    shown: dict[str, list[Sequence[Id]]] = {"all rows": [], "distinct": []}
    window = first_window(FIRST_PAGE)
    method = ByAllParts(encoder)
    for ranked in served_rows(data, entries, encoder, method, size=window):
        shown["all rows"].append([row.id for row in ranked[:FIRST_PAGE]])
        shown["distinct"].append(_distinct(ranked, lists))
    found = {}
    for name, pages in shown.items():
        repeats = np.mean([_repeats(page, lists) for page in pages])
        right = [
            len(set(page) & set(rows.tolist())) / FIRST_PAGE
            for page, rows in zip(pages, data.right, strict=True)
        ]
        found[name] = (float(repeats), str(interval(np.array(right), seed=SEED)))
    return found


def _lists(entries: Entries) -> Mapping[Id, frozenset[int]]:
    parts = np.split(entries.ids, entries.starts[1:])
    return {n: frozenset(part.tolist()) for n, part in enumerate(parts)}


def _distinct(
    ranked: Sequence[Scored], lists: Mapping[Id, Collection[int]]
) -> Sequence[Id]:
    # As if these were all rows: a window that was too small would ask for more.
    asked = DistinctRequest(
        FIRST_PAGE,
        len(ranked) + 1,
        IdColumn("integer"),
        b"",
        RankingState(np.zeros(0)),
        lists,
    )
    page = distinct_page(ranked, asked)
    assert page is not None  # noqa: S101  (these are all rows)
    return page.ids


def _repeats(page: Sequence[Id], lists: Mapping[Id, Collection[int]]) -> int:
    leaders = Leaders([])
    repeats = 0
    for id_ in page:
        if leaders.first_near(lists[id_]) is None:
            leaders.add(lists[id_])
        else:
            repeats += 1
    return repeats


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model-dir", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2"
    )
    parser.add_argument("--cache", type=Path, default=ROOT / ".data" / "evaluation")
    parser.add_argument("--held-out", action="store_true", help="the other half")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
