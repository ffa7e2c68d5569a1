"""Whether the jobs can be laid out as a file says, before anything is changed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from psycopg2.sql import SQL, Literal

from app.commands.shards.layout import ShardLayout, check_values
from app.commands.shards.session import Session
from app.commands.shards.table import JobsTable, read_parts
from app.errors import ConfigError, command_line
from app.storage.entity import UNNAMED_VERSION
from app.storage.shards import QUERIES


def check_layout(session: Session, jobs: JobsTable, layout: ShardLayout) -> ShardLayout:
    """The layout with its values as Postgres writes them. Raises ConfigError that names
    what is in the way of it.
    """
    if jobs.model != UNNAMED_VERSION:
        raise ConfigError(
            f"The embeddings of {jobs.model} are not in the table of jobs, and shards"
            f" hold that table only; switch to {UNNAMED_VERSION} first."
        )
    if not jobs.is_current:
        raise ConfigError(
            "Jobs were changed in a way that no trigger sees; run"
            f" `{command_line('migrate')}` first."
        )
    wanted = layout.column or "job_id"
    if jobs.is_ours and jobs.column != wanted:
        raise ConfigError(
            f"The jobs are placed by {jobs.column}, and the file says {wanted}, which"
            " cannot change; copy them into a new table."
        )
    has = len(read_parts(session))
    if jobs.is_ours and layout.partitions not in (None, has):
        raise ConfigError(
            f"The jobs lie in {has} partitions, and the file says {layout.partitions},"
            " which cannot change; copy them into a new table."
        )
    if not jobs.is_ours:
        _check_table(session, jobs, wanted)
    return layout if layout.column is None else _with_values(session, layout)


def _with_values(session: Session, layout: ShardLayout) -> ShardLayout:
    """Each value as the column has it, whose type may write one in several ways."""
    column = Literal(layout.column)
    with session.transaction() as run:
        ((type_name, is_text),) = run(QUERIES["type_of_column"].format(column=column))
        written = QUERIES["value_as_written"]

        def cast(value: str) -> str:
            ((found,),) = run(written.format(value=Literal(value), type=SQL(type_name)))
            # A cast cuts what is too long.
            if is_text and found.rstrip(" ") != value.rstrip(" "):
                raise ConfigError(
                    f"The value {value} does not fit into {layout.column}, which is"
                    f" {type_name}; correct it in the file."
                )
            return str(found)

        servers = [
            replace(server, values=[cast(value) for value in server.values])
            for server in layout.servers
        ]
    found = replace(layout, servers=servers)
    check_values(found)
    return found


def _check_table(session: Session, jobs: JobsTable, wanted: str) -> None:
    """Whether the table can be split."""
    with session.transaction() as run:
        if jobs.partition_key is not None:
            raise ConfigError(
                f"{jobs.table} is partitioned already, by {jobs.partition_key};"
                " copy its rows into a plain table."
            )
        _check_column(jobs, wanted, run(QUERIES["columns"]))
        found = [text for (text,) in run(QUERIES["obstacles"])]
    if found:
        raise ConfigError(
            f"{jobs.table} cannot be split over servers because of"
            f" {', '.join(found)}; drop each first (docs/shards.md)."
        )


def _check_column(
    jobs: JobsTable, wanted: str, columns: Sequence[tuple[Any, ...]]
) -> None:
    generated = {row[0]: row[4] for row in columns}
    if wanted not in generated:
        raise ConfigError(f"{jobs.table} has no column {wanted}.")
    if generated[wanted]:
        raise ConfigError(
            f"{wanted} of {jobs.table} is generated, and Postgres places no rows by"
            " such a column; make it a plain one."
        )
