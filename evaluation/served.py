"""The hybrid ranking as the service computes it, over a dataset's rows in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.query.query import BatchKey
from app.ranking.hybrid_top_k import HybridTopK
from app.ranking.skills.methods import ScanGroup
from app.ranking.skills.parse import Skill
from app.ranking.skills.prepare import (
    MAX_QUERY_SKILLS,
    SkillQuery,
    distinct_skills,
    split_into_scans,
)
from app.ranking.skills.skill_scores import SkillQueries
from app.ranking.skills.stems import word_hash, words_of
from app.ranking.skills.vocabulary import SKILL_WORD, Vocabulary, encode_rows
from app.ranking.top_k.heap import Scored
from app.storage.copy.skill_ids import EntryChunk
from app.storage.skill_counts import SkillCounts
from evaluation.datasets import Dataset
from evaluation.encoding import RememberingEncoder
from evaluation.entries import Entries, keys_of
from evaluation.measures import Ranked

CHUNK_ROWS = 512

# Of a large table only so many rows are ranked: the others come after them in the order
# of their places, which no metric of the tables reaches but MRR in its third digit.
RANKED_ALL = 3000
RANKED = 200


@dataclass(frozen=True)
class ServedRows:
    """A dataset's rows and their vocabulary, as `HybridTopK` reads them."""

    vocabulary: Vocabulary
    entries: Entries
    embeddings: NDArray[np.float32]

    @classmethod
    def of(
        cls, data: Dataset, entries: Entries, encoder: RememberingEncoder
    ) -> "ServedRows":
        """The id of a skill is its place in `entries.keys`."""
        codes, exact = encode_rows(encoder.encode(entries.keys))
        words = [words_of(key) for key in entries.keys]
        codes["words"] = [len(own) for own in words]
        pairs = [(n, word_hash(word)) for n, own in enumerate(words) for word in own]
        counts = SkillCounts(len(entries.sizes), entries.listed.astype(np.int32))
        vocabulary = Vocabulary(
            codes,
            exact,
            float(codes["error"].max()),
            counts,
            np.array(pairs, SKILL_WORD),
        )
        return cls(vocabulary, entries, encoder.encode(data.rows))

    def chunks(self) -> Iterator[EntryChunk]:
        """As a scan hands them on."""
        entries, count = self.entries, len(self.entries.sizes)
        ends = np.append(entries.starts, len(entries.ids))
        for start in range(0, count, CHUNK_ROWS):
            end = min(start + CHUNK_ROWS, count)
            yield EntryChunk(
                np.arange(start, end),
                entries.ids[ends[start] : ends[end]].astype(np.int32),
                (ends[start:end] - ends[start]).astype(np.intp),
                self.embeddings[start:end],
            )


def served_ranking(
    data: Dataset, entries: Entries, encoder: RememberingEncoder
) -> Iterator[Ranked]:
    """Each question's scores of all rows; 0 for those that were not ranked."""
    count = len(entries.sizes)
    size = count if count <= RANKED_ALL else RANKED
    for ranked in served_rows(data, entries, encoder, size=size):
        yield Ranked(_scores(ranked, count))


def served_rows(
    data: Dataset, entries: Entries, encoder: RememberingEncoder, *, size: int
) -> Iterator[Sequence[Scored]]:
    """The best rows of each question, by their places."""
    rows = ServedRows.of(data, entries, encoder)
    queries = {n: _query(text) for n, text in enumerate(data.queries)}
    keys = list(dict.fromkeys(s.key for q in queries.values() for s in q.skills))
    vectors = dict(zip(keys, encoder.encode(keys), strict=True))
    texts = encoder.encode(data.queries)
    for group in split_into_scans(queries):
        wanted, columns = distinct_skills(group, queries, vectors)
        skills = SkillQueries(wanted, columns, [size] * len(group))
        top = HybridTopK(
            rows.vocabulary,
            ScanGroup(
                BatchKey("hybrid"),
                [queries[n] for n in group],
                texts[group],
                skills,
                [None] * len(group),
            ),
        )
        for chunk in rows.chunks():
            top.update(chunk)
        for place in range(len(group)):
            yield top.result(place)


def _query(text: str) -> SkillQuery:
    keys = keys_of(text)[:MAX_QUERY_SKILLS]
    return SkillQuery(text, [Skill(key, key) for key in keys], None, b"")


def _scores(ranked: Sequence[Scored], count: int) -> NDArray[np.float64]:
    scores = np.zeros(count)
    scores[[row.id for row in ranked]] = [row.score for row in ranked]
    return scores
