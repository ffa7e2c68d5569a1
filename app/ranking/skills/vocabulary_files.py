"""The four files of one vocabulary: codes, exact vectors, words, and how far they have
come.

A file is only ever added to, or written again with what it held already: processes
that share the folder can go on reading. How far the files have come is written last,
and by renaming, so that after a crash the rest is read again.
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
    CODE,
    EXACT_VECTOR,
    SKILL_WORD,
    Vocabulary,
    encode_rows,
)
from app.storage.copy.embeddings import EmbeddingChunk
from app.storage.skills import Position, VocabularyState

# Of the files, and of the words in them.
FORMAT = f"2.{STEMS_VERSION}"
FIRST_POSITION = Position()
# No snapshot is older: REQUEST_TIMEOUT_S is 300 at most.
SETTLED_S = 600.0


@dataclass(frozen=True)
class FilesProgress:
    """What the files hold: of which vocabulary, up to where, how many rows of skills
    and how many words of these.
    """

    vocabulary: str
    revision: int = -1
    position: Position = FIRST_POSITION
    rows: int = 0
    error: float = 0.0
    words: int = 0
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
        """What was written safely; None if nothing was, or less than it says."""
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
        """Each file with what it holds."""
        return (
            (self.codes, progress.rows, CODE),
            (self.exact, progress.rows, EXACT_VECTOR),
            (self.words, progress.words, SKILL_WORD),
        )

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
        codes = _mapped(self.codes, CODE, progress.rows)
        exact = _mapped(self.exact, EXACT_VECTOR, progress.rows, random=True)
        words = _mapped(self.words, SKILL_WORD, progress.words)
        return Vocabulary(codes, exact, progress.error, words=words)


class Writer:
    """Writes rows of skills to their places in the files, their words to the end."""

    def __init__(self, codes: int, exact: int, words: int) -> None:
        self._codes = codes
        self._exact = exact
        self._words = words
        self._word_counts: dict[int, int] = {}
        self.rows = 0
        self.error = 0.0
        self.read_rows = 0
        self.last_id = 0

    def begin_slice(self, texts: Sequence[tuple[int, str]], *, words: int) -> int:
        """Write the words of the skills that `write` is given next, behind so many of
        them; how many there are then.
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
        """A consumer of records: skills in the order of writing, ids mostly so too."""
        codes, exact = encode_rows(batch.embeddings)
        ids = batch.ids
        codes["words"] = [self._word_counts.get(id_, 0) for id_ in ids.tolist()]
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
        os.fsync(self._words)


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
