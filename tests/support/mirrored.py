"""Rows of a replica in memory, without files."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.ranking.retrieval.replica.records import ENTRY_ROW, MirroredRows
from app.ranking.retrieval.replica.view import StoredRows
from app.ranking.top_k.codes import coded
from app.ranking.top_k.heads import basis_of, headed
from app.storage.changes import (
    HAS_EMBEDDING,
    HAS_SKILLS,
    IS_ALONE,
    KNOWS_SKILLS,
)
from app.storage.copy.skill_ids import EntryChunk

EVERY_FLAG = IS_ALONE | HAS_EMBEDDING | HAS_SKILLS | KNOWS_SKILLS
NOTHING_DEAD = np.zeros(0, np.int32)


def mirrored(
    ids: NDArray[Any],
    embeddings: NDArray[np.float32],
    *,
    lists: Sequence[Sequence[int]] | None = None,
    flags: Sequence[int] | None = None,
) -> MirroredRows:
    """Rows as a stream has them; `lists`: the skill ids of each, one by default."""
    lists = [[1]] * len(ids) if lists is None else lists
    flags = [EVERY_FLAG] * len(ids) if flags is None else flags
    records = [[flag, *own] for flag, own in zip(flags, lists, strict=True)]
    starts = np.cumsum([0, *map(len, records)])[:-1]
    skill_ids = np.array([id_ for record in records for id_ in record], np.int32)
    return MirroredRows.of(EntryChunk(ids, skill_ids, starts, embeddings))


def stored_rows(
    rows: MirroredRows, *, dead: NDArray[np.int32] = NOTHING_DEAD
) -> StoredRows:
    """The same rows as files have them."""
    entries = np.zeros(len(rows.ids), ENTRY_ROW)
    entries["flags"] = rows.flags
    entries["end"] = np.append(rows.starts, len(rows.skill_ids))[1:]
    codes = coded(rows.embeddings)
    basis = basis_of(rows.embeddings)
    heads = headed(rows.embeddings, basis)
    return StoredRows(
        ids=rows.ids,
        heads=heads.integers,
        lengths=heads.scales,
        basis=basis,
        codes=codes.integers,
        scales=codes.scales,
        exact=rows.embeddings,
        entries=entries,
        skills=rows.skill_ids,
        dead=dead,
    )
