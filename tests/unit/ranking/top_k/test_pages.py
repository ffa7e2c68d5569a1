"""A page of an answer, and the cursor that goes on after it."""

import uuid

from app.query.cursor import check, from_text, query_hash
from app.query.ids import IdColumn
from app.ranking.top_k.bounds import Scored
from app.ranking.top_k.pages import page_of

HASH = query_hash("similarity", "python")
RANKED = [Scored(n, 1 - n / 10, n / 100) for n in range(4)]


def test_one_row_more_than_is_shown_tells_of_a_next_page() -> None:
    page = page_of(RANKED, 3, IdColumn("integer"), HASH)
    assert (page.ids, page.ranked) == ([0, 1, 2], RANKED[:3])
    assert page.next_cursor is not None
    position = from_text(page.next_cursor)
    check(position, HASH)
    assert (position.score, position.second, position.id) == (0.8, 0.02, "2")
    assert position.ranking_state == b""


def test_what_the_ranking_rests_on_goes_along() -> None:
    page = page_of(RANKED, 1, IdColumn("integer"), HASH, ranking_state=b"weights")
    assert page.next_cursor is not None
    assert from_text(page.next_cursor).ranking_state == b"weights"


def test_without_one_more_that_was_all() -> None:
    for size in (4, 5):
        page = page_of(RANKED, size, IdColumn("integer"), HASH)
        assert (page.ids, page.ranked) == ([0, 1, 2, 3], RANKED)
        assert page.next_cursor is None
    assert page_of([], 3, IdColumn("integer"), HASH).ids == []


def test_ids_are_those_that_are_public() -> None:
    id_ = uuid.UUID(int=7)
    page = page_of([Scored(id_.bytes, 0.5)], 3, IdColumn("uuid"), HASH)
    assert page.ids == [str(id_)]
