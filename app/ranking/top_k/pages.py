"""One page of a result, from one row more than requested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from app.query import cursor
from app.query.constraints import CursorPosition
from app.query.ids import Id, IdColumn
from app.ranking.top_k.bounds import Scored


@dataclass(frozen=True)
class Page:
    """The rows with their public ids, and the next cursor; None on the last page.

    `repeats`: the near-repeats of each row, by its id; empty unless rows are distinct.
    """

    ids: Sequence[Id]
    ranked: Sequence[Scored]
    next_cursor: str | None
    repeats: Mapping[Id, Sequence[Id]] = field(default_factory=dict)

    @cached_property
    def scores(self) -> dict[Id, float]:
        """The score of each row, by its public id."""
        return {id_: row.score for id_, row in zip(self.ids, self.ranked, strict=True)}

    @cached_property
    def factors(self) -> dict[Id, float | None]:
        """The factor of each row's score, by its public id."""
        return {id_: row.factor for id_, row in zip(self.ids, self.ranked, strict=True)}


def page_of(
    ranked: Sequence[Scored],
    size: int,
    column: IdColumn,
    query_hash: bytes,
    *,
    ranking_state: bytes = b"",
    hour: int = 0,
) -> Page:
    """The first `size` rows.

    A further row means that there is a next page, which uses the same `ranking_state`
    and `hour`.
    """
    shown = ranked[:size]
    ids = [column.from_stream(row.id) for row in shown]
    if len(ranked) <= size:
        return Page(ids, shown, None)
    after = cursor_after(shown[-1], ids[-1], query_hash, ranking_state, hour=hour)
    return Page(ids, shown, after)


def cursor_after(
    row: Scored, id_: Id, query_hash: bytes, ranking_state: bytes, *, hour: int = 0
) -> str:
    """The cursor of the page after this row."""
    last = CursorPosition(row.score, row.second, id_, ranking_state, hour=hour)
    return cursor.to_text(last, query_hash)
