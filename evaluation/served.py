"""Rankings as the service computes them, over a dataset's rows in memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.query.query import BatchKey
from app.ranking.skills.favours import favoured
from app.ranking.skills.methods import Method, ScanGroup
from app.ranking.skills.parse import Skill, skill_key
from app.ranking.skills.prepare import SkillQuery, distinct_skills, split_into_scans
from app.ranking.skills.prose import AskedSkills, mean_vector, pieces_of
from app.ranking.skills.reading import read_texts
from app.ranking.skills.skill_scores import SkillQueries
from app.ranking.skills.stems import word_hash, words_of
from app.ranking.skills.synonyms import Synonyms, built_in
from app.ranking.skills.vocabulary import SKILL_WORD, Vocabulary, encode_rows
from app.ranking.taste import Pull
from app.ranking.top_k.heap import Scored
from app.storage.copy.skill_ids import EntryChunk
from app.storage.skill_counts import SkillCounts
from evaluation.datasets import Dataset
from evaluation.encoding import RememberingEncoder
from evaluation.entries import Entries, skills_of
from evaluation.measures import Ranked

CHUNK_ROWS = 512

# Of a large table only so many rows are ranked: the others come after them in the order
# of their places, which no metric of the tables reaches but MRR in its third digit.
RANKED_ALL = 3000
RANKED = 200

NO_PULLS: Mapping[int, Pull] = {}


@dataclass(frozen=True)
class ServedRows:
    """A dataset's rows and their vocabulary, as a scan reads them."""

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
    data: Dataset, entries: Entries, encoder: RememberingEncoder, method: Method
) -> Iterator[Ranked]:
    """Each question's scores of all rows; 0 for those that were not ranked."""
    count = len(entries.sizes)
    size = count if count <= RANKED_ALL else RANKED
    for ranked in served_rows(data, entries, encoder, method, size=size):
        yield Ranked(*_scores(ranked, count))


def served_rows(
    data: Dataset,
    entries: Entries,
    encoder: RememberingEncoder,
    method: Method,
    *,
    size: int,
    pulls: Mapping[int, Pull] = NO_PULLS,
    textless: bool = False,
) -> Iterator[Sequence[Scored]]:
    """The best rows of each question, by their places. `pulls`: of the feedback on
    some questions, by their numbers; `textless`: the questions are those of users
    without a text, the texts of what each liked.
    """
    rows = ServedRows.of(data, entries, encoder)
    lookup = ListedSkills(entries.keys)
    read = read_texts(data.queries, [None] * len(data.queries), rows.vocabulary, lookup)
    queries = {
        n: _asked(text, each, pulls[n] if textless else pulls.get(n), textless=textless)
        for n, (text, each) in enumerate(zip(data.queries, read, strict=True))
    }
    keys = list(dict.fromkeys(s.key for q in queries.values() for s in q.skills))
    vectors = dict(zip(keys, encoder.encode(keys), strict=True))
    queries = favoured(queries, vectors, rows.vocabulary)
    for group in split_into_scans(queries, most_skills=method.scan_skills):
        wanted, columns = distinct_skills(group, queries, vectors)
        skills = SkillQueries(
            wanted,
            columns,
            [size] * len(group),
            factors=[queries[n].factors for n in group],
        )
        asked = [queries[n] for n in group]
        texts = np.stack([one.moved(_text_vector(one, encoder)) for one in asked])
        none = [None] * len(group)
        top = method.top(
            rows.vocabulary,
            ScanGroup(BatchKey("hybrid"), asked, texts, skills, none),
        )
        for chunk in rows.chunks():
            top.update(chunk)
        for place in range(len(group)):
            yield top.result(place)


class ListedSkills:
    """A `SkillLookup` of skills in memory, with the built-in synonyms."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._ids = {key: n for n, key in enumerate(keys)}

    def split(
        self,
        texts: Sequence[str | None],
        titles: Sequence[str | None] = (),  # noqa: ARG002  (of rows, not of questions)
    ) -> list[list[Skill]]:
        """As `SkillLookup.split`."""
        return [skills_of(text or "") for text in texts]

    def synonyms(self, keys: Iterable[str]) -> Synonyms:  # noqa: ARG002
        """As `SkillLookup.synonyms`."""
        return built_in()

    def ids(self, keys: Sequence[str]) -> Mapping[str, int]:
        """As `SkillLookup.ids`."""
        return {key: self._ids[key] for key in keys if key in self._ids}

    def names(self, ids: Sequence[int]) -> Mapping[int, str]:
        """As `SkillLookup.names`."""
        return {id_: self._keys[id_] for id_ in ids}


def _asked(
    text: str, read: AskedSkills, pull: Pull | None, *, textless: bool
) -> SkillQuery:
    return SkillQuery(
        text,
        read if read.skills else _whole(text),
        pull.profile if pull is not None and textless else None,
        b"",
        pull=pull,
        is_textless=textless,
    )


def _whole(text: str) -> AskedSkills:
    key = skill_key(text)
    return AskedSkills([Skill(key, key)])


def _text_vector(query: SkillQuery, encoder: RememberingEncoder) -> NDArray[np.float32]:
    if query.embedding is not None:
        return query.embedding
    pieces = pieces_of(query.text) if query.read.is_prose else [query.text]
    return mean_vector(list(encoder.encode(pieces)))


def _scores(
    ranked: Sequence[Scored], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    scores, seconds = np.zeros(count), np.zeros(count)
    ids = [row.id for row in ranked]
    scores[ids] = [row.score for row in ranked]
    seconds[ids] = [row.second for row in ranked]
    return scores, seconds
