"""Targets of `recommend_all.py`: a table or a CSV file. Both resume after a kill."""

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from app.deadline import Deadline
from app.errors import AppError
from app.query.ids import Id
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.recommendations import RecommendationTable, StoredRecommendation

WRITE_TIMEOUT_S = 60.0
CSV_HEADER = ["user_id", "rank", "job_id", "similarity_score", "match_score"]


class RecommendationTarget(Protocol):
    """A target that stores one block of users after another."""

    def open(self) -> Id | None:
        """Start or resume a run. Returns the last finished user of a resumed one."""
        ...

    def write(self, users: Sequence[Id], rows: Sequence[StoredRecommendation]) -> None:
        """Store a block durably, all of it or nothing."""
        ...

    def finish(self) -> None:
        """End the run after all users."""
        ...


class TableTarget:
    """`recommender.recommendation`. Readers see the old or the new rows of a user."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        *,
        question: str,
        anew: bool,
        tells: bool = False,
    ) -> None:
        """`tells`: what is new is told afterwards."""
        self._tells = tells
        self._database = database
        self._table = RecommendationTable(catalogue)
        self._question = question
        self._anew = anew

    def open(self) -> Id | None:
        with self._database.write(Deadline.after(WRITE_TIMEOUT_S)) as transaction:
            self._run = self._table.open_run(
                transaction, self._question, anew=self._anew
            )
        return self._run.after

    def write(self, users: Sequence[Id], rows: Sequence[StoredRecommendation]) -> None:
        with self._database.write(Deadline.after(WRITE_TIMEOUT_S)) as transaction:
            self._run = self._table.store(transaction, self._run, users, rows)

    def finish(self) -> None:
        with self._database.write(Deadline.after(WRITE_TIMEOUT_S)) as transaction:
            self._table.finish(transaction, self._run, is_untold=self._tells)


class CsvTarget:
    """A CSV file, and `<file>.progress` beside it until it is complete.

    The latter has the number of valid bytes and the last user. A resumed run cuts off
    everything beyond.
    """

    def __init__(self, path: Path, *, question: str, anew: bool) -> None:
        self._path = path
        self._progress = path.with_name(path.name + ".progress")
        self._question = question
        self._anew = anew

    def open(self) -> Id | None:
        """Raises AppError for a file of another run."""
        done = self._done()
        if done is None:
            if self._path.exists() and not self._anew:
                raise AppError(
                    f"{self._path} exists already; choose another file, or add"
                    " --restart to overwrite it."
                )
            self._path.write_text("", encoding="utf-8")
            self._append([CSV_HEADER])
            self._save(None)
            return None
        with self._path.open("r+b") as file:
            file.truncate(done["bytes"])
        after: Id | None = done["after"]
        return after

    def write(self, users: Sequence[Id], rows: Sequence[StoredRecommendation]) -> None:
        self._append(
            [
                [
                    row.user_id,
                    row.rank,
                    row.job_id,
                    row.similarity_score,
                    row.match_score,
                ]
                for row in rows
            ]
        )
        self._save(users[-1])

    def finish(self) -> None:
        self._progress.unlink()

    def _done(self) -> dict[str, Any] | None:
        if self._anew or not (self._progress.exists() and self._path.exists()):
            return None
        done: dict[str, Any] = json.loads(self._progress.read_text(encoding="utf-8"))
        if done["question"] != self._question:
            raise AppError(
                f"{self._path} was started with other options; use the same options,"
                " or add --restart to overwrite it."
            )
        return done

    def _append(self, rows: Sequence[Sequence[object]]) -> None:
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        with self._path.open("ab") as file:
            file.write(text.getvalue().encode())
            file.flush()
            os.fsync(file.fileno())

    def _save(self, after: Id | None) -> None:
        """Replace the state atomically."""
        state = {
            "question": self._question,
            "bytes": self._path.stat().st_size,
            "after": after,
        }
        new = self._progress.with_name(self._progress.name + ".new")
        new.write_text(json.dumps(state), encoding="utf-8")
        new.replace(self._progress)
