"""Near-repeats take one place, the first of them, whatever stands between."""

from collections.abc import Sequence

import numpy as np

from app.query import cursor
from app.query.ids import Id, IdColumn
from app.ranking.skills.choice import Traits
from app.ranking.skills.distinct import (
    MAX_WINDOW,
    DistinctRequest,
    Leaders,
    distinct_page,
    first_window,
    next_window,
)
from app.ranking.skills.ranking_state import RankingState, read_state
from app.ranking.top_k.heap import Scored
from app.ranking.top_k.pages import Page

QUESTION = b"question"
TEN = frozenset(range(10))
LISTS: dict[Id, frozenset[int]] = {
    1: TEN,
    2: frozenset({50}),
    3: TEN | {10, 11},  # 10 of 12
    4: frozenset({60}),
    5: frozenset({50}),
    6: TEN - {0, 1},  # 8 of 10
    7: TEN - {0, 1, 2},  # 7 of 10
    8: frozenset(),
    9: frozenset(),
}


def page(
    ids: Sequence[int], *, size: int, window: int = 99, seen: Sequence[int] = ()
) -> Page | None:
    ranked = [Scored(id_, 1 - place / 100) for place, id_ in enumerate(ids)]
    state = RankingState(np.array([0.5]), seen)
    column = IdColumn("integer")
    asked = DistinctRequest(size, window, column, QUESTION, state, Traits(LISTS))
    return distinct_page(ranked, asked)


def test_the_best_of_near_repeats_takes_their_place() -> None:
    found = page([3, 2, 1, 5, 4, 6, 7], size=9)
    assert found is not None
    # 6 is near to 1, which takes no place, and not to 3: 8 of 12.
    assert list(found.ids) == [3, 2, 4, 6]
    assert found.repeats == {3: (1,), 2: (5,), 4: (), 6: (7,)}
    assert found.scores == {3: 1.0, 2: 0.99, 4: 0.96, 6: 0.95}
    assert found.next_cursor is None


def test_rows_without_skills_repeat_nothing() -> None:
    found = page([8, 9, 1], size=3)
    assert found is not None
    assert list(found.ids) == [8, 9, 1]


def test_a_row_is_a_repeat_of_the_first_that_is_near() -> None:
    leaders = Leaders([{1, 2, 3, 4, 5}, {1, 2, 3, 4}])
    assert leaders.first_near({1, 2, 3, 4}) == 0
    assert leaders.first_near({1, 2, 3}) is None
    assert leaders.first_near({7}) is None


def test_a_next_page_goes_on_after_the_last_place_and_knows_those_before() -> None:
    first = page([1, 2, 4, 3, 5], size=2, window=5)
    assert first is not None
    assert list(first.ids) == [1, 2]
    # Repeats that come later are told here, where their place is.
    assert first.repeats == {1: (3,), 2: (5,)}
    assert first.next_cursor is not None
    after = cursor.from_text(first.next_cursor)
    cursor.check(after, QUESTION)
    assert (after.id, after.score) == ("2", 0.99)
    state = read_state(after.ranking_state)
    assert state is not None
    assert (state.values.tolist(), list(state.seen)) == ([0.5], ["1", "2"])
    second = page([4, 3, 5, 7], size=2, seen=[1, 2])
    assert second is not None
    assert (list(second.ids), second.repeats) == ([4, 7], {4: (), 7: ()})


def test_too_few_places_in_a_full_window_ask_for_a_larger_one() -> None:
    assert page([1, 3, 2], size=2, window=3) is None
    enough = page([1, 3, 2, 4], size=2, window=4)
    assert enough is not None
    all_rows = page([1, 3, 2], size=2, window=4)
    assert all_rows is not None
    assert all_rows.next_cursor is None


def test_behind_very_many_copies_a_page_is_short_and_the_next_one_goes_on() -> None:
    found = page([1, 3], size=2, window=MAX_WINDOW)
    assert found is not None
    assert found.next_cursor is None  # these were all
    ids = [1] + [3] * (MAX_WINDOW - 1)
    found = page(ids, size=2, window=MAX_WINDOW)
    assert found is not None
    assert list(found.ids) == [1]
    assert found.next_cursor is not None
    assert cursor.from_text(found.next_cursor).id == "3"


def test_windows_grow_to_a_bound_and_never_shrink() -> None:
    window = first_window(10)
    assert window > 10
    while (wider := next_window(window)) != window:
        assert wider > window
        window = wider
    assert window == MAX_WINDOW
    large = first_window(MAX_WINDOW)
    assert next_window(large) == large > MAX_WINDOW
