"""What a cursor keeps between two pages, beside the place of the last row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query import cursor
from app.query.constraints import CursorPosition
from app.query.ids import Id
from app.ranking.skills.ranking_state import (
    STATE_HEAD,
    RankingState,
    read_state,
    state_bytes,
)

# Postgres stores no zero character, so that it may stand between ids.
TEXT_IDS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1)
IDS = st.one_of(st.integers(-(2**63), 2**63 - 1), TEXT_IDS)


@given(
    st.lists(st.floats(allow_nan=False), max_size=9),
    st.lists(IDS, max_size=9),
    st.lists(st.integers(1, 2**31 - 1), max_size=9),
    st.integers(0, 2**64 - 1),
)
def test_a_state_comes_back_to_the_last_bit(
    values: list[float], seen: list[Id], mentioned: list[int], as_of: int
) -> None:
    state = RankingState(np.array(values), seen, mentioned, as_of)
    back = read_state(state_bytes(state, room=10_000))
    assert back is not None
    assert back.mentioned == mentioned
    assert back.as_of == as_of
    assert back.values.tolist() == values
    assert list(back.seen) == [str(id_) for id_ in seen]


def test_of_more_rows_than_fit_the_last_are_kept() -> None:
    state = RankingState(np.ones(2), list(range(1000, 1100)), [7])
    data = state_bytes(state, room=STATE_HEAD.size + 16 + 4 + 3 * 5 + 4)
    back = read_state(data)
    assert back is not None
    assert list(back.seen) == ["1097", "1098", "1099"]
    assert back.values.tolist() == [1, 1]


@given(IDS)
def test_a_full_state_makes_no_cursor_too_long(last: Id) -> None:
    room = cursor.room_for_state(last)
    full = RankingState(np.ones(194), list(range(10**6, 10**6 + 500)), range(48))
    state = state_bytes(full, room=room)
    position = CursorPosition(0.5, 0.0, last, state)
    text = cursor.to_text(position, b"")
    assert len(text) <= cursor.MAX_LENGTH
    assert cursor.from_text(text).ranking_state == state


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        b"\0\1\0\0",
        b"\0\2\0\0" + bytes(9),
        b"\0\0\0\1" + bytes(3),
        b"\0\0\0\0\xff",
    ],
)
def test_other_bytes_are_no_state(data: bytes) -> None:
    assert read_state(data) is None
