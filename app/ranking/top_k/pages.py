"""One page of a result, from one row more than requested."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.query import cursor
from app.query.constraints import CursorPosition
from app.query.ids import Id, IdColumn
from app.ranking.top_k.bounds import Scored


@dataclass(frozen=True)
class Page:
    """The rows with their public ids, and the next cursor; None on the last page."""

    ids: Sequence[Id]
    ranked: Sequence[Scored]
    next_cursor: str | None

    @property
    def scores(self) -> dict[Id, float]:
        """The score of each row, by its public id."""
        return {id_: row.score for id_, row in zip(self.ids, self.ranked, strict=True)}


def page_of(
    ranked: Sequence[Scored],
    size: int,
    column: IdColumn,
    query_hash: bytes,
    *,
    ranking_state: bytes = b"",
) -> Page:
    """The first `size` rows.

    A further row means that there is a next page, which uses the same `ranking_state`.
    """
    shown = ranked[:size]
    ids = [column.from_stream(row.id) for row in shown]
    if len(ranked) <= size:
        return Page(ids, shown, None)
    last = CursorPosition(shown[-1].score, shown[-1].second, ids[-1], ranking_state)
    return Page(ids, shown, cursor.to_text(last, query_hash))
