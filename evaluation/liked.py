"""What a label is worth after feedback: `python -m evaluation.liked`.

Questions of development halves. A person saves the first one, two or four right rows
among the first ten, and with `--dismissed` dismisses the wrong ones before the last of
these. The table has the share of right ones among the first ten other rows, by score,
of the same questions before and after; `rise` of `app/ranking/registry.py` is chosen
by it.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from app.ranking.hybrid import ByAllParts
from app.ranking.registry import RANKINGS
from app.ranking.skills.methods import BySkills, Method
from app.ranking.taste import Pull
from app.ranking.top_k.heap import Scored
from evaluation.datasets import Dataset, surveyed
from evaluation.encoding import RememberingEncoder
from evaluation.entries import Entries, entries_of
from evaluation.feedback import cut
from evaluation.measures import FIRST_PAGE
from evaluation.options import SEED, parse, parser_of
from evaluation.served import served_rows
from evaluation.typed import typed, typed_postings

LIKED = (1, 2, 4)
# Of the rows ranked before: those beyond score next to nothing.
SIZE = 1000
RISES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
BINS = (0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.01)

# Of one row: its score, and whether it is right.
Hits = Sequence[tuple[float, bool]]


@dataclass(frozen=True)
class Liking:
    """One dataset ranked by one method, and what people like in it."""

    data: Dataset
    entries: Entries
    encoder: RememberingEncoder
    method: Method
    dismisses: bool

    def before(self) -> list[Sequence[Scored]]:
        """The best rows of each question."""
        return list(
            served_rows(self.data, self.entries, self.encoder, self.method, size=SIZE)
        )

    def compared(
        self, liked: int, ranked: Sequence[Sequence[Scored]], *, textless: bool
    ) -> tuple[Hits, Hits, Hits]:
        """The first ten other rows of the questions with `liked` liked rows: before the
        feedback, after it, and the latter with their scores before.
        """
        seen = {n: self._seen(n, rows, liked) for n, rows in enumerate(ranked)}
        some = [n for n, (right, _) in seen.items() if len(right) == liked]
        pulls = {at: self._pull(*seen[n]) for at, n in enumerate(some)}
        data = replace(
            self.data,
            queries=[
                pulls[at].text if textless else self.data.queries[n]
                for at, n in enumerate(some)
            ],
            right=[self.data.right[n] for n in some],
            kinds=(),
        )
        after = served_rows(
            data,
            self.entries,
            self.encoder,
            self.method,
            size=2 * FIRST_PAGE + max(LIKED),
            pulls=pulls,
            textless=textless,
        )
        old: list[tuple[float, bool]] = []
        new: list[tuple[float, bool]] = []
        own: list[tuple[float, bool]] = []
        for n, rows in zip(some, after, strict=True):
            old += self._others(n, ranked[n], seen[n])
            new += self._others(n, rows, seen[n])
            scores = {row.id: row.score for row in ranked[n]}
            before = [replace(row, score=scores.get(row.id, 1e-9)) for row in rows]
            own += self._others(n, before, seen[n])
        return old, new, own

    def _seen(
        self, number: int, rows: Sequence[Scored], liked: int
    ) -> tuple[list[int], list[int]]:
        """The places that are saved, and those that are dismissed."""
        known = set(self.data.right[number].tolist())
        places = [int(row.id) for row in rows[:FIRST_PAGE]]
        saved = [place for place in places if place in known][:liked]
        if not (saved and self.dismisses):
            return saved, []
        before = places[: places.index(saved[-1])]
        return saved, [place for place in before if place not in known]

    def _pull(self, saved: Sequence[int], dismissed: Sequence[int]) -> Pull:
        texts = ", ".join(self.data.rows[place] for place in saved)
        return Pull(
            self._directions(saved),
            self._directions(dismissed),
            texts,
            0,
            self._skills(saved),
            self._skills(dismissed),
        )

    def _directions(self, places: Sequence[int]) -> dict[int | str, np.ndarray]:
        rows = self.encoder.encode([self.data.rows[place] for place in places])
        exact = [row / np.linalg.norm(row) for row in rows.astype(np.float64)]
        return dict(zip(places, exact, strict=True))

    def _skills(self, places: Sequence[int]) -> dict[int | str, np.ndarray]:
        ends = np.append(self.entries.starts, len(self.entries.ids))
        return {
            place: self.entries.ids[ends[place] : ends[place + 1]].astype(np.int32)
            for place in places
        }

    def _others(
        self, number: int, rows: Sequence[Scored], seen: tuple[list[int], list[int]]
    ) -> list[tuple[float, bool]]:
        known = set(self.data.right[number].tolist())
        left = [row for row in rows if row.id not in (*seen[0], *seen[1])]
        return [
            (row.score, row.id in known) for row in left[:FIRST_PAGE] if row.score > 0
        ]


def binned(found: Hits) -> str:
    """The share of right ones in each bin of scores."""
    return " | ".join(
        _share([right for score, right in found if low <= score < high])
        for low, high in pairwise(BINS)
    )


def labelled(found: Hits, name: str, factor: float) -> str:
    """The share of right ones among strong, possible and weak ones, with thresholds
    multiplied by `factor`.
    """
    thresholds = RANKINGS[name].thresholds
    assert thresholds is not None  # noqa: S101
    labels: Mapping[str, list[bool]] = {"strong": [], "possible": [], "weak": []}
    for score, right in found:
        labels[thresholds.relevance(score / factor)].append(right)
    return " | ".join(_share(own) for own in labels.values())


def _share(right: Sequence[bool]) -> str:
    return f"{np.mean(right):.2f} of {len(right)}" if right else ""


def main(argv: Sequence[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument(
        "--dismissed", action="store_true", help="what is wrong before is dismissed"
    )
    args, folder, encoder = parse(parser, argv)
    sets = [
        typed(held_out=False),
        cut(typed_postings(folder, held_out=False, seed=SEED)),
        cut(surveyed(folder, held_out=False, seed=SEED)),
    ]
    methods: dict[str, Method] = {"hybrid": ByAllParts(encoder), "skills": BySkills()}
    for data in sets:
        entries = entries_of(data, with_titles=True)
        for name, method in methods.items():
            liking = Liking(data, entries, encoder, method, args.dismissed)
            for line in lines(liking, name):
                print(f"| {data.name} | {name} | {line} |", flush=True)
    return 0


def lines(liking: Liking, name: str) -> Iterator[str]:
    """The rows of the table."""
    ranked = liking.before()
    for liked in LIKED:
        for textless in (False, True):
            old, new, own = liking.compared(liked, ranked, textless=textless)
            who = f"{liked} liked, {'textless' if textless else 'known'}"
            yield f"{who}, before, bins | {binned(old)}"
            yield f"{who}, after, bins | {binned(new)}"
            yield f"{who}, before | {labelled(old, name, 1.0)}"
            yield f"{who}, by own text | {labelled(own, name, 1.0)}"
            for rise in RISES:
                factor = 1 + rise * liked / (liked + 1)
                yield f"{who}, rise {rise} | {labelled(new, name, factor)}"


if __name__ == "__main__":
    sys.exit(main())
