"""The vocabulary's local files, which follow the database.

Before each batch one query detects changes, and only these are read. The progress is
recorded after each slice, so that a crash costs at most one slice.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from app.errors import SkillCacheError
from app.ranking.skills.calibration import Calibration
from app.ranking.skills.vocabulary import Vocabulary
from app.ranking.skills.vocabulary_files import FilesProgress, VocabularyFiles, Writer
from app.storage.connection.transaction import Transaction
from app.storage.copy.embeddings import RecordReader
from app.storage.copy.reader import read_copy
from app.storage.skill_counts import read_counts
from app.storage.skills import (
    Position,
    VocabularyState,
    revision_of,
    skill_texts,
    stream_skills,
    vocabulary_state,
)

# Skills per slice, 6 MB of traffic. A deadline during the first read of a large
# vocabulary costs at most one slice.
VOCABULARY_SLICE_ROWS = 4096
# Some 256 rows of MiniLM at a time.
VOCABULARY_BUFFER_BYTES = 400_000


class VocabularyCache:
    """The files of one model version; safe for several threads and processes.

    A folder serves one database: files of another vocabulary are removed.
    """

    def __init__(self, folder: Path, *, version: str) -> None:
        self._folder = folder
        self._version = version
        self._lock = threading.Lock()
        self._progress: FilesProgress | None = None
        self._vocabulary: Vocabulary | None = None
        self._counts_stamp: str | None = None

    def refresh(
        self, transaction: Transaction, state: VocabularyState | None = None
    ) -> Vocabulary:
        """The vocabulary of this transaction's snapshot or slightly newer, with its
        counts. `state`: of this snapshot, where it was read already.

        Raises SkillCacheError if the folder cannot be used.
        """
        state = state or vocabulary_state(transaction, version=self._version)
        with self._lock:
            if self._vocabulary is None or not self._is_current(state):
                try:
                    with self._folder_lock():
                        self._update(transaction, state)
                except OSError as error:
                    raise SkillCacheError(
                        "The folder of SKILL_CACHE_DIR cannot be used"
                        f" ({error.strerror}); point it at a folder that can be"
                        " written, with 2 KB free for each skill."
                    ) from error
            assert self._vocabulary is not None  # noqa: S101  (set by _update)
            if self._counts_stamp != state.counts_stamp:
                self._count(transaction, state)
            if self._vocabulary.calibration.stored != state.calibration:
                calibration = Calibration.of_json(state.calibration)
                self._vocabulary = replace(self._vocabulary, calibration=calibration)
            return self._vocabulary

    def _is_current(self, state: VocabularyState) -> bool:
        has = self._progress
        return (
            has is not None
            and has.vocabulary == state.vocabulary
            and has.revision == state.revision
        )

    def _update(self, transaction: Transaction, state: VocabularyState) -> None:
        files = VocabularyFiles(self._folder, f"{self._version}.{state.vocabulary}")
        progress = files.progress()
        if progress is None or files.are_ahead_for_good(state):
            files.remove()
            progress = FilesProgress(state.vocabulary)
        files.remove_others(self._version)
        with files.opened() as writer:
            while progress.revision < state.revision:
                progress = self._read_slice(transaction, state, writer, progress)
                writer.sync()
                files.set_progress(progress)
        new, old = files.mapped(progress), self._vocabulary
        if old is not None:
            new = replace(new, counts=old.counts, calibration=old.calibration)
        self._vocabulary = new
        self._progress = progress

    def _count(self, transaction: Transaction, state: VocabularyState) -> None:
        """Load the counts of this state: 4 bytes per skill, kept in memory."""
        has = state.counts_stamp is not None
        counts = read_counts(transaction) if has else None
        assert self._vocabulary is not None  # noqa: S101  (set by _update)
        self._vocabulary = replace(self._vocabulary, counts=counts)
        self._counts_stamp = state.counts_stamp

    def _read_slice(
        self,
        transaction: Transaction,
        state: VocabularyState,
        writer: Writer,
        progress: FilesProgress,
    ) -> FilesProgress:
        texts = skill_texts(
            transaction,
            after=progress.position,
            limit=VOCABULARY_SLICE_ROWS,
            version=self._version,
        )
        progress = writer.begin_slice(texts, progress)
        reader = RecordReader("integer", writer.write)
        read_copy(
            lambda sink: stream_skills(
                transaction,
                sink,
                after=progress.position,
                limit=VOCABULARY_SLICE_ROWS,
                version=self._version,
            ),
            reader,
            buffer_bytes=VOCABULARY_BUFFER_BYTES,
        )
        progress = replace(
            progress,
            rows=max(progress.rows, writer.rows),
            error=max(progress.error, writer.error),
            dimension=progress.dimension or writer.dimension,
        )
        if writer.read_rows < VOCABULARY_SLICE_ROWS:
            end = Position(state.revision, np.iinfo(np.int32).max)
            return replace(progress, revision=state.revision, position=end)
        last = Position(
            revision_of(transaction, writer.last_id, version=self._version),
            writer.last_id,
        )
        return replace(progress, position=last)

    @contextmanager
    def _folder_lock(self) -> Iterator[None]:
        """Wait for other processes that write the same files."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
