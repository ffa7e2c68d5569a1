"""How many of the first ten are near-repeats, and what it costs to let them take one
place: `python -m evaluation.repeats`, on the development half of the surveys.
"""

import sys
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.commands.calibration.intervals import interval
from app.query.ids import Id, IdColumn
from app.ranking.hybrid import ByAllParts
from app.ranking.skills.choice import Traits
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
from evaluation.measures import FIRST_PAGE
from evaluation.options import SEED, Parsed, parse, parser_of
from evaluation.served import served_rows

HEADER = "| data | repeats among ten | right among ten (95 %) |\n| --- | --- | --- |"


def main(argv: Sequence[str] | None = None) -> int:
    args, folder, encoder = _parse(argv)
    data = surveyed(folder, held_out=args.held_out, seed=SEED)
    lists = _lists(entries_of(data, with_titles=False))
    shown = pages(data, encoder, lists)
    print(HEADER)
    for name, own in shown.items():
        repeats = np.mean([_repeats(page, lists) for page in own])
        right = interval(_right(own, data), seed=SEED)
        print(f"| {data.name}, {name} | {repeats:.2f} | {right} |")
    print(compared(data, *shown.values()))
    return 0


# By row, its skill ids.
SkillLists = Mapping[Id, frozenset[int]]
Pages = Sequence[Sequence[Id]]


def pages(
    data: Dataset, encoder: RememberingEncoder, lists: SkillLists
) -> Mapping[str, Pages]:
    """The first ten of each question: of all rows, and of distinct ones."""
    entries = entries_of(data, with_titles=False)
    shown: dict[str, list[Sequence[Id]]] = {"all rows": [], "distinct": []}
    window = first_window(FIRST_PAGE)
    method = ByAllParts(encoder)
    for ranked in served_rows(data, entries, encoder, method, size=window):
        shown["all rows"].append([row.id for row in ranked[:FIRST_PAGE]])
        shown["distinct"].append(_distinct(ranked, lists))
    return shown


def compared(data: Dataset, before: Pages, after: Pages) -> str:
    """What full pages gain or lose, and how many of the rows that left and came are
    right.
    """
    full = [n for n, page in enumerate(after) if len(page) == FIRST_PAGE]
    gap = interval((_right(after, data) - _right(before, data))[full], seed=SEED)
    left: list[bool] = []
    came: list[bool] = []
    for n in full:
        known = set(data.right[n].tolist())
        left += [row in known for row in before[n] if row not in after[n]]
        came += [row in known for row in after[n] if row not in before[n]]
    return (
        f"{len(full)} full pages: distinct {gap}; right are {np.mean(left):.3f} of the"
        f" {len(left)} repeats that left and {np.mean(came):.3f} of the rows that came."
    )


def _right(shown: Pages, data: Dataset) -> NDArray[np.float64]:
    """(questions,): the share of right ones among ten."""
    return np.array(
        [
            len(set(page) & set(rows.tolist())) / FIRST_PAGE
            for page, rows in zip(shown, data.right, strict=True)
        ]
    )


def _lists(entries: Entries) -> Mapping[Id, frozenset[int]]:
    parts = np.split(entries.ids, entries.starts[1:])
    return {n: frozenset(part.tolist()) for n, part in enumerate(parts)}


def _distinct(ranked: Sequence[Scored], lists: SkillLists) -> Sequence[Id]:
    # As if these were all rows: a window that was too small would ask for more.
    asked = DistinctRequest(
        FIRST_PAGE,
        len(ranked) + 1,
        IdColumn("integer"),
        b"",
        RankingState(np.zeros(0)),
        Traits(lists),
    )
    page = distinct_page(ranked, asked)
    assert page is not None  # noqa: S101  (these are all rows)
    return page.ids


def _repeats(page: Sequence[Id], lists: SkillLists) -> int:
    leaders = Leaders([])
    repeats = 0
    for id_ in page:
        if leaders.first_near(lists[id_]) is None:
            leaders.add(lists[id_])
        else:
            repeats += 1
    return repeats


def _parse(argv: Sequence[str] | None) -> Parsed:
    parser = parser_of(__doc__)
    parser.add_argument("--held-out", action="store_true", help="the other half")
    return parse(parser, argv)


if __name__ == "__main__":
    sys.exit(main())
