"""The two tables whose rows have a text and its embedding."""

from dataclasses import dataclass

from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from app.query.ids import IdColumn
from app.storage.codec import EMBEDDING_BYTES


@dataclass(frozen=True)
class EmbeddedTable:
    """A table with the columns `key`, skills, embedding, embedding_version."""

    name: str
    key: str
    # What a person calls its rows.
    rows: str

    def format(
        self,
        query: SQL,
        *,
        version: str,
        id_column: IdColumn | None = None,
        **parts: Composable,
    ) -> Composed:
        """The query with this table's names, and the model's version, filled in."""
        return query.format(
            table=Identifier(self.name),
            key=Identifier(self.key),
            name=Literal(self.name),
            version=Literal(version),
            length=Literal(EMBEDDING_BYTES),
            id_type=SQL(id_column.cast if id_column else "text"),
            **parts,
        )


JOBS = EmbeddedTable("skill_job1", "job_id", "jobs")
USERS = EmbeddedTable("users", "user_id", "users")
