"""Pages of the ranking by similarity, and their cursors."""

from typing import Any

import pytest

from app.errors import (
    InvalidInputError,
)
from app.query.constraints import AnyOf, Constraints
from app.query.cursor import from_text
from app.query.ids import Id
from app.query.query import Query
from app.storage.users import User
from tests.support.encoders import HashEncoder, direction
from tests.support.queries import profile_query, results
from tests.support.ranking import rank
from tests.support.tables_in_memory import (
    TablesInMemory,
    by_hand,
    shown,
    similarity_ranking,
)


def after(query: Query, cursor: str | None, **constraints: Any) -> Query:
    place = None if cursor is None else from_text(cursor)
    return Query(
        query.key,
        query.top_k,
        query.source_id,
        query.text,
        Constraints(after=place, **constraints),
    )


@pytest.mark.parametrize("least", [None, 0.0])
def test_pages_of_a_user_are_the_whole_order(
    monkeypatch: pytest.MonkeyPatch, least: float | None
) -> None:
    tables = TablesInMemory(users={1: User("typed", None)})
    ranked = similarity_ranking(tables, monkeypatch)
    query = profile_query(5, user_id=1)
    pages: list[tuple[Id, float | None]] = []
    cursor = None
    while not pages or cursor is not None:
        asked = after(query, cursor, min_score=least)
        (result,) = results(rank(ranked, [asked]))
        pages += shown(result)
        cursor = result.next_cursor
    expected = by_hand(direction("typed"), tables)
    assert pages == [row for row in expected if least is None or row[1] >= least]


def test_a_cursor_is_valid_for_its_own_query_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vector = direction("the same for all")
    tables = TablesInMemory(users={1: User("a", vector), 2: User("a", vector)})
    ranked = similarity_ranking(tables, monkeypatch)
    mine = profile_query(2, user_id=1)
    (page,) = results(rank(ranked, [mine]))
    others = [
        profile_query(2, user_id=2),
        profile_query(2, text="a"),
        profile_query(2, user_id=1, filters=(AnyOf("place", ("Bern",)),)),
    ]
    for other in others:
        # Only this query fails; another one of the batch succeeds.
        refused, fine = rank(ranked, [after(other, page.next_cursor), other])
        assert isinstance(refused, InvalidInputError)
        assert "belongs to another query" in str(refused)
        assert len(results([fine])[0].hits) == 2
    tables.users[1] = User("edited", vector)
    (refused,) = rank(ranked, [after(mine, page.next_cursor)])
    assert isinstance(refused, InvalidInputError)


def test_a_cursor_of_another_model_or_ranking_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = TablesInMemory()
    query = profile_query(2, text="a")
    (page,) = results(rank(similarity_ranking(tables, monkeypatch), [query]))
    newer = HashEncoder()
    newer.version = "newer"
    (refused,) = rank(
        similarity_ranking(tables, monkeypatch, encoder=newer),
        [after(query, page.next_cursor)],
    )
    assert isinstance(refused, InvalidInputError)
    other = profile_query(2, text="a", ranking="another")
    (refused,) = rank(
        similarity_ranking(tables, monkeypatch), [after(other, page.next_cursor)]
    )
    assert isinstance(refused, InvalidInputError)
