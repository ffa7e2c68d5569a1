"""Snapshots of the database that are answered by one model."""

from contextlib import AbstractContextManager
from typing import Protocol

from app.deadline import Deadline
from app.storage.connection.database import Database
from app.storage.connection.transaction import Transaction


class Snapshots(Protocol):
    """What a ranking needs of a database."""

    def snapshot(
        self, deadline: Deadline, /
    ) -> AbstractContextManager[Transaction]: ...


class ModelSnapshots:
    """Snapshots in which `version` is the model in use: an answer never mixes two."""

    def __init__(self, database: Database, version: str) -> None:
        self._database = database
        self._version = version

    def snapshot(self, deadline: Deadline) -> AbstractContextManager[Transaction]:
        """As `Database.snapshot`. Raises ModelSwitchedError with its first statement
        where another model is in use.
        """
        return self._database.snapshot(deadline, model=self._version)
