"""Keeps the files of a replica: fills them, takes changes over, hands out their rows.

One process of those that share a folder writes: the one that has its lock. The others
read what it has committed. A pass of the keeper ends with a view of sound files, or
with none, and then the full scan answers.
"""

import fcntl
import logging
import os
import threading
from pathlib import Path

from app.deadline import Deadline
from app.errors import AppError
from app.ranking.retrieval.replica.files import (
    IdTooWideError,
    ReplicaFiles,
    ReplicaManifest,
    mtime_ns,
)
from app.ranking.retrieval.replica.filling import ReplicaFilling, TableChangedError
from app.ranking.retrieval.replica.view import ReplicaView
from app.ranking.retrieval.replica.view_store import ViewStore
from app.storage.catalogue import Catalogue
from app.storage.changes import BEFORE_ALL, TableState, XidSnapshot, look
from app.storage.connection.database import Database
from app.storage.entity import EntityTable

log = logging.getLogger(__name__)

# Requests wake the keeper when they need it. Without any it looks so often, long before
# deleted jobs are forgotten.
IDLE_S = 600.0
# Requests that come together are taken over together.
GATHERED_S = 0.2
# How often it looks whether another process has committed, or wants something.
LOOKED_AT_FILES_S = 1.0
# After an error, or while there is nothing to search in: the table cannot be followed,
# the disk is full, the database away, a migration missing.
AFTER_ERROR_S = 15.0
LOOK_TIMEOUT_S = 30.0


class ReplicaKeeper:
    """Runs passes, in a thread of its own once it is started."""

    def __init__(
        self, database: Database, views: ViewStore, folder: Path, *, version: str
    ) -> None:
        self._database = database
        self._views = views
        self._files = ReplicaFiles(folder)
        # Touched by who needs the writer, in another process.
        self._wanted = folder / "wanted"
        self._version = version
        self._stop = threading.Event()
        self._filling = ReplicaFilling(
            database, self._files, version=version, stop=self._stop
        )
        self._lock: int | None = None
        # What is known to be sound, and what the last view is of.
        self._sound: ReplicaManifest | None = None
        self._published: ReplicaManifest | None = None
        self._told = ""
        self._thread = threading.Thread(target=self._run, name="replica", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, *, timeout_s: float = 5.0) -> None:
        """Let a slice that is being written finish."""
        self._stop.set()
        self._views.wake_keeper()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def run_once(self) -> None:
        """One pass. Raises AppError, and OSError where the files cannot be used."""
        self._files.folder.mkdir(parents=True, exist_ok=True)
        is_writer = self._has_lock()
        if not is_writer:
            self._wanted.touch()
        # Before the look: the database of now sees all that was committed by then.
        manifest = self._files.manifest()
        with self._database.snapshot(Deadline.after(LOOK_TIMEOUT_S)) as transaction:
            jobs = Catalogue.read(transaction).jobs
            state = look(
                transaction, jobs, version=self._version, since=BEFORE_ALL, most=0
            )
        if state.fault is not None:
            self._give_up(f"The full scan answers, because {state.fault}.")
            return
        try:
            self._pass(manifest, jobs, state, is_writer=is_writer)
        except (TableChangedError, IdTooWideError) as error:
            self._give_up(f"The replica is made anew: {error}.")
            if is_writer:
                self._files.remove_others(None)

    def _pass(
        self,
        manifest: ReplicaManifest | None,
        jobs: EntityTable,
        state: TableState,
        *,
        is_writer: bool,
    ) -> None:
        if manifest is None or not self._is_usable(manifest, jobs, state):
            manifest = None
            self._views.withdraw()
        if is_writer:
            manifest = self._filling.bring_up_to_date(manifest, jobs, state)
            self._sound = manifest
        if manifest is not None and manifest.complete:
            self._publish(manifest)

    def _is_usable(
        self, manifest: ReplicaManifest, jobs: EntityTable, state: TableState
    ) -> bool:
        """Whether files are those of this table as it was some time ago."""
        is_same = (
            manifest.identity == state.identity
            and manifest.version == self._version
            and manifest.kind == jobs.id_column.kind
            and XidSnapshot(manifest.newest).is_seen_by(state.snapshot)
            and state.can_continue(XidSnapshot(manifest.since))
        )
        if not is_same or not self._files.is_sound(manifest, known=self._sound):
            return False
        self._sound = manifest
        return True

    def _publish(self, manifest: ReplicaManifest) -> None:
        if manifest == self._published and self._views.latest():
            return
        try:
            view = ReplicaView.of(self._files, manifest)
        except FileNotFoundError:
            # The writer has made others since: they are read in the next pass.
            self._views.wake_keeper()
            return
        self._views.publish(view)
        if self._published is None or self._told:
            log.info("The replica is ready: %d jobs.", view.jobs)
        self._published, self._told = manifest, ""

    def _give_up(self, sentence: str) -> None:
        self._views.withdraw()
        self._tell(sentence)

    def _tell(self, sentence: str) -> None:
        """Once: the same again and again would fill the log."""
        if sentence != self._told and not self._stop.is_set():
            log.warning("%s", sentence)
        self._told = sentence

    def _has_lock(self) -> bool:
        if self._lock is not None:
            return True
        descriptor = os.open(self._files.folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def _run(self) -> None:
        while not self._stop.is_set():
            wait_s = self._try_once()
            self._wait(Deadline.after(wait_s), can_wake=wait_s == IDLE_S)

    def _wait(self, deadline: Deadline, *, can_wake: bool) -> None:
        """Until the next pass: at once where another process has done something, or,
        while there is a replica to keep, where a request needs it.
        """
        stamps = self._stamps()
        while not self._stop.is_set() and deadline.remaining_s() > 0:
            is_woken = self._views.wait(min(LOOKED_AT_FILES_S, deadline.remaining_s()))
            if (can_wake and is_woken) or self._stamps() != stamps:
                self._stop.wait(GATHERED_S)
                return

    def _stamps(self) -> tuple[int, ...]:
        """When the manifest was written, and when the writer was wanted: in the writer
        that counts, in others only what it has committed.
        """
        wanted = mtime_ns(self._wanted) if self._lock is not None else 0
        return self._files.stamp(), wanted

    def _try_once(self) -> float:
        """How long to wait until the next pass."""
        try:
            self.run_once()
        except AppError as error:
            self._tell(f"The replica waits: {error}")
        except OSError as error:
            self._tell(
                "The replica cannot be kept, and the full scan answers what it cannot:"
                f" the folder of CACHE_DIR cannot be used ({error.strerror}); give it"
                " 2 KB for each job."
            )
        except Exception:
            # Whatever it is, requests go on: by the full scan.
            log.exception("The replica failed.")
            self._views.withdraw()
        else:
            # Without a replica each request would wake the keeper, in vain.
            return IDLE_S if self._views.latest() else AFTER_ERROR_S
        return AFTER_ERROR_S
