"""A vocabulary and rows in memory, in the form of the service's files and tables."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.encoder import Encoder
from app.ranking.skills.parse import split_skills
from app.ranking.skills.stems import word_hash, words_of
from app.ranking.skills.vocabulary import SKILL_WORD, Vocabulary, encode_rows
from app.ranking.top_k.codes import CodedEntryChunk
from app.ranking.top_k.codes import coded as codes_of
from app.storage.copy.skill_ids import EntryChunk
from app.storage.skill_counts import SkillCounts


@dataclass(frozen=True)
class RowsInMemory:
    """All rows of a table, with a vocabulary of their skills.

    `lists`: the skill ids of each row by its id, in the order of `ids`.
    """

    vocabulary: Vocabulary
    ids: NDArray[np.int64]
    lists: Sequence[NDArray[np.int32]]
    embeddings: NDArray[np.float32]  # (n, 384)

    @classmethod
    def of(cls, encoder: Encoder, rows: Mapping[int, str]) -> "RowsInMemory":
        """Rows with skills; the id of a skill is its position, from 1."""
        lists = [[skill.key for skill in split_skills(text)] for text in rows.values()]
        keys = sorted({key for own in lists for key in own})
        place = {key: n for n, key in enumerate(keys, start=1)}
        ids = [np.array([place[key] for key in own], np.int32) for own in lists]
        counts = Counter(np.concatenate(ids).tolist())
        listed = np.array([counts[n] for n in range(len(keys) + 1)], np.int32)
        return cls(
            vocabulary_of(encoder, keys, SkillCounts(len(rows), listed)),
            np.array(list(rows), np.int64),
            ids,
            encoder.encode(list(rows.values())),
        )

    def chunks(self, size: int, *, coded: bool = False) -> list[EntryChunk]:
        """Chunks of `size` rows, as from a scan, or as a replica has them."""
        return [
            self._chunk(np.arange(start, min(start + size, len(self.ids))), coded=coded)
            for start in range(0, len(self.ids), size)
        ]

    def _chunk(self, rows: NDArray[np.intp], *, coded: bool) -> EntryChunk:
        lists = [self.lists[row] for row in rows]
        starts = np.cumsum([0, *map(len, lists)])[:-1]
        ids, skill_ids = self.ids[rows], np.concatenate(lists)
        vectors = self.embeddings[rows]
        if not coded:
            return EntryChunk(ids, skill_ids, starts, vectors)
        return CodedEntryChunk(
            ids,
            skill_ids,
            starts,
            self.embeddings,
            codes=codes_of(vectors),
            numbers=rows,
        )


def vocabulary_of(
    encoder: Encoder, keys: Sequence[str], counts: SkillCounts | None = None
) -> Vocabulary:
    """These skills with the ids from 1 on."""
    vectors = np.zeros((len(keys) + 1, encoder.dimension), np.float32)
    vectors[1:] = encoder.encode(keys)
    codes, exact = encode_rows(vectors)
    codes["words"][1:] = [len(words_of(key)) for key in keys]
    pairs = [
        (n, word_hash(word))
        for n, key in enumerate(keys, start=1)
        for word in words_of(key)
    ]
    error = float(codes["error"].max())
    return Vocabulary(codes, exact, error, counts, np.array(pairs, SKILL_WORD))
