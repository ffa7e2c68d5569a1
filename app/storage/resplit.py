"""Rows whose texts must be split again, and the progress of that."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composable, Identifier, Literal

from app.query.ids import Id
from app.storage.codec import int32_from_bytes
from app.storage.connection.transaction import Transaction
from app.storage.entity import EntityName, EntityTable
from app.storage.sql import load

QUERIES = load("resplit")


@dataclass(frozen=True)
class SplitState:
    """The version of the splitter, and the number of changes of the team's synonyms."""

    version: int
    synonyms: int


@dataclass(frozen=True)
class SplitTask:
    """Rows to split again, in one of three forms.

    Rows with `row_ids`, as text, of which the first `done_to` are done; rows with one
    of `skills`, which must be found first; or all rows, of which those up to the id
    `done_to` are done.
    """

    id: int
    row_ids: Sequence[str] | None
    skills: Sequence[str] | None
    done_to: str | None


@dataclass(frozen=True)
class SplitRow:
    """A row and its skill ids, (n,) int32."""

    id: Id
    skills: str
    title: str | None
    skill_ids: NDArray[np.int32]


@dataclass(frozen=True)
class SplitSlice:
    """The next rows of a task, and the progress after them; None at its end."""

    rows: Sequence[SplitRow]
    done_to: str | None


def use_split(transaction: Transaction, version: int) -> None:
    """Make this the current version; if it changes, all rows are split again."""
    transaction.rows(QUERIES["use_split"], {"version": version})


def split_state(transaction: Transaction) -> SplitState:
    """The current state of splitting."""
    return SplitState(*transaction.rows(QUERIES["split_state"])[0])


def any_due(transaction: Transaction, name: EntityName, version: int) -> bool:
    """Whether this version must split any rows again; reads a few buffers."""
    query = QUERIES["any_due"].format(entity=Literal(name))
    return bool(transaction.rows(query, {"version": version})[0][0])


def tasks(transaction: Transaction, table: EntityTable) -> list[SplitTask]:
    """The oldest tasks."""
    return [SplitTask(*row) for row in transaction.rows(table.format(QUERIES["tasks"]))]


def next_slice(
    transaction: Transaction, table: EntityTable, task: SplitTask, *, limit: int
) -> SplitSlice:
    """The next rows that have skill ids.

    Pending rows are not included: the worker that claims them splits them.
    """
    if task.row_ids is None:
        return _next_of_all(transaction, table, task, limit=limit)
    first = int(task.done_to or 0)
    ids = list(task.row_ids[first : first + limit])
    wanted = SQL("s.{} = ANY ({}::{}[])").format(
        Identifier(table.key), Literal(ids), SQL(table.id_column.cast)
    )
    rows = _rows(transaction, table, wanted, limit=limit)
    is_end = first + limit >= len(task.row_ids)
    return SplitSlice(rows, None if is_end else str(first + limit))


def _next_of_all(
    transaction: Transaction, table: EntityTable, task: SplitTask, *, limit: int
) -> SplitSlice:
    wanted: Composable = SQL("true")
    if task.done_to is not None:
        wanted = SQL("s.{} > {}::{}").format(
            Identifier(table.key), Literal(task.done_to), SQL(table.id_column.cast)
        )
    rows = _rows(transaction, table, wanted, limit=limit)
    return SplitSlice(rows, str(rows[-1].id) if len(rows) == limit else None)


def _rows(
    transaction: Transaction, table: EntityTable, wanted: Composable, *, limit: int
) -> list[SplitRow]:
    query = table.format(QUERIES["next_rows"], wanted=wanted)
    return [
        SplitRow(id_, skills or "", title, int32_from_bytes(skill_ids))
        for id_, skills, title, skill_ids in transaction.rows(query, {"limit": limit})
    ]


def advance(transaction: Transaction, task: SplitTask, done_to: str | None) -> bool:
    """Record the progress of a task; None ends it.

    Returns False if another worker is ahead, or if the task no longer exists.
    """
    query = QUERIES["finish"] if done_to is None else QUERIES["advance"]
    parameters: dict[str, object] = {
        "task": task.id,
        "was": task.done_to,
        "done_to": done_to,
    }
    return transaction.execute(query, parameters) == 1


def ids_with_meanings(transaction: Transaction, skills: Sequence[str]) -> list[int]:
    """The ids of these skills, and of the possible meanings of ambiguous ones."""
    given: dict[str, object] = {"skills": list(skills)}
    meant = [skill for (skill,) in transaction.rows(QUERIES["forms_of"], given)]
    rows = transaction.rows(QUERIES["ids_of"], {"skills": [*skills, *meant]})
    return [skill_id for (skill_id,) in rows]


def name_rows(
    transaction: Transaction, task: SplitTask, row_ids: Sequence[str]
) -> None:
    """Record that these rows, by their ids as text, have one of the task's skills."""
    given: dict[str, object] = {"task": task.id, "row_ids": list(row_ids)}
    transaction.execute(QUERIES["name_rows"], given)


def note_rows(
    transaction: Transaction, table: EntityTable, row_ids: Sequence[str]
) -> None:
    """Queue these rows, by their ids as text, to be split again."""
    if row_ids:
        query = table.format(QUERIES["note"])
        transaction.execute(query, {"row_ids": list(row_ids)})
