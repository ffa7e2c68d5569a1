"""Skills in Postgres: the vocabulary, and the skill ids of jobs and users."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composable, Composed, Literal

from app.query.constraints import Condition
from app.query.feedback import NO_FEEDBACK, UserFeedback
from app.query.ids import Id
from app.storage import users
from app.storage.codec import (
    from_bytes,
    int32_from_bytes,
    int32_to_bytes,
    to_bytes,
)
from app.storage.columns import public
from app.storage.conditions import selected, where_clause
from app.storage.connection.transaction import NOTHING, Sink, Transaction
from app.storage.entity import UNNAMED_VERSION, EntityTable, sound, without_doubled
from app.storage.resplit import SplitState
from app.storage.sql import load

QUERIES = load("skills")

# The id of no skill.
NO_SKILL = -1


@dataclass(frozen=True)
class VocabularyState:
    """`vocabulary` changes when skills were removed, and in a copy of the database;
    `revision` with every write, the stamp with every count of jobs; None where there
    is none. `has_synonyms`: the team's table has rows. `calibration`: as in
    recommender.model.
    """

    vocabulary: str
    revision: int
    counts_stamp: str | None = None
    # Not the cache's, but read in the same round trip.
    has_synonyms: bool = field(default=True, compare=False)
    calibration: str | None = None


@dataclass(frozen=True)
class Position:
    """How far a reader of the vocabulary has come: the last skill that it has read."""

    revision: int = -1
    skill_id: int = 0


@dataclass(frozen=True)
class SkilledRow:
    """A job or a user: the text, its skill ids, its embedding of this version.

    `title`: one more of a job's skills. `feedback`: of a user.
    """

    id: Id
    skills: str | None
    skill_ids: NDArray[np.int32] | None  # (n,)
    embedding: NDArray[np.float32] | None  # (dimension,)
    columns: Mapping[str, object] | None = None
    feedback: UserFeedback = NO_FEEDBACK
    title: str | None = None


def vocabulary_state(
    transaction: Transaction, *, version: str = UNNAMED_VERSION
) -> VocabularyState:
    """What a cache compares itself with. One statement, or none after
    `vocabulary_ahead`.
    """
    found = transaction.row(QUERIES["vocabulary"].format(version=Literal(version)))
    assert found is not None  # noqa: S101  (the only row of its table)
    return VocabularyState(**found)


def vocabulary_ahead(transaction: Transaction, *, version: str) -> None:
    """Send the statement of `vocabulary_state` with the next one."""
    transaction.ahead(QUERIES["vocabulary"].format(version=Literal(version)))


def lock_vocabulary(transaction: Transaction, *, alone: bool = False) -> SplitState:
    """Let nobody remove skills until the transaction ends; `alone`: nor rely on any.
    Returns how texts are split meanwhile.
    """
    name = "lock_vocabulary_alone" if alone else "lock_vocabulary"
    return SplitState(*transaction.rows(QUERIES[name])[0])


def stream_skills(
    transaction: Transaction, sink: Sink, *, after: Position, limit: int, version: str
) -> None:
    """Stream the embeddings beyond `after` in the order of writing, with integer ids,
    in the records of `jobs.stream_embeddings`.
    """
    query = QUERIES["stream_skills"].format(
        revision=Literal(after.revision),
        skill_id=Literal(after.skill_id),
        limit=Literal(limit),
        **embedded_skills(version),
    )
    transaction.copy_out(query, sink)


def skill_texts(
    transaction: Transaction, *, after: Position, limit: int, version: str
) -> list[tuple[int, str]]:
    """(id, skill) of those that `stream_skills` streams."""
    query = QUERIES["skill_texts"].format(**embedded_skills(version))
    position = {"revision": after.revision, "skill_id": after.skill_id}
    return [
        (id_, skill)
        for id_, skill in transaction.rows(query, {**position, "limit": limit})
    ]


def revision_of(transaction: Transaction, skill_id: int, *, version: str) -> int:
    """The revision in which this skill's embedding was written last."""
    query = QUERIES["revision_of"].format(**embedded_skills(version))
    rows = transaction.rows(query, {"skill_id": skill_id})
    revision: int = rows[0][0]
    return revision


def known_skills(
    transaction: Transaction, skills: Sequence[str], *, version: str
) -> dict[str, int]:
    """The ids of those skills that the vocabulary has with a sound embedding."""
    if not skills:
        return {}
    query = QUERIES["skill_ids"].format(**embedded_skills(version))
    asked = {transaction.held(skill): skill for skill in skills}
    found = transaction.rows(query, {"skills": list(asked)})
    return {asked[skill]: id_ for skill, id_ in found}


def count_stale_skills(transaction: Transaction, *, version: str) -> int:
    """Skills that have no sound embedding of this version."""
    query = QUERIES["count_stale_skills"].format(**embedded_skills(version))
    count: int = transaction.rows(query)[0][0]
    return count


def next_stale_skills(
    transaction: Transaction, *, limit: int, version: str
) -> list[str]:
    """Some of the skills that have no sound embedding of this version."""
    query = QUERIES["next_stale_skills"].format(**embedded_skills(version))
    return [skill for (skill,) in transaction.rows(query, {"limit": limit})]


def store_skills(
    transaction: Transaction,
    skills: Sequence[str],
    embeddings: NDArray[np.float32],  # (n, dimension)
    *,
    version: str,
) -> None:
    """Add these skills, or renew their embeddings."""
    # In one order everywhere, so that two writers never wait for one another.
    rows = dict(zip(map(transaction.held, skills), embeddings, strict=True))
    order = sorted(rows)
    parameters = {"skills": order, "embeddings": [to_bytes(rows[key]) for key in order]}
    query = "store_skills"
    if version != UNNAMED_VERSION:
        transaction.execute(QUERIES["add_skills"], {"skills": order})
        query = "store_skill_embeddings"
    transaction.execute(QUERIES[query].format(version=Literal(version)), parameters)


def remove_skills_except(transaction: Transaction, used: Sequence[int]) -> int:
    """Delete the other skills; returns how many there were."""
    removed = transaction.execute(QUERIES["remove_skills"], {"used": list(used)})
    transaction.execute(QUERIES["remove_orphans"])
    return removed


def stream_skill_ids(
    transaction: Transaction,
    sink: Sink,
    table: EntityTable,
    *,
    filters: Sequence[Condition] = (),
) -> None:
    """Stream (id, spare int2, skill_ids) of every row that has some and matches, as
    COPY BINARY, from the narrow table.
    """
    matching: Composable = NOTHING
    if filters:
        conditions = where_clause(filters, table.columns)
        matching = table.format(QUERIES["matching"], filters=conditions)
    query = table.format(
        QUERIES["stream_skill_ids"],
        matching=matching,
        has_skill_ids=QUERIES["has_skill_ids"],
    )
    transaction.copy_out(query, sink)


def stream_entries(
    transaction: Transaction,
    sink: Sink,
    table: EntityTable,
    *,
    version: str,
    dimension: int,
    filters: Sequence[Condition] = (),
) -> None:
    """Stream (id, spare int2, embedding, skill_ids) of every row that has one of both
    and matches, as COPY BINARY. Zeros stand for an embedding that is absent, or of
    another model, and NO_SKILL for skill ids that are still to be found.
    """
    place = "in_column" if version == UNNAMED_VERSION else "in_table"
    conditions = where_clause(filters, table.columns)
    query = table.format(
        QUERIES[f"stream_{'job' if table.name == 'jobs' else 'user'}_entries"],
        version=version,
        own_embeddings=_format(place, table, version, filters=conditions),
        has_skill_ids=QUERIES["has_skill_ids"],
        no_embedding=Literal(bytes(4 * dimension)),
        no_skill_ids=Literal(int32_to_bytes([NO_SKILL])),
    )
    settings = QUERIES["look_each_up" if table.is_sharded else "join_in_memory"]
    transaction.copy_out(query, sink, settings=settings + SQL("; "))


def skilled_rows(
    transaction: Transaction, table: EntityTable, ids: Sequence[Id], *, version: str
) -> dict[Id, SkilledRow]:
    """The rows with these ids; none whose id another row has as well."""
    if not ids:
        return {}
    if table.name == "jobs":
        query = _format("job_rows", table, version, columns=selected(table.columns))
    else:
        query = _format("user_rows", table, version, events=users.events_of(table))
    rows = transaction.rows(query, {"ids": transaction.holdable(ids)})
    found = {row[0]: _skilled_row(table, *row) for row in rows}
    return without_doubled(found, (row[0] for row in rows))


def skill_ids_of(
    transaction: Transaction, table: EntityTable, ids: Sequence[Id]
) -> dict[Id, frozenset[int]]:
    """The skill ids of those of these rows that have some."""
    if not ids:
        return {}
    query = table.format(
        QUERIES["skill_ids_by_id"], has_skill_ids=QUERIES["has_skill_ids"]
    )
    return {
        id_: frozenset(int32_from_bytes(data).tolist())
        for id_, data in transaction.rows(query, {"ids": list(ids)})
    }


def _skilled_row(
    table: EntityTable,
    id_: Id,
    skills: str | None,
    skill_ids: memoryview | None,
    embedding: str | None,
    *values: Any,
) -> SkilledRow:
    row = SkilledRow(
        id_,
        skills,
        None if skill_ids is None else int32_from_bytes(skill_ids),
        None if embedding is None else from_bytes(b64decode(embedding)),
    )
    if table.name == "jobs":
        title, *others = values
        return replace(row, columns=public(table.columns, others), title=title)
    return replace(row, feedback=users.read_events(values[0]))


def embedded_skills(version: str) -> dict[str, Composable]:
    """The skills with embeddings of this model, and the condition for sound ones."""
    in_column = version == UNNAMED_VERSION
    embedded = SQL("recommender.skill") if in_column else QUERIES["embedded_skills"]
    return {"embedded": embedded, "sound": sound(version)}


def _format(
    query: str, table: EntityTable, version: str, **parts: Composable
) -> Composed:
    return table.format(QUERIES[query], version=version, **parts)
