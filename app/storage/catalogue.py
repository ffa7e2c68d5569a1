"""What the database's own catalogue says of our two tables."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.errors import SchemaError
from app.query.ids import IdColumn
from app.storage import queries
from app.storage.columns import JobColumn, filterable_columns
from app.storage.connection.transaction import Transaction

NEEDED = {
    "skill_job1": ("job_id", "skills", "embedding", "embedding_version"),
    "users": ("user_id", "skills"),
}
VOCABULARY = "skill_vocabulary"


@dataclass(frozen=True)
class Catalogue:
    """The types of the id columns; that the other columns are there was checked."""

    job_id: IdColumn
    user_id: IdColumn
    # Whether `users` has the columns that migration 0012 adds.
    users_have_embeddings: bool
    # Those of `skill_job1` that the service offers, in the order of JOB_COLUMNS.
    job_columns: Sequence[JobColumn] = ()
    # Whether `skill_job1` has the column that migrations/pgvector adds.
    jobs_have_vectors: bool = False
    # Whether `skill_vocabulary` has the columns that migration 0042 adds.
    skills_are_counted: bool = False

    @classmethod
    def read(
        cls, transaction: Transaction, *, job_columns: Sequence[str] = ()
    ) -> "Catalogue":
        """Raises SchemaError that names the first missing table or column; those of
        `job_columns` are looked for in `skill_job1`.
        """
        types: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for table, column, type_name in transaction.rows(
            queries.COLUMNS, {"tables": [*NEEDED, VOCABULARY]}
        ):
            types[table][column] = type_name
        _check(types)
        return cls(
            job_id=IdColumn.of_type(types["skill_job1"]["job_id"]),
            user_id=IdColumn.of_type(types["users"]["user_id"]),
            users_have_embeddings=types["users"].keys()
            >= {"embedding", "embedding_version"},
            job_columns=filterable_columns(types["skill_job1"], job_columns),
            # The schema that the extension lives in may come before it.
            jobs_have_vectors=types["skill_job1"]
            .get("embedding_vec", "")
            .endswith("halfvec"),
            skills_are_counted="counted_vocabulary" in types[VOCABULARY],
        )

    def require_vectors(self) -> None:
        """Raises SchemaError where SEARCH_BACKEND=pgvector cannot work."""
        if not self.jobs_have_vectors:
            raise SchemaError(
                "SEARCH_BACKEND=pgvector needs the column embedding_vec, which the"
                " table skill_job1 does not have; run `python scripts/migrate.py"
                " --with pgvector` and `python scripts/build_vector_index.py`, or set"
                " SEARCH_BACKEND=stream."
            )


def _check(types: Mapping[str, Mapping[str, str]]) -> None:
    for table, columns in NEEDED.items():
        if table not in types:
            raise SchemaError(
                f"The database has no table {table}; run `python scripts/migrate.py`."
            )
        for column in columns:
            if column not in types[table]:
                raise SchemaError(
                    f"The table {table} has no column {column};"
                    " run `python scripts/migrate.py`."
                )
