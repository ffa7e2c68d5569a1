"""Fills the files of a replica, adds changes to them, and publishes their rows.

Of the processes that share a folder, the one that holds its lock writes. The others
read what it has committed. A pass ends with a view of valid files, or without a view;
then the full scan answers.
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

# Requests wake the keeper when they need it. Without requests it makes a pass at this
# interval, long before the database forgets deleted jobs.
IDLE_S = 600.0
# Collects the changes of concurrent requests into one pass.
GATHERED_S = 0.2
# The interval of checks whether another process has committed, or needs the writer.
LOOKED_AT_FILES_S = 1.0
# After an error, or without a view: the table cannot be followed, the disk is full, the
# database is away, or a migration is missing.
AFTER_ERROR_S = 15.0
LOOK_TIMEOUT_S = 30.0

ANOTHER_DATABASE = (
    "The full scan answers, because a service with another database keeps its replica"
    " in this CACHE_DIR; give each database a folder of its own."
)


class ReplicaKeeper:
    """Runs passes, after `start` in its own thread."""

    def __init__(
        self, database: Database, views: ViewStore, folder: Path, *, version: str
    ) -> None:
        self._database = database
        self._views = views
        self._files = ReplicaFiles(folder)
        # Touched by other processes that need the writer.
        self._wanted = folder / "wanted"
        self._version = version
        self._stop = threading.Event()
        self._filling = ReplicaFilling(
            database, self._files, version=version, stop=self._stop
        )
        self._lock: int | None = None
        # The last manifest with verified files, and that of the last view.
        self._sound: ReplicaManifest | None = None
        self._published: ReplicaManifest | None = None
        self._told = ""
        self._thread = threading.Thread(target=self._run, name="replica", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, *, timeout_s: float = 5.0) -> None:
        """Stop after the current slice."""
        self._stop.set()
        self._views.wake_keeper()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        # A slice that takes longer still writes, and ends with the lock.
        if not self._thread.is_alive():
            self._unlock()

    def run_once(self) -> None:
        """One pass. Raises AppError, and OSError if the files cannot be used."""
        self._files.folder.mkdir(parents=True, exist_ok=True)
        is_writer = self._has_lock()
        # Before the look, which then sees everything that the manifest contains.
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
            self._give_up(f"The full scan answers, because {error}.")
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
            self._views.withdraw()
            if manifest and manifest.identity != state.identity and not is_writer:
                self._tell(ANOTHER_DATABASE)
            manifest = None
        else:
            # Before anything is written: there may be no room for it.
            self._accept(manifest)
        if not is_writer:
            self._wanted.touch()
            return
        manifest = self._filling.bring_up_to_date(manifest, jobs, state)
        self._accept(manifest)
        self._accept(self._filling.compacted(manifest))

    def _is_usable(
        self, manifest: ReplicaManifest, jobs: EntityTable, state: TableState
    ) -> bool:
        """Whether the files belong to an earlier state of this table."""
        is_same = (
            manifest.identity == state.identity
            and manifest.version == self._version
            and manifest.kind == jobs.id_column.kind
            and XidSnapshot(manifest.newest).is_seen_by(state.snapshot)
            and state.can_continue(XidSnapshot(manifest.since))
        )
        return is_same and self._files.is_sound(manifest, known=self._sound)

    def _accept(self, manifest: ReplicaManifest) -> None:
        """Publish the rows of sound files, if they are complete."""
        self._sound = manifest
        is_published = manifest == self._published and bool(self._views.latest())
        if not manifest.complete or is_published:
            return
        try:
            view = ReplicaView.of(self._files, manifest)
        except FileNotFoundError:
            # The writer has replaced them: the next pass reads the new ones.
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
        """Log a sentence once: repeating it would fill the log."""
        if sentence != self._told and not self._stop.is_set():
            log.warning("%s", sentence)
        self._told = sentence

    def _has_lock(self) -> bool:
        """Whether this process writes. A folder that was removed and made anew has
        another lock, which another process may hold. Raises OSError.
        """
        folder = self._files.folder
        if self._lock is not None:
            if os.path.samestat(os.fstat(self._lock), folder.stat()):
                return True
            self._unlock()
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return False
            raise
        self._lock = descriptor
        return True

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _run(self) -> None:
        while not self._stop.is_set():
            wait_s = self._try_once()
            self._wait(Deadline.after(wait_s), can_wake=wait_s == IDLE_S)
        self._unlock()

    def _wait(self, deadline: Deadline, *, can_wake: bool) -> None:
        """Wait for the next pass: until another process has done something, or, with
        `can_wake`, until a request needs the keeper.
        """
        stamps = self._stamps()
        while not self._stop.is_set() and deadline.remaining_s() > 0:
            is_woken = self._views.wait(min(LOOKED_AT_FILES_S, deadline.remaining_s()))
            if (can_wake and is_woken) or self._stamps() != stamps:
                self._stop.wait(GATHERED_S)
                return

    def _stamps(self) -> tuple[int, ...]:
        """When the manifest was written and, for the writer, when another process
        needed it.
        """
        wanted = mtime_ns(self._wanted) if self._lock is not None else 0
        return self._files.stamp(), wanted

    def _try_once(self) -> float:
        """Make a pass. Returns the seconds until the next one."""
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
            # Requests continue with the full scan.
            log.exception("The replica failed.")
            self._views.withdraw()
        else:
            # Without a view every request would wake the keeper in vain.
            return IDLE_S if self._views.latest() else AFTER_ERROR_S
        return AFTER_ERROR_S
