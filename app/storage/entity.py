"""The team's two tables whose rows have skills, and the service's state of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal as OneOf
from typing import TypeVar

from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from app.query.ids import Id, IdColumn
from app.storage.columns import JobColumn
from app.storage.connection.transaction import Escaped

EntityName = OneOf["jobs", "users"]
ENTITIES: Sequence[EntityName] = ("jobs", "users")

KEYS: Mapping[EntityName, str] = {"jobs": "job_id", "users": "user_id"}
STATES: Mapping[EntityName, str] = {"jobs": "job_state", "users": "user_state"}
NOTES: Mapping[EntityName, str] = {"jobs": "new_job", "users": "new_user"}
# Of other models than the guide's.
EMBEDDINGS: Mapping[EntityName, str] = {
    "jobs": "job_embedding",
    "users": "user_embedding",
}

# The guide's model: its embeddings are in the columns `embedding` of the team's jobs,
# of user_state and of skill. The guide's own script writes them without a version, and
# those rows stay valid.
UNNAMED_VERSION = "all-MiniLM-L6-v2"
# The length of its embeddings: `encoder.spec.MINILM_SPEC` and state_of() of migration
# 0002 agree with it.
UNNAMED_BYTES = 1536

Row = TypeVar("Row")


def vector_table(version: str) -> str:
    """The table of a model's vectors for pgvector, in our schema: what the function of
    this name in migrations/pgvector says.
    """
    if version == UNNAMED_VERSION:
        return "job_vector"
    return f"job_vector_{sha256(version.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class EntityTable:
    """One of the team's tables, as registered in `recommender.entity`."""

    name: EntityName
    schema: str
    table: str
    id_column: IdColumn
    # The columns offered by JOB_COLUMNS.
    columns: Sequence[JobColumn] = ()
    # The column of TITLE_COLUMN; None without one.
    title_column: str | None = None
    # Whether other servers hold some of its rows (docs/shards.md).
    is_sharded: bool = False

    @property
    def key(self) -> str:
        return KEYS[self.name]

    @property
    def identifier(self) -> Identifier:
        """The table's name, with its schema."""
        return Identifier(self.schema, self.table)

    @property
    def quoted_name(self) -> str:
        """The quoted name as text, for `to_regclass`."""
        parts = (part.replace('"', '""') for part in (self.schema, self.table))
        return ".".join(f'"{part}"' for part in parts)

    def embeddings(self, version: str) -> Identifier:
        """The table with the embeddings of this model: `key`, `embedding` and
        `embedding_version`.
        """
        if version != UNNAMED_VERSION:
            return Identifier("recommender", EMBEDDINGS[self.name])
        if self.name == "jobs":
            return self.identifier
        return Identifier("recommender", STATES[self.name])

    def matching(self, conditions: Composed, version: str) -> Composed:
        """Conditions on this table, for a statement on `embeddings`."""
        if not conditions.seq or self.embeddings(version) == self.identifier:
            return conditions
        return SQL(" AND EXISTS (SELECT 1 FROM {table} WHERE {table}.{key} = {of}.{key}"
                   "{conditions})").format(
            table=self.identifier,
            key=Identifier(self.key),
            of=self.embeddings(version),
            conditions=conditions,
        )  # fmt: skip

    @property
    def _title(self) -> Composable:
        """The title of a row of this table, called `t`; or NULL."""
        if self.title_column is None:
            return SQL("NULL::text")
        return SQL("t.{}::text").format(Identifier(self.title_column))

    def _stored(self, version: str) -> Composable:
        """The sound embedding of a row of this table, called `t`; or NULL."""
        condition = sound(version, may_be_unnamed=self.name == "jobs")
        if self.embeddings(version) == self.identifier:
            return SQL("CASE WHEN {} THEN embedding END").format(condition)
        return SQL(
            "(SELECT e.embedding FROM {} AS e WHERE e.{key} = t.{key} AND {})"
        ).format(self.embeddings(version), condition, key=Identifier(self.key))

    def format(
        self, query: SQL, *, version: str = UNNAMED_VERSION, **parts: Composable
    ) -> Composed:
        """Fill in this table's names and the model's version."""
        filled: dict[str, Composable] = {
            **own_names(self.name),
            "table": self.identifier,
            "id_type": SQL(self.id_column.cast),
            "version": Literal(version),
            "embeddings": self.embeddings(version),
            "sound": sound(version, may_be_unnamed=self.name == "jobs"),
            "stored": self._stored(version),
            "title": self._title,
            **parts,
        }
        if "%(" in query.string:
            filled = {name: Escaped(part) for name, part in filled.items()}
        return query.format(**filled)


def own_names(name: EntityName) -> Mapping[str, Composable]:
    """What statements on our own tables name, for any table of the team."""
    return {
        "state": Identifier("recommender", STATES[name]),
        "notes": Identifier("recommender", NOTES[name]),
        "notes_name": Literal(f"recommender.{NOTES[name]}"),
        "key": Identifier(KEYS[name]),
        "entity": Literal(name),
        # Jobs that share an id are excluded until one of them is deleted.
        "is_single": SQL("s.copies = 1" if name == "jobs" else "true"),
    }


def sound(version: str, *, may_be_unnamed: bool = False) -> Composable:
    """A condition for embeddings of this version, where `EntityTable.embeddings` has
    them. Others than the guide's are written by us alone, and sound.

    Without coalesce(): a condition of columns alone can be sent to another server.
    octet_length reads the length from the tuple without fetching the value.
    """
    named = SQL("embedding_version = {}").format(Literal(version))
    if version != UNNAMED_VERSION:
        return named
    if may_be_unnamed:
        named = SQL("(embedding_version IS NULL OR {})").format(named)
    return SQL("{} AND octet_length(embedding) = {}").format(
        named, Literal(UNNAMED_BYTES)
    )


def without_doubled(found: dict[Id, Row], ids: Iterable[Id]) -> dict[Id, Row]:
    """The rows whose id occurs once: an id of two rows is ambiguous."""
    doubled = {id_ for id_, count in Counter(ids).items() if count > 1}
    return {id_: row for id_, row in found.items() if id_ not in doubled}
