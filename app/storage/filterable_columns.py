"""The columns that the service offers, for who asks which there are."""

from collections.abc import Sequence

from app.deadline import Deadline
from app.storage.catalogue import Catalogue
from app.storage.columns import JobColumn
from app.storage.connection.database import Database


class FilterableColumns:
    """Reads their types from the database, and remembers the last."""

    def __init__(self, database: Database, names: Sequence[str]) -> None:
        """`names`: those of JOB_COLUMNS."""
        self.names = names
        self.known: Sequence[JobColumn] = ()
        self._database = database

    def __call__(self, deadline: Deadline) -> Sequence[JobColumn]:
        """Raises SchemaError that names a column which is absent, or cannot be
        offered.
        """
        if self.names:
            with self._database.snapshot(deadline) as transaction:
                catalogue = Catalogue.read(transaction, job_columns=self.names)
            self.known = catalogue.job_columns
        return self.known
