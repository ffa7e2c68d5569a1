"""The files of one vocabulary: codes, exact vectors, texts and words of its skills.

Rows are at the place of their skill's id; they are only added, or rewritten with the
same content: other processes can continue reading.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.ranking.mapped_files import (
    mapped,
    opened,
    read_header,
    write_at,
    write_header,
)
from app.ranking.skills.skill_texts import (
    SKILL_TEXT,
    TEXT_BYTE,
    SkillTexts,
    text_row,
)
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
FORMAT = f"4.{STEMS_VERSION}"
FIRST_POSITION = Position()
# Longer than any snapshot: REQUEST_TIMEOUT_S is at most 300.
SETTLED_S = 600.0
VOCABULARY_PARTS = ("codes", "exact", "named", "texts", "words")


@dataclass(frozen=True)
class FilesProgress:
    """The progress of the files: vocabulary, revision, rows of skills and words, and
    the bytes of the texts.

    `dimension`: of the vectors; 0 before the first.
    """

    vocabulary: str
    revision: int = -1
    position: Position = FIRST_POSITION
    rows: int = 0
    error: float = 0.0
    words: int = 0
    texts: int = 0
    dimension: int = 0
    format: str = FORMAT

    def count(self, part: str) -> int:
        return {"words": self.words, "texts": self.texts}.get(part, self.rows)

    def dtype(self, part: str) -> np.dtype[Any]:
        return {
            "codes": code_dtype(self.dimension),
            "exact": np.dtype(("<f4", (self.dimension,))),
            "named": SKILL_TEXT,
            "texts": TEXT_BYTE,
            "words": SKILL_WORD,
        }[part]


class VocabularyFiles:
    """The files of one vocabulary, and a header with their progress."""

    def __init__(self, folder: Path, stem: str) -> None:
        self._folder = folder
        self._paths = {part: folder / f"{stem}.{part}" for part in VOCABULARY_PARTS}
        self._progress = folder / f"{stem}.json"

    def progress(self) -> FilesProgress | None:
        """The recorded progress; None if there is none, or if the files are shorter."""
        found = read_header(self._progress)
        if found is None or found.get("format") != FORMAT:
            return None
        progress = FilesProgress(**{**found, "position": Position(**found["position"])})
        return progress if self._are_whole(progress) else None

    def _are_whole(self, progress: FilesProgress) -> bool:
        try:
            return all(
                path.stat().st_size
                >= progress.count(part) * progress.dtype(part).itemsize
                for part, path in self._paths.items()
            )
        except FileNotFoundError:
            return False

    def are_ahead_for_good(self, state: VocabularyState) -> bool:
        """Whether the database was reset to an earlier state, for example by a backup.

        Files are ahead for a moment if a process with a later snapshot shares them.
        """
        progress = self.progress()
        if progress is None or progress.revision <= state.revision:
            return False
        return time.time() - self._progress.stat().st_mtime > SETTLED_S

    def set_progress(self, progress: FilesProgress) -> None:
        write_header(self._progress, asdict(progress))

    def remove(self) -> None:
        # The progress first: without it the other files are ignored.
        for path in (self._progress, *self._paths.values()):
            path.unlink(missing_ok=True)

    def remove_others(self, version: str) -> None:
        mine = {self._progress, *self._paths.values()}
        for path in self._folder.glob(f"{version}.*"):
            if path not in mine:
                path.unlink(missing_ok=True)

    @contextmanager
    def opened(self) -> Iterator["Writer"]:
        with opened(list(self._paths.values())) as descriptors:
            yield Writer(dict(zip(VOCABULARY_PARTS, descriptors, strict=True)))

    def mapped(self, progress: FilesProgress) -> Vocabulary:
        found = {
            part: mapped(
                path,
                progress.dtype(part),
                progress.count(part),
                is_random=part in ("exact", "texts"),
            )
            for part, path in self._paths.items()
        }
        return Vocabulary(
            found["codes"],
            found["exact"],
            progress.error,
            words=found["words"],
            texts=SkillTexts(found["named"], found["texts"]),
        )


class Writer:
    """Writes rows of skills at their positions, and appends their words and texts."""

    def __init__(self, descriptors: Mapping[str, int]) -> None:
        self._descriptors = descriptors
        self._word_counts: dict[int, int] = {}
        self.rows = 0
        self.dimension = 0
        self.error = 0.0
        self.read_rows = 0
        self.last_id = 0

    def begin_slice(
        self, texts: Sequence[tuple[int, str]], progress: FilesProgress
    ) -> FilesProgress:
        """Write the texts and words of the next slice behind those before. Returns
        the progress with their new numbers.
        """
        self.read_rows, self.last_id = 0, 0
        of_skills = {id_: words_of(text) for id_, text in texts}
        self._word_counts = {id_: len(found) for id_, found in of_skills.items()}
        pairs = [
            (id_, word_hash(word)) for id_, found in of_skills.items() for word in found
        ]
        data = np.array(pairs, SKILL_WORD)
        self._write("words", data.tobytes(), progress.words, SKILL_WORD.itemsize)
        end = self._write_texts(texts, progress.texts)
        return replace(progress, words=progress.words + len(pairs), texts=end)

    def write(self, batch: EmbeddingChunk) -> None:
        """A consumer of records, ordered by revision and mostly by id."""
        codes, exact = encode_rows(batch.embeddings)
        ids = batch.ids
        codes["words"] = [self._word_counts.get(id_, 0) for id_ in ids.tolist()]
        breaks = np.flatnonzero(np.diff(ids) != 1) + 1
        for part in np.split(np.arange(len(ids)), breaks):
            first = int(ids[part[0]])
            self._write("codes", codes[part].tobytes(), first, codes.itemsize)
            self._write("exact", exact[part].tobytes(), first, exact[0].nbytes)
        self.dimension = exact.shape[1]
        self.rows = max(self.rows, int(ids.max()) + 1)
        self.error = max(self.error, float(codes["error"].max()))
        self.read_rows += len(ids)
        self.last_id = int(ids[-1])

    def sync(self) -> None:
        for descriptor in self._descriptors.values():
            os.fsync(descriptor)

    def _write_texts(self, texts: Sequence[tuple[int, str]], end: int) -> int:
        """Append the texts of new skills, at `end`. Returns the new end."""
        size = SKILL_TEXT.itemsize
        data = b""
        for id_, text in texts:
            row = text_row(text, end + len(data))
            found = os.pread(self._descriptors["named"], size, id_ * size)
            # Of a renewed skill other processes read the text where it is.
            if not _is_written(found, row, end):
                self._write("named", row.tobytes(), id_, size)
                data += text.encode()
        self._write("texts", data, end)
        return end + len(data)

    def _write(self, part: str, data: bytes, row: int, row_bytes: int = 1) -> None:
        write_at(self._descriptors[part], data, row * row_bytes)


def _is_written(found: bytes, row: NDArray[Any], end: int) -> bool:
    """Whether this row has the same text, among the first `end` bytes of the texts."""
    if len(found) < row.itemsize:
        return False
    (old,) = np.frombuffer(found, SKILL_TEXT)
    is_same = (old["hash"], old["size"]) == (row["hash"][0], row["size"][0])
    return bool(is_same and int(old["start"]) + int(old["size"]) <= end)
