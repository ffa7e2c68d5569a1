"""The choice of a page's rows among ranked ones."""

from collections import Counter

import numpy as np
import pytest

from app.query.ids import Id
from app.query.variety import Variety
from app.ranking.skills.choice import NO_TRAITS, Traits, chosen, id_hash

COUNT = 40
IDS: list[Id] = list(range(100, 100 + COUNT))
TWO_PER = Variety((("company", 2),))


def made_traits(seed: int) -> Traits:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((COUNT, 8)) + 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    companies = [None, "a", "b", 3, 3.5]
    return Traits(
        {},
        {id_: (companies[rng.integers(5)],) for id_ in IDS},
        {id_: row for id_, row in zip(IDS, vectors, strict=True) if id_ % 7},
    )


def scores_of(seed: int) -> list[float]:
    return sorted(np.random.default_rng(seed).uniform(0, 1, COUNT), reverse=True)


def naive(scores: list[float], traits: Traits, variety: Variety) -> list[int]:
    """All numbers in the order of their choice, by the definition."""
    picked: list[int] = []
    counts: Counter[object] = Counter()
    share, ((_, limit),) = variety.diversity, variety.max_per
    while True:
        best, greatest = None, -np.inf
        for n in range(COUNT):
            (company,) = traits.values[IDS[n]]
            if n in picked or (company is not None and counts[company] >= limit):
                continue
            own = traits.vectors.get(IDS[n])
            others = [traits.vectors.get(IDS[m]) for m in picked]
            near = [float(own @ other) for other in others
                    if own is not None and other is not None]  # fmt: skip
            value = (1 - share) * scores[n] - share * max([0.0, *near])
            if value > greatest + 1e-12:
                best, greatest = n, value
        if best is None:
            return picked
        picked.append(best)
        counts[traits.values[IDS[best]][0]] += 1


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_rows_are_chosen_one_after_another_by_the_definition(
    diversity: float, seed: int
) -> None:
    scores, traits = scores_of(seed), made_traits(seed)
    variety = Variety((("company", 2),), diversity)
    expected = naive(scores, traits, variety)
    found = chosen(
        range(COUNT), IDS, scores, variety=variety, traits=traits, size=COUNT
    )
    assert found == expected
    assert len(found) < COUNT


@pytest.mark.parametrize("diversity", [0.0, 0.5])
@pytest.mark.parametrize("size", [1, 3, 10])
def test_pages_are_parts_of_one_choice(diversity: float, size: int) -> None:
    scores, traits = scores_of(9), made_traits(9)
    variety = Variety((("company", 3),), diversity)
    whole = chosen(
        range(COUNT), IDS, scores, variety=variety, traits=traits, size=COUNT
    )
    seen: list[int] = []
    while True:
        before = [IDS[n] for n in seen]
        page = chosen(
            range(COUNT),
            IDS,
            scores,
            variety=variety,
            traits=traits,
            before=before,
            shown=frozenset(map(id_hash, before)),
            size=size,
        )
        seen += page
        if len(page) < size:
            break
    assert seen == whole


def test_jobs_of_pages_before_count_and_missing_values_do_not() -> None:
    traits = Traits({}, {1: ("a",), 2: ("a",), 3: ("b",), 4: (None,), 5: (None,)})
    found = chosen(
        [0, 1, 2, 3],
        [2, 3, 4, 5],
        [4, 3, 2, 1],
        variety=Variety((("company", 1),)),
        traits=traits,
        before=[1],
        size=9,
    )
    assert found == [1, 2, 3]


def test_true_and_one_are_two_values_of_two_columns() -> None:
    traits = Traits({}, {n: (True, n % 2) for n in range(4)})
    variety = Variety((("remote", 3), ("level", 2)))
    found = chosen(
        range(4), range(4), [0.0] * 4, variety=variety, traits=traits, size=4
    )
    assert found == [0, 1, 2]


def test_without_variety_the_order_is_that_of_the_scores() -> None:
    assert chosen([0, 2, 5], IDS, scores_of(1), traits=NO_TRAITS, size=2) == [0, 2]
