"""The two tables whose rows have skills, with the types of their ids here."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.query.ids import IdColumn
from app.storage.catalogue import Catalogue
from app.storage.columns import JobColumn
from app.storage.tables import JOBS, USERS, EmbeddedTable


@dataclass(frozen=True)
class Side:
    """A table whose rows have skills, its key, and the columns that it offers."""

    table: str
    key: str
    id_column: IdColumn
    columns: Sequence[JobColumn] = ()


def job_side(catalogue: Catalogue) -> Side:
    """The table of jobs."""
    return Side(JOBS.name, JOBS.key, catalogue.job_id, catalogue.job_columns)


def user_side(catalogue: Catalogue) -> Side:
    """The table of users."""
    return Side(USERS.name, USERS.key, catalogue.user_id)


def side_of(table: EmbeddedTable, catalogue: Catalogue) -> Side:
    """The side of one of the two tables."""
    return job_side(catalogue) if table is JOBS else user_side(catalogue)
