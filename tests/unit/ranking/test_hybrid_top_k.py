"""The hybrid score over rows in memory, compared with the formula in loops."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from app.query.query import BatchKey
from app.ranking.hybrid_state import MAX_QUERY_WORDS, HybridState, is_state, query_words
from app.ranking.hybrid_top_k import HybridTopK
from app.ranking.skills.methods import ScanGroup
from app.ranking.skills.parse import split_skills
from app.ranking.skills.prepare import SkillQuery, distinct_skills
from app.ranking.skills.prose import AskedSkills
from app.ranking.skills.skill_scores import SkillQueries
from app.ranking.top_k.heap import Scored
from tests.support.encoders import BlendEncoder
from tests.support.naive_hybrid import NaiveHybrid, NaiveRow
from tests.support.vocabulary import RowsInMemory

WORDS = [f"{letter}word{n}" for letter in "abc" for n in range(12)]
ENCODER = BlendEncoder()


def texts(count: int, *, seed: int) -> dict[int, str]:
    rng = random.Random(seed)
    return {
        id_: ", ".join(
            " ".join(rng.sample(WORDS, rng.randint(1, 3)))
            for _ in range(rng.randint(1, 6))
        )
        for id_ in rng.sample(range(10_000), count)
    }


JOBS = texts(150, seed=1)
ROWS = RowsInMemory.of(ENCODER, JOBS)
ASKED = [*texts(12, seed=2).values(), "aword1 unheard, of", "unheard of this board"]


def query_of(text: str) -> SkillQuery:
    return SkillQuery(text, AskedSkills(split_skills(text)), None, b"")


def ranked(
    asked: Sequence[str],
    *,
    size: int = 12,
    rows: int = 64,
    coded: bool = False,
    states: Sequence[np.ndarray | None] | None = None,
) -> HybridTopK:
    queries = dict(enumerate(map(query_of, asked)))
    keys = list(dict.fromkeys(s.key for q in queries.values() for s in q.skills))
    vectors = dict(zip(keys, ENCODER.encode(keys), strict=True))
    wanted, columns = distinct_skills(list(queries), queries, vectors)
    group = ScanGroup(
        BatchKey("hybrid"),
        list(queries.values()),
        ENCODER.encode(asked),
        SkillQueries(wanted, columns, [size] * len(asked)),
        states or [None] * len(asked),
    )
    top = HybridTopK(ROWS.vocabulary, group)
    for chunk in ROWS.chunks(rows, coded=coded):
        top.update(chunk)
    return top


def pairs(found: Sequence[Scored]) -> list[tuple[int, float]]:
    return [(row.id, row.score) for row in found]


def test_scores_are_those_of_the_formula_whoever_asks_and_however_it_is_cut() -> None:
    naive = NaiveHybrid(ENCODER, {id_: NaiveRow(text) for id_, text in JOBS.items()})
    together = ranked(ASKED)
    for number, text in enumerate(ASKED):
        found = pairs(together.result(number))
        expected = naive.best(text, size=12)
        assert [score for _, score in found] == pytest.approx(
            [score for _, score in expected], abs=2e-6
        )
        assert {id_ for id_, _ in found[:3]} == {id_ for id_, _ in expected[:3]}
        assert pairs(ranked([text], rows=7).result(0)) == found
        assert pairs(ranked([text], rows=7, coded=True).result(0)) == found
    assert together.analyzed == len(JOBS)


def test_codes_only_choose_candidates() -> None:
    """Also where whole texts decide: no job lists these skills."""
    asked = [f"unheard {text}" for text in ASKED]
    exact, by_codes = ranked(asked, rows=40), ranked(asked, rows=40, coded=True)
    for number in range(len(asked)):
        assert by_codes.result(number) == exact.result(number)
    assert max(state[-2] for state in exact.states) > 0.5


def test_a_given_state_ranks_as_the_page_before_did() -> None:
    first = ranked(ASKED[:1])
    (state,) = first.states
    assert is_state(state, query_of(ASKED[0]))
    again = ranked(ASKED[:1], states=[state])
    assert pairs(again.result(0)) == pairs(first.result(0))
    other = HybridState.of(state, query_of(ASKED[0]))
    moved = HybridState(other.weights, other.shares, 1.0, other.mean * 2).values
    assert pairs(ranked(ASKED[:1], states=[moved]).result(0)) != pairs(first.result(0))
    uneven = np.array([1.0] + [0.0] * (len(other.weights) - 1))
    one = HybridState(uneven, other.shares, other.open_share, other.mean).values
    assert pairs(ranked(ASKED[:1], states=[one]).result(0)) != pairs(first.result(0))


@pytest.mark.parametrize(
    "broken",
    [
        lambda state: state[:-1],
        lambda state: np.append(state, 0.0),
        lambda state: state * 2,
        lambda state: np.append(state[:-2], [1.5, 1.0]),
        lambda state: np.append(state[:-2], [0.5, -1.0]),
        lambda state: np.append(state[:-2], [0.5, np.nan]),
        lambda state: np.append(state[:-2], [0.5, np.inf]),
    ],
)
def test_what_no_page_left_is_no_state(broken: object) -> None:
    assert callable(broken)
    (state,) = ranked(ASKED[:1]).states
    assert not is_state(broken(state), query_of(ASKED[0]))


def test_the_words_of_a_question_are_bounded() -> None:
    text = ", ".join(f"some{n} thing{n} other{n}" for n in range(60))
    assert len(query_words(query_of(text))) == MAX_QUERY_WORDS
