"""Choose the jobs of a page among ranked ones: few of one employer, and different ones.

The diversity is Maximal Marginal Relevance (Carbonell and Goldstein, 1998): the next
job has the greatest (1 - d) * score - d * similarity. The similarity is the cosine with
the most similar job that was chosen before.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Id
from app.query.variety import NO_VARIETY, Variety

# Jobs among which different ones are chosen, for all pages until they are used up.
DIVERSE_WINDOW = 200

# The value of one column of a job; None counts for nothing.
ColumnValue = object


@dataclass(frozen=True)
class Traits:
    """What the choice among jobs depends on, by their ids; empty where nothing does.

    `lists`: skill ids. `values`: those of the columns of `Variety.max_per`, in their
    order. `vectors`: (dimension,) float64 of unit length; none of a job without one.
    """

    lists: Mapping[Id, frozenset[int]] = field(default_factory=dict)
    values: Mapping[Id, Sequence[ColumnValue]] = field(default_factory=dict)
    vectors: Mapping[Id, NDArray[np.float64]] = field(default_factory=dict)


NO_TRAITS = Traits()


class Caps:
    """How many jobs of each value there are already."""

    def __init__(self, variety: Variety, traits: Traits, before: Iterable[Id]) -> None:
        self._limits = [limit for _, limit in variety.max_per]
        self._values = traits.values
        self._counts: Counter[tuple[int, ColumnValue]] = Counter()
        for id_ in before:
            self.add(id_)

    def add(self, id_: Id) -> None:
        self._counts.update(self._keys(id_))

    def allow(self, id_: Id) -> bool:
        """Whether one more job with these values is allowed."""
        return all(self._counts[key] < self._limits[key[0]] for key in self._keys(id_))

    def _keys(self, id_: Id) -> list[tuple[int, ColumnValue]]:
        values = self._values.get(id_, ())
        return [pair for pair in enumerate(values) if pair[1] is not None]


def id_hash(id_: Id) -> int:
    """32 bits of an id, for cursors."""
    return int.from_bytes(blake2b(str(id_).encode(), digest_size=4).digest())


def chosen(
    places: Sequence[int],
    ids: Sequence[Id],
    scores: Sequence[float],
    *,
    variety: Variety = NO_VARIETY,
    traits: Traits = NO_TRAITS,
    before: Sequence[Id] = (),
    shown: frozenset[int] = frozenset(),
    size: int,
) -> list[int]:
    """Up to `size` of the numbers `places`, which are in the order of the scores.

    `before`: jobs of pages before. `shown`: the hashes of those among `ids`, which are
    not chosen again.
    """
    caps = Caps(variety, traits, before)
    left = [n for n in places if id_hash(ids[n]) not in shown] if shown else places
    if variety.diversity:
        met = [id_ for id_ in ids if shown and id_hash(id_) in shown]
        relevance = _Marginal(variety.diversity, left, ids, scores, traits)
        for id_ in met:
            relevance.met(id_)
        return _different(left, ids, relevance, caps, size)
    picked: list[int] = []
    for n in left:
        if len(picked) == size:
            break
        if caps.allow(ids[n]):
            caps.add(ids[n])
            picked.append(n)
    return picked


class _Marginal:
    """The marginal relevance of each candidate."""

    def __init__(
        self,
        diversity: float,
        left: Sequence[int],
        ids: Sequence[Id],
        scores: Sequence[float],
        traits: Traits,
    ) -> None:
        self._share = diversity
        self._traits = traits
        self._scores = np.array([scores[n] for n in left])
        self._vectors = [traits.vectors.get(ids[n]) for n in left]
        self._nearest = np.zeros(len(left))

    def met(self, id_: Id) -> None:
        """Count the similarity with a job that was chosen."""
        vector = self._traits.vectors.get(id_)
        if vector is None:
            return
        # One by one: the same digits whatever the other candidates.
        similar = [
            0.0 if own is None else float(np.einsum("i,i->", own, vector))
            for own in self._vectors
        ]
        self._nearest = np.maximum(self._nearest, similar)

    def order(self) -> list[int]:
        """The candidates, the best first and equal ones in the order of scores."""
        values = (1 - self._share) * self._scores - self._share * self._nearest
        found: list[int] = np.argsort(-values, kind="stable").tolist()
        return found


def _different(
    left: Sequence[int],
    ids: Sequence[Id],
    relevance: _Marginal,
    caps: Caps,
    size: int,
) -> list[int]:
    picked: list[int] = []
    open_ = set(range(len(left)))
    while open_ and len(picked) < size:
        best = next((at for at in relevance.order() if at in open_), None)
        assert best is not None  # noqa: S101  (some are open)
        open_.discard(best)
        id_ = ids[left[best]]
        if caps.allow(id_):
            caps.add(id_)
            relevance.met(id_)
            picked.append(left[best])
    return picked
