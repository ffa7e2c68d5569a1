"""Skills in Postgres: the vocabulary, and the skill ids of jobs and users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from app.query.constraints import Condition
from app.query.ids import Id
from app.storage import skill_queries
from app.storage.claims import TextRow
from app.storage.codec import (
    EMBEDDING_BYTES,
    from_bytes,
    int32_from_bytes,
    int32_to_bytes,
    to_bytes,
)
from app.storage.columns import public
from app.storage.conditions import selected, where_clause
from app.storage.connection.transaction import Sink, Transaction
from app.storage.sides import Side


@dataclass(frozen=True)
class VocabularyState:
    """`vocabulary` changes when skills were removed, `revision` with every write, the
    stamp with every count of jobs; None where there is none.
    """

    vocabulary: str
    revision: int
    counts_stamp: str | None = None


@dataclass(frozen=True)
class Position:
    """How far a reader of the vocabulary has come: the last skill that it has read."""

    revision: int = -1
    skill_id: int = 0


@dataclass(frozen=True)
class SkilledRow:
    """A job or a user: the text, its skill ids, its embedding of this version."""

    id: Id
    skills: str | None
    skill_ids: NDArray[np.int32] | None  # (n,)
    embedding: NDArray[np.float32] | None  # (384,)
    columns: Mapping[str, object] | None = None


def vocabulary_state(tx: Transaction, *, counted: bool = False) -> VocabularyState:
    """What a cache compares itself with; `counted`: `Catalogue.skills_are_counted`."""
    query = skill_queries.COUNTED_VOCABULARY if counted else skill_queries.VOCABULARY
    return VocabularyState(*tx.rows(query)[0])


def lock_vocabulary(transaction: Transaction) -> None:
    """Let nobody else add or remove skills until the transaction ends."""
    transaction.rows(skill_queries.LOCK_VOCABULARY)


def stream_skills(
    transaction: Transaction, sink: Sink, *, after: Position, limit: int, version: str
) -> None:
    """Stream the embeddings beyond `after` in the order of writing, with integer ids,
    in the records of `jobs.stream_embeddings`.
    """
    query = skill_queries.STREAM_SKILLS.format(
        revision=Literal(after.revision),
        skill_id=Literal(after.skill_id),
        limit=Literal(limit),
        **_version(version),
    )
    transaction.copy_out(query, sink)


def revision_of(transaction: Transaction, skill_id: int) -> int:
    """The revision in which this skill was written last."""
    rows = transaction.rows(skill_queries.REVISION_OF, {"skill_id": skill_id})
    revision: int = rows[0][0]
    return revision


def known_skills(
    transaction: Transaction, skills: Sequence[str], *, version: str
) -> dict[str, int]:
    """The ids of those skills that the vocabulary has with a sound embedding."""
    if not skills:
        return {}
    query = skill_queries.SKILL_IDS.format(**_version(version))
    return dict(transaction.rows(query, {"skills": list(skills)}))


def count_stale_skills(transaction: Transaction, *, version: str) -> int:
    """Skills that have no sound embedding of this version."""
    query = skill_queries.COUNT_STALE_SKILLS.format(**_version(version))
    count: int = transaction.rows(query)[0][0]
    return count


def next_stale_skills(
    transaction: Transaction, *, limit: int, version: str
) -> list[str]:
    """Some of the skills that have no sound embedding of this version."""
    query = skill_queries.NEXT_STALE_SKILLS.format(**_version(version))
    return [skill for (skill,) in transaction.rows(query, {"limit": limit})]


def store_skills(
    transaction: Transaction,
    skills: Sequence[str],
    embeddings: NDArray[np.float32],  # (n, 384)
    *,
    version: str,
) -> None:
    """Add these skills, or renew their embeddings."""
    # In one order everywhere, so that two writers never wait for one another.
    order = sorted(range(len(skills)), key=skills.__getitem__)
    transaction.execute(
        skill_queries.STORE_SKILLS.format(version=Literal(version)),
        {
            "skills": [skills[n] for n in order],
            "embeddings": [to_bytes(embeddings[n]) for n in order],
        },
    )


def remove_skills_except(transaction: Transaction, used: Sequence[int]) -> int:
    """Delete the other skills; returns how many there were."""
    return transaction.execute(skill_queries.REMOVE_SKILLS, {"used": list(used)})


def stream_skill_ids(
    transaction: Transaction,
    sink: Sink,
    side: Side,
    *,
    filters: Sequence[Condition] = (),
) -> None:
    """Stream (id, spare int2, skill_ids) of every row that has some and matches, as
    COPY BINARY.
    """
    query = _format(skill_queries.STREAM_SKILL_IDS, side)
    transaction.copy_out(query + where_clause(filters, side.columns), sink)


def stream_side_embeddings(
    transaction: Transaction,
    sink: Sink,
    side: Side,
    *,
    version: str,
    filters: Sequence[Condition] = (),
) -> None:
    """Stream the embeddings of a table as `jobs.stream_embeddings` does."""
    query = _format(skill_queries.STREAM_SIDE_EMBEDDINGS, side, **_version(version))
    transaction.copy_out(query + where_clause(filters, side.columns), sink)


def skilled_rows(
    transaction: Transaction, side: Side, ids: Sequence[Id], *, version: str
) -> dict[Id, SkilledRow]:
    """The rows with these ids."""
    if not ids:
        return {}
    columns = selected(side.columns)
    query = _format(
        skill_queries.ROWS_BY_ID, side, columns=columns, **_version(version)
    )
    rows = transaction.rows(query, {"ids": list(ids)})
    return {row[0]: _skilled_row(side, *row) for row in rows}


def count_unsplit(transaction: Transaction, side: Side) -> int:
    """How many rows have a text whose skills are not known yet."""
    count: int = transaction.rows(_format(skill_queries.COUNT_UNSPLIT, side))[0][0]
    return count


def any_unsplit(transaction: Transaction, side: Side) -> bool:
    """Whether a row has a text whose skills are not known yet."""
    return bool(transaction.rows(_format(skill_queries.ANY_UNSPLIT, side))[0][0])


def next_unsplit(
    transaction: Transaction, side: Side, *, after: Id | None, limit: int
) -> list[TextRow]:
    """The next rows to split, in the order of the ids, beyond `after`."""
    query = _format(skill_queries.NEXT_UNSPLIT, side)
    rows = transaction.rows(query, {"after": after, "limit": limit})
    return [TextRow(*row) for row in rows]


def store_skill_ids(
    transaction: Transaction,
    side: Side,
    rows: Sequence[TextRow],
    skill_ids: Sequence[Sequence[int]],
) -> int:
    """Write skill ids to the rows that still hold their text and that nobody has
    locked; returns how many.
    """
    return transaction.execute(
        _format(skill_queries.STORE_SKILL_IDS, side),
        {
            "ids": [row.id for row in rows],
            "texts": [row.skills for row in rows],
            "skill_ids": [int32_to_bytes(ids) for ids in skill_ids],
        },
    )


def _skilled_row(
    side: Side,
    id_: Id,
    skills: str | None,
    skill_ids: memoryview | None,
    embedding: memoryview | None,
    *values: object,
) -> SkilledRow:
    return SkilledRow(
        id_,
        skills,
        None if skill_ids is None else int32_from_bytes(skill_ids),
        None if embedding is None else from_bytes(embedding),
        public(side.columns, values),
    )


def _version(version: str) -> dict[str, Composable]:
    return {"version": Literal(version), "length": Literal(EMBEDDING_BYTES)}


def _format(query: SQL, side: Side, **more: Composable) -> Composed:
    return query.format(
        table=Identifier(side.table),
        key=Identifier(side.key),
        id_type=SQL(side.id_column.cast),
        **more,
    )
