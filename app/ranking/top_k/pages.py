"""The page of an answer that is shown, cut from one row more than that."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.query import cursor
from app.query.ids import Id, IdColumn
from app.query.selection import Position
from app.ranking.top_k.bounds import Scored


@dataclass(frozen=True)
class Page:
    """The rows with their public ids, and how to go on; None where that is all."""

    ids: Sequence[Id]
    ranked: Sequence[Scored]
    next_cursor: str | None


def page_of(
    ranked: Sequence[Scored],
    size: int,
    column: IdColumn,
    fingerprint: bytes,
    *,
    basis: bytes = b"",
) -> Page:
    """The first `size` rows; one more tells that there is a next page, which goes on
    from the same `basis`.
    """
    shown = ranked[:size]
    ids = [column.from_stream(row.id) for row in shown]
    if len(ranked) <= size:
        return Page(ids, shown, None)
    last = Position(shown[-1].score, shown[-1].second, ids[-1], basis)
    return Page(ids, shown, cursor.to_text(last, fingerprint))
