"""The filterable columns of JOB_COLUMNS, read from the database."""

from collections.abc import Sequence

from app.deadline import Deadline
from app.storage.catalogue import Catalogue
from app.storage.columns import JobColumn
from app.storage.connection.database import Database


class FilterableColumns:
    """Reads the columns' types from the database, and caches the last."""

    def __init__(self, database: Database, names: Sequence[str]) -> None:
        """`names`: those in JOB_COLUMNS."""
        self.names = names
        self.known: Sequence[JobColumn] = ()
        self._database = database

    def __call__(self, deadline: Deadline) -> Sequence[JobColumn]:
        """Read the columns. Raises SchemaError, which names an absent or unsupported
        one.
        """
        if self.names:
            with self._database.snapshot(deadline) as transaction:
                catalogue = Catalogue.read(transaction, job_columns=self.names)
            self.known = catalogue.job_columns
        return self.known
