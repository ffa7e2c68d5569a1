"""The team's two tables as described by the database's system catalogue."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import overload

from psycopg2.sql import Literal

from app.errors import AppError, SchemaError, command_line
from app.query.ids import IdColumn
from app.storage.columns import JobColumn, filterable_columns
from app.storage.connection.transaction import Transaction
from app.storage.entity import (
    ENTITIES,
    KEYS,
    STATES,
    EntityName,
    EntityTable,
    vector_table,
)
from app.storage.sql import load

QUERIES = load("catalogue")
TYPES_OF_COLUMNS = QUERIES["types"].format(columns=QUERIES["columns"])

NEEDED: Mapping[EntityName, Sequence[str]] = {
    "jobs": ("job_id", "skills", "embedding", "embedding_version"),
    "users": ("user_id", "skills"),
}
MIGRATE = f"run `{command_line('migrate')}`"


@dataclass(frozen=True)
class Catalogue:
    """The tables of jobs and users, with their required columns checked."""

    jobs: EntityTable
    users: EntityTable
    # The schema of pgvector; None unless migrations/pgvector was applied.
    vectors: str | None = None
    # One for each model that has vectors.
    vector_tables: Sequence[str] = ()
    # Where those of the guide's lie beside jobs on shards: the ends of the names of
    # partitions.
    vector_parts: Sequence[str] = ()

    @property
    def job_id(self) -> IdColumn:
        return self.jobs.id_column

    @property
    def user_id(self) -> IdColumn:
        return self.users.id_column

    @property
    def job_columns(self) -> Sequence[JobColumn]:
        """The columns that the service offers, in the order of JOB_COLUMNS."""
        return self.jobs.columns

    def entity(self, name: EntityName) -> EntityTable:
        return self.jobs if name == "jobs" else self.users

    @classmethod
    def read(
        cls, transaction: Transaction, *, job_columns: Sequence[str] = ()
    ) -> "Catalogue":
        """Read the catalogue. `job_columns` must be columns of the table of jobs.

        Raises SchemaError that names the first missing table or column.
        """
        types: defaultdict[str, dict[str, str]] = defaultdict(dict)
        names: dict[str, tuple[str, str]] = {}
        titles: dict[str, str | None] = {}
        sharded: dict[str, bool] = {}
        transaction.ahead(QUERIES["vectors"])
        for (
            entity,
            schema,
            table,
            is_sharded,
            column,
            type_name,
            title,
        ) in transaction.rows(QUERIES["columns"]):
            titles[entity] = title
            if column is not None:
                names[entity] = schema, table
                sharded[entity] = is_sharded
                types[entity][column] = type_name
        _check(names, types, titles)
        found = {
            name: EntityTable(
                name, *names[name], IdColumn.of_type(types[name][KEYS[name]]),
                filterable_columns(types[name], job_columns) if name == "jobs" else (),
                titles[name],
                sharded[name],
            )
            for name in ENTITIES
        }  # fmt: skip
        vectors = transaction.row(QUERIES["vectors"])
        if vectors is None:
            return cls(found["jobs"], found["users"])
        schema, tables = vectors["nspname"], vectors["tables"]
        parts = tuple(vectors["parts"])
        return cls(found["jobs"], found["users"], schema, tables, parts)

    def has_vectors(self, version: str) -> bool:
        """Whether there is a table of vectors by this model."""
        return vector_table(version) in self.vector_tables

    def require_vectors(self) -> str:
        """The schema of pgvector.

        Raises SchemaError if migrations/pgvector was not applied.
        """
        if self.vectors is None:
            raise SchemaError(
                "SEARCH_BACKEND=pgvector needs the table recommender.job_vector, which"
                " is not there; run"
                f" `{command_line('migrate')} --with pgvector` and"
                f" `{command_line('build-vector-index')}`,"
                " or set SEARCH_BACKEND=stream."
            )
        return self.vectors


class SnapshotColumns(Sequence[JobColumn]):
    """The columns of JOB_COLUMNS as of one snapshot: their types come with the
    transaction's next statement of rows, or when they are needed before it.
    """

    def __init__(self, transaction: Transaction, names: Sequence[str]) -> None:
        self._transaction = transaction
        self._names = names
        transaction.ahead(TYPES_OF_COLUMNS)

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, place: int) -> JobColumn: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[JobColumn]: ...

    def __getitem__(self, place: int | slice) -> JobColumn | Sequence[JobColumn]:
        """As of any sequence. Raises SchemaError as `filterable_columns`."""
        return self._columns[place]

    @cached_property
    def _columns(self) -> Sequence[JobColumn]:
        found = self._transaction.row(TYPES_OF_COLUMNS)
        types = found and found["types"]
        return filterable_columns(types or {}, self._names)


class CachedCatalogue:
    """The catalogue, read once, and again after an error; but the columns of
    JOB_COLUMNS each time, because these may be added or dropped.
    """

    def __init__(self, job_columns: Sequence[str] = ()) -> None:
        self._job_columns = job_columns
        # Two threads may read it concurrently, with the same result.
        self._catalogue: Catalogue | None = None

    def read(self, transaction: Transaction) -> Catalogue:
        """As `Catalogue.read`."""
        if self._catalogue is None:
            self._catalogue = Catalogue.read(transaction)
        if not self._job_columns:
            return self._catalogue
        columns = SnapshotColumns(transaction, self._job_columns)
        jobs = replace(self._catalogue.jobs, columns=columns)
        return replace(self._catalogue, jobs=jobs)

    @contextmanager
    def forgotten_after_errors(self) -> Iterator[None]:
        """The type of a column may have changed since the catalogue was read."""
        try:
            yield
        except AppError:
            self._catalogue = None
            raise


@dataclass(frozen=True)
class ServedTables:
    """The settings JOBS_TABLE, USERS_TABLE and TITLE_COLUMN; empty if not set: the
    guide's table, and no column.
    """

    jobs: str = ""
    users: str = ""
    title_column: str = ""


THE_GUIDES = ServedTables()


def check_served(transaction: Transaction, tables: ServedTables = THE_GUIDES) -> None:
    """Check the tables, and that every job has an id of its own.

    Raises SchemaError as `check_tables` does, and for two jobs with the same id.
    """
    check_tables(transaction, tables)
    for (id_,) in transaction.rows(QUERIES["doubled"]):
        raise SchemaError(
            f"More than one job has the job_id {id_}: these rows are left out of all"
            " answers; give each job an id of its own."
        )


def check_tables(transaction: Transaction, tables: ServedTables) -> None:
    """Check that the migrations were applied for these tables and types of ids.

    Raises SchemaError if a setting names another table or column, or if the type of an
    id has changed since then.
    """
    settings = {"jobs": tables.jobs, "users": tables.users}
    for entity in ENTITIES:
        setting, table = f"{entity.upper()}_TABLE", settings[entity]
        given: dict[str, object] = {"entity": entity, "table": table}
        if table and transaction.rows(QUERIES["is_served"], given) != [(True,)]:
            raise SchemaError(
                f"{setting} names {table}, and the migrations were applied for another"
                f" table; {MIGRATE}."
            )
        key, state = Literal(KEYS[entity]), Literal(f"recommender.{STATES[entity]}")
        query = QUERIES["has_other_keys"].format(
            entity=Literal(entity), key=key, state=state
        )
        if transaction.rows(query) != [(False,)]:
            raise SchemaError(
                f"The type of {KEYS[entity]} changed since the migrations were"
                f" applied: nothing is recorded; {MIGRATE}."
            )
    title = tables.title_column
    if title and transaction.rows(QUERIES["title_column"]) != [(title,)]:
        raise SchemaError(
            f"TITLE_COLUMN names {title}, and the migrations were not applied for this"
            f" column; {MIGRATE}."
        )


def _check(
    names: Mapping[str, tuple[str, str]],
    types: Mapping[str, Mapping[str, str]],
    titles: Mapping[str, str | None],
) -> None:
    for entity, columns in NEEDED.items():
        if entity not in names:
            raise SchemaError(f"The database has no table of {entity}; {MIGRATE}.")
        title = titles[entity]
        if title is not None and title not in types[entity]:
            raise SchemaError(
                f"The table {names[entity][1]} has no column {title} any more, which"
                f" TITLE_COLUMN named; {MIGRATE}."
            )
        for column in columns:
            if column not in types[entity]:
                raise SchemaError(
                    f"The table {names[entity][1]} has no column {column}; {MIGRATE}."
                )
