"""Jobs in Postgres: a stream of their embeddings, and their texts by id."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2.sql import Composed, Literal

from app.query.ids import Id
from app.storage.catalogue import Catalogue
from app.storage.columns import public
from app.storage.conditions import EVERY_ROW, selected
from app.storage.connection.transaction import Sink, Transaction
from app.storage.copy.ids import TextReader
from app.storage.copy.reader import read_copy
from app.storage.entity import EntityTable, without_doubled
from app.storage.sql import load

QUERIES = load("jobs")

TEXTS_BUFFER_BYTES = 64 * 1024


def record_bytes(dimension: int) -> int:
    """Size of one row of `stream_embeddings` with an integer id: the embedding and 24
    bytes of ids, lengths and the spare field.
    """
    return 4 * dimension + 24


def stream_embeddings(
    transaction: Transaction,
    sink: Sink,
    *,
    jobs: EntityTable,
    version: str,
    matching: Composed = EVERY_ROW,
) -> None:
    """Stream the embeddings of this version, with their job ids, as COPY BINARY.

    The records are (job_id, spare int2, embedding). Every embedding has the same
    length; its values are not checked here. `matching`: more conditions, from
    `conditions.where_clause`.
    """
    query = jobs.format(QUERIES["stream_embeddings"], version=version)
    transaction.copy_out(query + jobs.matching(matching, version), sink)


@dataclass(frozen=True)
class Job:
    """A job in a response: its text, and the values of the offered columns by name.

    `columns` is None if no columns are offered. `title`: one more of its skills.
    """

    skills: str | None
    columns: Mapping[str, object] | None
    title: str | None = None


def jobs_by_id(
    transaction: Transaction,
    ids: Sequence[Id],
    *,
    catalogue: Catalogue,
    is_last: bool = False,
) -> dict[Id, Job]:
    """The jobs with these ids, without those that share an id with another job.
    `is_last`: commit with it.
    """
    jobs = catalogue.jobs
    query = jobs.format(
        QUERIES["by_id"],
        columns=selected(jobs.columns),
        ids=Literal([str(id_) for id_ in transaction.holdable(ids)]),
    )
    texts: list[bytes] = []
    # By COPY, because COMMIT cannot be sent with a statement that returns rows.
    read_copy(
        lambda sink: transaction.copy_out(query, sink, is_last=is_last),
        TextReader(texts.extend),
        buffer_bytes=TEXTS_BUFFER_BYTES,
    )
    rows = [tuple(json.loads(text).values()) for text in texts]
    found = {
        id_: Job(text, public(jobs.columns, rest), title)
        for id_, text, title, *rest in rows
    }
    return without_doubled(found, (row[0] for row in rows))
