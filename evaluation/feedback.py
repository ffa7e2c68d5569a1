"""How much feedback helps: learning curves over 0, 1, 3 and 10 simulated events.

Profiles and postings are those of the surveys, the choices are simulated: a person
looks at the ten best postings of a ranking without feedback, from the first to the
last, saves those whose title names the person's occupation, and dismisses the others.
The first 0, 1, 3 or 10 of these events then move the ranking of the postings that were
not looked at, which are the same for each number of events.
"""

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from app.commands.calibration.intervals import interval
from app.ranking.skills.favours import DISFAVOUR, FAVOUR
from app.ranking.skills.hybrid_scoring import HYBRID_WEIGHTS, match_scores
from app.ranking.skills.scoring import match_credit
from app.ranking.taste import AWAY, FEEDBACK_SHARE, TOWARDS
from evaluation.datasets import Dataset, surveyed
from evaluation.encoding import RememberingEncoder
from evaluation.measures import FIRST_PAGE, Scores
from evaluation.options import SEED, Parsed, parse, parser_of
from evaluation.rankings import Contest

EVENTS = (0, 1, 3, 10)
POSTINGS = 6000


@dataclass(frozen=True)
class Pull:
    """How far events move a profile: towards saved jobs and away from dismissed ones.

    n events have the weight `most` * n / (n + `half`).
    """

    towards: float = TOWARDS
    away: float = AWAY
    half: float = 1.0
    share: float = FEEDBACK_SHARE
    more: float = FAVOUR
    less: float = DISFAVOUR

    def weight(self, most: float, count: int) -> float:
        return most * count / (count + self.half)


class Simulation:
    """The people of one half, their choices, and the rankings after them."""

    def __init__(self, data: Dataset, encoder: RememberingEncoder) -> None:
        self.data = data
        self.contest = Contest(data, encoder)
        self.rows = encoder.encode(data.rows).astype(np.float64)
        self.people = encoder.encode(data.queries).astype(np.float64)
        self.right = np.zeros((len(data.queries), len(data.rows)), bool)
        for person, places in enumerate(data.right):
            self.right[person, places] = True

    @cached_property
    def parts(self) -> tuple[Scores, Scores]:
        """(people, rows) of words, and (people, 1) open shares."""
        contest = self.contest
        return (
            np.array(list(contest.word_scores(HYBRID_WEIGHTS)), np.float32),
            np.array(contest.open_shares)[:, None],
        )

    def scores(self, name: str, moved: "Moved") -> Scores:
        """(people, rows) after the events."""
        cosines = moved.vectors @ self.rows.T
        cosines /= np.maximum(np.linalg.norm(moved.vectors, axis=1), 1e-12)[:, None]
        if name == "similarity":
            return cosines
        words, left = self.parts
        found = list(self.contest.soft_skills(HYBRID_WEIGHTS, moved.favours))
        shares = 1 - (1 - left) * (1 - moved.shares)
        return match_scores(cosines, np.array(found), words, open_share=shares)

    def looked_at(self, name: str) -> NDArray[np.intp]:
        """(people, 10): the best postings without feedback."""
        return best(self.scores(name, Moved.of(self.people)))

    def moved(self, seen: NDArray[np.intp], pull: Pull, *, is_known: bool) -> "Moved":
        """What the events change."""
        vectors = self.people.copy() if is_known else np.zeros_like(self.people)
        added = np.zeros((len(vectors), 1))
        favours = []
        for person, places in enumerate(seen):
            is_saved = self.right[person, places]
            saved, dismissed = places[is_saved], places[~is_saved]
            if len(saved):
                weight = pull.weight(pull.towards, len(saved)) if is_known else 1.0
                vectors[person] += weight * self.rows[saved].mean(axis=0)
                added[person] = pull.weight(pull.share, len(saved))
            if len(dismissed) and (is_known or len(saved)):
                weight = pull.weight(pull.away, len(dismissed))
                vectors[person] -= weight * self.rows[dismissed].mean(axis=0)
            favours.append(self._favours(person, saved, dismissed, pull))
        return Moved(vectors, added, favours)

    def _favours(
        self,
        person: int,
        saved: NDArray[np.intp],
        dismissed: NDArray[np.intp],
        pull: Pull,
    ) -> NDArray[np.float64]:
        """(k,): the factors of the person's skills, as the service computes them."""
        matches = self.contest.titled_matches
        columns = matches.columns[person]
        factors = np.ones(len(columns))
        for sign, most, places in ((1, pull.more, saved), (-1, pull.less, dismissed)):
            if len(places):
                credit = match_credit(matches.best[np.ix_(places, columns)])
                factors += sign * pull.weight(most, len(places)) * credit.mean(axis=0)
        return factors

    def curve(
        self, name: str, pull: Pull, *, is_known: bool = True
    ) -> Iterator[tuple[int, Scores, Scores]]:
        """Events, and for each person R@10 and nDCG@10 among postings not looked at."""
        shown = self.looked_at(name)
        for events in EVENTS:
            moved = self.moved(shown[:, :events], pull, is_known=is_known)
            scores = self.scores(name, moved)
            np.put_along_axis(scores, shown, -np.inf, axis=1)
            hits = np.take_along_axis(self.right, best(scores), axis=1)
            yield events, (hits.sum(axis=1) > 0) * 1.0, self._gains(hits, shown)

    def by_others(self, name: str) -> Iterator[tuple[int, Scores, Scores]]:
        """The same as `curve` by what all people saved, without any text: the nearest
        postings by the cosine of their columns (implicit's simplest model).
        """
        # Not among the packages of this project: pip install implicit==0.7.3
        from implicit.nearest_neighbours import CosineRecommender  # noqa: PLC0415

        shown = self.looked_at(name)
        for events in EVENTS:
            saved = np.zeros(self.right.shape, np.float32)
            seen = shown[:, :events]
            hit = np.take_along_axis(self.right, seen, axis=1)
            np.put_along_axis(saved, seen, hit.astype(np.float32), axis=1)
            scores = np.zeros(self.right.shape)
            if saved.any():
                model = CosineRecommender(K=20)
                model.fit(csr_matrix(saved), show_progress=False)
                scores = csr_matrix(saved).dot(model.similarity).toarray()
            np.put_along_axis(scores, shown, -np.inf, axis=1)
            found = best(scores)
            # Rows without a score are not recommended.
            is_scored = np.take_along_axis(scores, found, axis=1) > 0
            hits = np.take_along_axis(self.right, found, axis=1) & is_scored
            yield events, (hits.sum(axis=1) > 0) * 1.0, self._gains(hits, shown)

    def _gains(self, hits: NDArray[np.bool_], shown: NDArray[np.intp]) -> Scores:
        """(people,): nDCG@10 of these hits."""
        left = self.right.sum(axis=1) - np.take_along_axis(
            self.right, shown, axis=1
        ).sum(axis=1)
        discounts = 1 / np.log2(np.arange(2, FIRST_PAGE + 2))
        ideal = np.cumsum(discounts)[np.clip(left, 1, FIRST_PAGE) - 1]
        gains: Scores = np.where(hits, discounts, 0).sum(axis=1) / ideal
        return gains


@dataclass(frozen=True)
class Moved:
    """The profiles after some events, (people, dimension); what these add to the open
    shares, (people, 1); and the factors of each person's skills.
    """

    vectors: Scores
    shares: Scores
    favours: Sequence[NDArray[np.float64]] | None = None

    @classmethod
    def of(cls, people: Scores) -> "Moved":
        """Without events."""
        return cls(people, np.zeros((len(people), 1)))


def best(scores: Scores) -> NDArray[np.intp]:
    """(people, 10) places, highest score first."""
    top = np.argpartition(-scores, FIRST_PAGE, axis=1)[:, :FIRST_PAGE]
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1)


def cut(data: Dataset) -> Dataset:
    """The first POSTINGS rows, and the people for whom some of these are right."""
    right = [places[places < POSTINGS] for places in data.right]
    kept = [n for n, places in enumerate(right) if len(places) > FIRST_PAGE]
    return replace(
        data,
        rows=data.rows[:POSTINGS],
        queries=[data.queries[n] for n in kept],
        right=[right[n] for n in kept],
    )


def grid() -> Iterator[tuple[str, Pull]]:
    for towards, away, half in itertools.product(
        (0.25, 0.5, 1.0, 2.0), (0.0, 0.125, 0.25, 0.5), (1.0, 3.0)
    ):
        yield "similarity", Pull(towards, away, half)
    for towards, away, share in itertools.product(
        (1.0, 2.0, 4.0), (0.0, 0.25, 0.5), (0.0, 0.25, 0.5, 0.75, 1.0)
    ):
        yield "hybrid", Pull(towards, away, 1.0, share, more=0.0, less=0.0)
    for more, less in itertools.product((0.0, 0.5, 1.0, 2.0), (0.0, 0.25, 0.5)):
        yield "hybrid", Pull(more=more, less=less)


def main(argv: Sequence[str] | None = None) -> int:
    args, folder, encoder = _parse(argv)
    data = cut(surveyed(folder, held_out=args.held_out, seed=SEED))
    simulation = Simulation(data, encoder)
    print(len(data.queries), "people", len(data.rows), "postings", flush=True)
    for name, pull in grid() if args.grid else ():
        show(simulation, name, pull)
    for name in ("similarity", "hybrid"):
        show(simulation, name, Pull())
    show(simulation, "similarity", Pull(), is_known=False)
    if args.others:
        write("others' choices", simulation.by_others("similarity"))
    return 0


def show(
    simulation: Simulation, name: str, pull: Pull, *, is_known: bool = True
) -> None:
    who = "known" if is_known else "textless"
    curve = simulation.curve(name, pull, is_known=is_known)
    write(f"{name} | {pull} | {who}", curve)


def write(title: str, curve: Iterator[tuple[int, Scores, Scores]]) -> None:
    """One line: R@10 and nDCG@10 after each number of events, with intervals."""
    cells = [
        f"{events}: {interval(found, seed=SEED)}, {interval(gains, seed=SEED)}"
        for events, found, gains in curve
    ]
    print(title, *cells, sep=" | ", flush=True)


def _parse(argv: Sequence[str] | None) -> Parsed:
    parser = parser_of(__doc__)
    parser.add_argument(
        "--held-out", action="store_true", help="the other half of the people"
    )
    parser.add_argument(
        "--others", action="store_true", help="also implicit, which must be installed"
    )
    parser.add_argument(
        "--grid", action="store_true", help="other numbers as well, to choose by"
    )
    return parse(parser, argv)


if __name__ == "__main__":
    sys.exit(main())
