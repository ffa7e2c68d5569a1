"""The four files of one vocabulary: codes, exact vectors, words, and progress.

Files are only appended to, or rewritten with the same content: other processes can
continue reading. The progress is written last, by renaming, so that after a crash the
rest is read again.
"""

import json
import mmap
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.stems import STEMS_VERSION, word_hash, words_of
from app.ranking.skills.vocabulary import (
    SKILL_WORD,
    Vocabulary,
    code_dtype,
    encode_rows,
)
from app.storage.copy.embeddings import EmbeddingChunk
from app.storage.skills import Position, VocabularyState

# The version of the files' format and of their words.
FORMAT = f"3.{STEMS_VERSION}"
FIRST_POSITION = Position()
# Longer than any snapshot: REQUEST_TIMEOUT_S is at most 300.
SETTLED_S = 600.0


@dataclass(frozen=True)
class FilesProgress:
    """The progress of the files: vocabulary, revision, rows of skills and words.

    `dimension`: of the vectors; 0 before the first.
    """

    vocabulary: str
    revision: int = -1
    position: Position = FIRST_POSITION
    rows: int = 0
    error: float = 0.0
    words: int = 0
    dimension: int = 0
    format: str = FORMAT


class VocabularyFiles:
    """The four files of one vocabulary: codes, exact vectors, words, progress."""

    def __init__(self, folder: Path, stem: str) -> None:
        self._folder = folder
        self.codes = folder / f"{stem}.codes"
        self.exact = folder / f"{stem}.exact"
        self.words = folder / f"{stem}.words"
        self._progress = folder / f"{stem}.json"

    def progress(self) -> FilesProgress | None:
        """The recorded progress; None if there is none, or if the files are shorter."""
        try:
            found = json.loads(self._progress.read_text())
            progress = FilesProgress(
                **{**found, "position": Position(**found["position"])}
            )
            whole = all(
                path.stat().st_size >= count * dtype.itemsize
                for path, count, dtype in self._data(progress)
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return progress if whole and progress.format == FORMAT else None

    def _data(
        self, progress: FilesProgress
    ) -> Sequence[tuple[Path, int, np.dtype[Any]]]:
        """Each file and the type of its rows."""
        return (
            (self.codes, progress.rows, code_dtype(progress.dimension)),
            (self.exact, progress.rows, _exact_dtype(progress.dimension)),
            (self.words, progress.words, SKILL_WORD),
        )

    def are_ahead_for_good(self, state: VocabularyState) -> bool:
        """Whether the database was reset to an earlier state, for example by a backup.

        Files are ahead for a moment if a process with a later snapshot shares them.
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
        # The progress first: without it the other files are ignored.
        for path in (self._progress, self.codes, self.exact, self.words):
            path.unlink(missing_ok=True)

    def remove_others(self, version: str) -> None:
        mine = {self.codes, self.exact, self.words, self._progress}
        for path in self._folder.glob(f"{version}.*"):
            if path not in mine:
                path.unlink(missing_ok=True)

    @contextmanager
    def opened(self) -> Iterator["Writer"]:
        with ExitStack() as stack:
            descriptors = []
            for path in (self.codes, self.exact, self.words):
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
                stack.callback(os.close, descriptor)
                descriptors.append(descriptor)
            yield Writer(*descriptors)

    def mapped(self, progress: FilesProgress) -> Vocabulary:
        dimension, rows = progress.dimension, progress.rows
        codes = _mapped(self.codes, code_dtype(dimension), rows)
        exact = _mapped(self.exact, _exact_dtype(dimension), rows, random=True)
        words = _mapped(self.words, SKILL_WORD, progress.words)
        return Vocabulary(codes, exact, progress.error, words=words)


class Writer:
    """Writes rows of skills at their positions, and appends their words."""

    def __init__(self, codes: int, exact: int, words: int) -> None:
        self._codes = codes
        self._exact = exact
        self._words = words
        self._word_counts: dict[int, int] = {}
        self.rows = 0
        self.dimension = 0
        self.error = 0.0
        self.read_rows = 0
        self.last_id = 0

    def begin_slice(self, texts: Sequence[tuple[int, str]], *, words: int) -> int:
        """Write the words of the next slice behind the first `words`. Returns their new
        number.
        """
        self.read_rows, self.last_id = 0, 0
        of_skills = {id_: words_of(text) for id_, text in texts}
        self._word_counts = {id_: len(found) for id_, found in of_skills.items()}
        pairs = [
            (id_, word_hash(word)) for id_, found in of_skills.items() for word in found
        ]
        data = np.array(pairs, SKILL_WORD)
        _write_at(self._words, data.tobytes(), words * SKILL_WORD.itemsize)
        return words + len(pairs)

    def write(self, batch: EmbeddingChunk) -> None:
        """A consumer of records, ordered by revision and mostly by id."""
        codes, exact = encode_rows(batch.embeddings)
        ids = batch.ids
        codes["words"] = [self._word_counts.get(id_, 0) for id_ in ids.tolist()]
        breaks = np.flatnonzero(np.diff(ids) != 1) + 1
        for part in np.split(np.arange(len(ids)), breaks):
            first = int(ids[part[0]])
            _write_at(self._codes, codes[part].tobytes(), first * codes.itemsize)
            _write_at(self._exact, exact[part].tobytes(), first * exact[0].nbytes)
        self.dimension = exact.shape[1]
        self.rows = max(self.rows, int(ids.max()) + 1)
        self.error = max(self.error, float(codes["error"].max()))
        self.read_rows += len(ids)
        self.last_id = int(ids[-1])

    def sync(self) -> None:
        os.fsync(self._codes)
        os.fsync(self._exact)
        os.fsync(self._words)


def _exact_dtype(dimension: int) -> np.dtype[Any]:
    return np.dtype(("<f4", (dimension,)))


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def _mapped(
    path: Path, dtype: np.dtype[Any], rows: int, *, random: bool = False
) -> NDArray[Any]:
    """The file as a read-only array of (rows, …)."""
    if rows == 0:
        return np.zeros(0, dtype)
    with path.open("rb") as file:
        size = rows * dtype.itemsize
        mapping = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    if random:
        # Otherwise the kernel reads ahead at each look-up.
        mapping.madvise(mmap.MADV_RANDOM)
    return np.frombuffer(
        mapping, dtype.base, rows * (dtype.itemsize // dtype.base.itemsize)
    ).reshape(rows, *dtype.shape)
