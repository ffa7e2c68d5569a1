"""Random samples of rows; no large table is read in full."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2.sql import Composable, Literal

from app.storage.codec import int32_from_bytes
from app.storage.connection.transaction import Transaction
from app.storage.coverage import Coverage, coverage
from app.storage.entity import STATES, UNNAMED_VERSION, EntityTable
from app.storage.inspection import key_columns
from app.storage.sql import load

QUERIES = load("samples")

# Pages of 8 KB in one sample; smaller tables are read in full.
SAMPLED_PAGES = 1000
# Rows of smaller tables are counted, not estimated.
COUNTED_PAGES = 16_000
MAX_COUNTED_ROWS = 100_000
# Rows per sample whose counterpart is looked up by an index.
LOOKED_UP_ROWS = 1000


@dataclass(frozen=True)
class SampledRow:
    """A row with its embedding and skill ids; `embedding` holds the stored bytes, none
    if they are not sound.
    """

    id: str
    text: str
    title: str | None
    embedding: bytes
    skill_ids: Sequence[int] | None


class Sampler:
    """Samples random rows of one table; each sample is a new one."""

    def __init__(self, transaction: Transaction, table: EntityTable) -> None:
        self._transaction = transaction
        self._table = table
        ((self._row_pages, self._state_pages, self._is_remote),) = transaction.rows(
            self._format("pages")
        )
        (key,) = (k for k in key_columns(transaction) if k.entity == table.name)
        self._is_indexed = key.is_indexed
        self.table_name = key.table

    @property
    def can_look_up(self) -> bool:
        """Whether rows can be found by id without reading a large table."""
        return self._is_indexed or self._row_pages <= SAMPLED_PAGES

    def embedded(self, rows: int, *, version: str) -> list[SampledRow]:
        """A sample of rows that this model, the one in use, has embedded."""
        found = self._rows("embedded", self._state_pages, rows, version=version)
        return [
            SampledRow(
                id_,
                text or "",
                title,
                bytes(embedding or b""),
                None
                if skill_ids is None
                else int32_from_bytes(bytes(skill_ids)).tolist(),
            )
            for id_, text, title, embedding, skill_ids in found
        ]

    def without_row(self) -> list[str]:
        """Some ids of states whose row was deleted."""
        return self._ids("without_row", self._state_pages)

    def without_state(self) -> list[str]:
        """Some ids of rows without a state."""
        return [] if self._is_remote else self._ids("without_state", self._row_pages)

    def doubled(self) -> list[str]:
        """Some ids that several rows share: among all jobs, or in a sample of the
        users.
        """
        if self._table.name == "jobs":
            query = self._format("doubled_jobs")
            return [id_ for (id_,) in self._transaction.rows(query)]
        return [] if self._is_remote else self._ids("doubled_users", self._row_pages)

    def coverage(self) -> tuple[Coverage, bool]:
        """Rows by state, and whether the numbers are estimates.

        In a large table, unfinished rows are counted up to MAX_COUNTED_ROWS, and
        finished ones estimated from a sample.
        """
        if max(self._row_pages, self._state_pages) <= COUNTED_PAGES:
            return coverage(self._transaction, self._table), False
        times = 100 / _percent(self._state_pages)
        counts = {
            state: round(count * times)
            for state, count in self._rows("states", self._state_pages, 0)
        }
        todo = dict(self._rows("unfinished", 0, MAX_COUNTED_ROWS))
        if sum(todo.values()) < MAX_COUNTED_ROWS:
            done = {name: counts.get(name, 0) for name in ("embedded", "blank")}
            counts = done | todo
        if self._table.name == "users" and not self._is_remote:
            ((rows,),) = self._rows("rows", self._row_pages, 0)
            all_rows = round(rows * 100 / _percent(self._row_pages))
            counts["blank"] = max(0, all_rows - sum(counts.values()))
        return Coverage(**counts), True

    def _ids(self, query: str, pages: int) -> list[str]:
        return [id_ for (id_,) in self._rows(query, pages, LOOKED_UP_ROWS)]

    def _rows(
        self, query: str, pages: int, rows: int, *, version: str = UNNAMED_VERSION
    ) -> list[tuple[Any, ...]]:
        given: dict[str, object] = {"percent": _percent(pages), "rows": rows}
        return self._transaction.rows(self._format(query, version), given)

    def _format(self, query: str, version: str = UNNAMED_VERSION) -> Composable:
        return self._table.format(
            QUERIES[query],
            version=version,
            quoted_state=Literal(f"recommender.{STATES[self._table.name]}"),
        )


def skills_by_id(transaction: Transaction, ids: Sequence[int]) -> Mapping[int, str]:
    """The skills of the vocabulary with these ids."""
    return dict(transaction.rows(QUERIES["skills"], {"ids": list(ids)}))


def _percent(pages: int) -> float:
    return 100.0 if pages <= SAMPLED_PAGES else 100.0 * SAMPLED_PAGES / pages
