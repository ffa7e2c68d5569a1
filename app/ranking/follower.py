"""Runs each batch by the model in use, and follows a switch with the next batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from app.batching.batcher import BatchScope
from app.errors import ModelSwitchedError
from app.query.query import Query
from app.query.result import Outcome
from app.ranking.dispatch import Dispatcher
from app.storage.connection.database import Database
from app.storage.models import model_in_use

# Switches that one batch follows.
MOST_SWITCHES = 3


class Startable(Protocol):
    """Threads of a retrieval."""

    def start(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class ServedModel:
    """The rankings by one model; `threads` of its retrieval, where it has some."""

    version: str
    dispatcher: Dispatcher
    threads: Startable | None = None


class ModelFollower:
    """A batch whose snapshot is of another model fails with its first statement, and
    runs again by that model. Other running batches end by the model of their snapshot.
    """

    def __init__(
        self, database: Database, build: Callable[[str], ServedModel], version: str
    ) -> None:
        """`version`: the model to begin with. `build` makes the rankings by a model."""
        self._database = database
        self._build = build
        self._served = build(version)
        self._lock = Lock()
        self._is_started = False

    def start(self) -> None:
        """Start the threads of the retrieval, also after a switch."""
        self._is_started = True
        self._start(self._served)

    def close(self) -> None:
        """End them."""
        with self._lock:
            self._is_started = False
            self._close(self._served)

    def run(self, queries: Sequence[Query], scope: BatchScope) -> Sequence[Outcome]:
        """As `Dispatcher.run`."""
        served = self._served
        for _ in range(MOST_SWITCHES):
            try:
                return served.dispatcher.run(queries, scope)
            except ModelSwitchedError:
                served = self._follow(scope)
        return served.dispatcher.run(queries, scope)

    def _follow(self, scope: BatchScope) -> ServedModel:
        with self._database.snapshot(scope.deadline) as transaction:
            version = model_in_use(transaction)
        with self._lock:
            if version is not None and version != self._served.version:
                before, self._served = self._served, self._build(version)
                self._close(before)
                self._start(self._served)
            return self._served

    def _start(self, served: ServedModel) -> None:
        if served.threads and self._is_started:
            served.threads.start()

    def _close(self, served: ServedModel) -> None:
        if served.threads:
            served.threads.close()
