"""The three files of one vocabulary: codes, exact vectors, and how far they have come.

A file is only ever added to, or written again with what it held already: processes
that share the folder can go on reading. How far the files have come is written last,
and by renaming, so that after a crash the rest is read again.
"""

import json
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.vocabulary import CODE, EXACT_VECTOR, Vocabulary, encode_rows
from app.storage.copy.embeddings import EmbeddingChunk
from app.storage.skills import Position, VocabularyState

FORMAT = 1
FIRST_POSITION = Position()
# No snapshot is older: REQUEST_TIMEOUT_S is 300 at most.
SETTLED_S = 600.0


@dataclass(frozen=True)
class FilesProgress:
    """What the files hold: of which vocabulary, up to where, and how many rows."""

    vocabulary: str
    revision: int = -1
    position: Position = FIRST_POSITION
    rows: int = 0
    error: float = 0.0
    format: int = FORMAT


class VocabularyFiles:
    """The three files of one vocabulary: codes, exact vectors, progress."""

    def __init__(self, folder: Path, stem: str) -> None:
        self._folder = folder
        self.codes = folder / f"{stem}.codes"
        self.exact = folder / f"{stem}.exact"
        self._progress = folder / f"{stem}.json"

    def progress(self) -> FilesProgress | None:
        """What was written safely; None if nothing was, or less than it says."""
        try:
            found = json.loads(self._progress.read_text())
            progress = FilesProgress(
                **{**found, "position": Position(**found["position"])}
            )
            whole = (
                self.codes.stat().st_size >= progress.rows * CODE.itemsize
                and self.exact.stat().st_size >= progress.rows * EXACT_VECTOR.itemsize
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return progress if whole and progress.format == FORMAT else None

    def are_ahead_for_good(self, state: VocabularyState) -> bool:
        """Whether the database went back to an earlier state, from a backup say.

        Ahead for a moment is also who shares the folder with a later snapshot.
        """
        progress = self.progress()
        if progress is None or progress.revision <= state.revision:
            return False
        return time.time() - self._progress.stat().st_mtime > SETTLED_S

    def set_progress(self, progress: FilesProgress) -> None:
        draft = self._progress.with_suffix(".tmp")
        with draft.open("w") as file:
            json.dump(asdict(progress), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._progress)

    def remove(self) -> None:
        # The progress first: without it the others count as absent.
        for path in (self._progress, self.codes, self.exact):
            path.unlink(missing_ok=True)

    def remove_others(self, version: str) -> None:
        mine = {self.codes, self.exact, self._progress}
        for path in self._folder.glob(f"{version}.*"):
            if path not in mine:
                path.unlink(missing_ok=True)

    @contextmanager
    def opened(self) -> Iterator["Writer"]:
        flags = os.O_RDWR | os.O_CREAT
        codes = os.open(self.codes, flags, 0o600)
        try:
            exact = os.open(self.exact, flags, 0o600)
            try:
                yield Writer(codes, exact)
            finally:
                os.close(exact)
        finally:
            os.close(codes)

    def mapped(self, progress: FilesProgress) -> Vocabulary:
        codes = _mapped(self.codes, CODE, progress.rows)
        exact = _mapped(self.exact, EXACT_VECTOR, progress.rows, random=True)
        return Vocabulary(codes, exact, progress.error)


class Writer:
    """Writes rows of skills to their places in the two files."""

    def __init__(self, codes: int, exact: int) -> None:
        self._codes = codes
        self._exact = exact
        self.rows = 0
        self.error = 0.0
        self.read_rows = 0
        self.last_id = 0

    def write(self, batch: EmbeddingChunk) -> None:
        """A consumer of records: skills in the order of writing, ids mostly so too."""
        codes, exact = encode_rows(batch.embeddings)
        ids = batch.ids
        breaks = np.flatnonzero(np.diff(ids) != 1) + 1
        for part in np.split(np.arange(len(ids)), breaks):
            first = int(ids[part[0]])
            _write_at(self._codes, codes[part].tobytes(), first * CODE.itemsize)
            _write_at(self._exact, exact[part].tobytes(), first * EXACT_VECTOR.itemsize)
        self.rows = max(self.rows, int(ids.max()) + 1)
        self.error = max(self.error, float(codes["error"].max()))
        self.read_rows += len(ids)
        self.last_id = int(ids[-1])

    def sync(self) -> None:
        os.fsync(self._codes)
        os.fsync(self._exact)


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def _mapped(
    path: Path, dtype: np.dtype[Any], rows: int, *, random: bool = False
) -> NDArray[Any]:
    """(rows, …) of the file, read-only."""
    if rows == 0:
        return np.zeros(0, dtype)
    with path.open("rb") as file:
        size = rows * dtype.itemsize
        mapping = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    if random:
        # Without it each vector that is looked up would bring its neighbours along.
        mapping.madvise(mmap.MADV_RANDOM)
    return np.frombuffer(
        mapping, dtype.base, rows * (dtype.itemsize // dtype.base.itemsize)
    ).reshape(rows, *dtype.shape)
