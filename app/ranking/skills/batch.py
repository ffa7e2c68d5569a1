"""The story of a pass: texts -> skills -> scan of skill ids -> top-N -> texts and
explanations of the best. Both directions, from one snapshot of the database.
"""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.encoder import Encoder
from app.errors import AppError
from app.query.ids import Id
from app.query.query import AbandonedError, SkillQuestion
from app.query.result import BatchObserver, SkillAnswer, Timings, Volume
from app.ranking.skills.explain import matches
from app.ranking.skills.idf import cached_idf_weights, to_bytes
from app.ranking.skills.parse import Skill
from app.ranking.skills.prepare import (
    Asked,
    Found,
    asked_by,
    length_penalty_of,
    no_skills,
    rounds,
    skill_vectors,
    wanted_by,
)
from app.ranking.skills.scorer import SkillQueries, SkillTopK
from app.ranking.skills.vocabulary_cache import VocabularyCache
from app.ranking.top_k.bounds import Bounds
from app.ranking.top_k.pages import Page, page_of
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.copy.reader import read_copy
from app.storage.copy.skill_ids import SkillIdChunk, skill_reader
from app.storage.sides import Side, job_side, user_side
from app.storage.skills import (
    SkilledRow,
    count_unsplit,
    skilled_rows,
    stream_skill_ids,
)

# Skill ids that are scored at once: some 1,400 jobs of six skills.
BUFFER_BYTES = 1 << 16


class SkillBatch:
    """One pass: everything that its questions share."""

    def __init__(
        self,
        transaction: Transaction,
        encoder: Encoder,
        cache: VocabularyCache,
        scope: BatchScope,
        *,
        catalogue: Catalogue,
        observer: BatchObserver | None = None,
    ) -> None:
        self._observer = observer
        self._volume = Volume(rows=0, bytes=0)
        self._transaction = transaction
        self._encoder = encoder
        self._scope = scope
        self._jobs, self._users = job_side(catalogue), user_side(catalogue)
        self._vocabulary = cache.refresh(
            transaction, counted=catalogue.skills_are_counted
        )

    def answers(
        self, questions: Sequence[SkillQuestion]
    ) -> list[SkillAnswer | AppError]:
        start = time.perf_counter()
        looked_up = self._look_up(questions)
        asked = {n: a for n, a in enumerate(looked_up) if isinstance(a, Asked)}
        vectors = self._vectors([a.skills for a in asked.values()])
        texts = self._text_vectors(list(asked.values()))
        encoded = time.perf_counter()
        target = self._jobs if questions[0].job_id is None else self._users
        found = self._find(questions, asked, vectors, target)
        pending = count_unsplit(self._transaction, target)
        length_penalty = length_penalty_of(questions[0])
        told = {
            n: matches(
                one,
                vectors,
                text,
                found.rows[n],
                self._vocabulary,
                weights=found.weights[n],
                length_penalty=length_penalty,
            )
            for (n, one), text in zip(asked.items(), texts, strict=True)
        }
        scanned = time.perf_counter()
        timings = Timings((encoded - start) * 1000, (scanned - encoded) * 1000)
        if self._observer and questions[0].only is None:
            self._observer.batch_done(len(questions), self._volume, timings)
        return [
            outcome
            if isinstance(outcome, AppError)
            else SkillAnswer(
                told[n],
                found.total,
                timings,
                total_pending=pending,
                next_cursor=found.cursors.get(n),
            )
            if n in told
            else SkillAnswer((), 0, timings, note=no_skills(questions[n]))
            for n, outcome in enumerate(looked_up)
        ]

    def _look_up(
        self, questions: Sequence[SkillQuestion]
    ) -> list[Asked | AppError | None]:
        """What each asks for; None where a row has no skills."""
        side = self._users if questions[0].job_id is None else self._jobs
        keys = [self._key(question, side) for question in questions]
        wanted = list({key for key in keys if key is not None})
        rows = self._rows(side, wanted)
        return [
            asked_by(
                question,
                None if key is None else rows.get(key),
                version=self._encoder.version,
            )
            for question, key in zip(questions, keys, strict=True)
        ]

    def _key(self, question: SkillQuestion, side: Side) -> Id | None:
        given = question.user_id if question.job_id is None else question.job_id
        return None if given is None else side.id_column.parse(given)

    def _rows(self, side: Side, ids: Sequence[Id]) -> dict[Id, SkilledRow]:
        return skilled_rows(self._transaction, side, ids, version=self._encoder.version)

    def _vectors(
        self, skills: Sequence[Sequence[Skill]]
    ) -> dict[str, NDArray[np.float32]]:
        """(384,) float32 of each skill that somebody looks for."""
        keys = list(dict.fromkeys(skill.key for row in skills for skill in row))
        found = skill_vectors(
            self._transaction,
            keys,
            vocabulary=self._vocabulary,
            encoder=self._encoder,
        )
        return dict(zip(keys, found, strict=True))

    def _text_vectors(self, asked: Sequence[Asked]) -> list[NDArray[np.float32]]:
        """(384,) float32 of each whole text."""
        todo = [a.text for a in asked if a.embedding is None]
        encoded = iter(self._encoder.encode(todo) if todo else ())
        return [next(encoded) if a.embedding is None else a.embedding for a in asked]

    def _find(
        self,
        questions: Sequence[SkillQuestion],
        asked: dict[int, Asked],
        vectors: dict[str, NDArray[np.float32]],
        target: Side,
    ) -> Found:
        if questions[0].only is not None:
            return self._named(questions, asked, vectors, target)
        pages: dict[int, Page] = {}
        weights: dict[int, NDArray[np.float64]] = {}
        total = 0
        for group in rounds(asked):
            top = self._scan(group, asked, questions, vectors, target)
            weights |= zip(group, top.weights, strict=True)
            for rank, n in enumerate(group):
                pages[n] = page_of(
                    top.result(rank),
                    questions[n].top_n,
                    target.id_column,
                    asked[n].query_hash,
                    ranking_state=to_bytes(top.weights[rank]),
                )
            total = top.analyzed
        rows = self._rows(target, list({id_ for p in pages.values() for id_ in p.ids}))
        found = {n: [rows[id_] for id_ in page.ids] for n, page in pages.items()}
        cursors = {n: page.next_cursor for n, page in pages.items()}
        return Found(found, weights, total, cursors)

    def _named(
        self,
        questions: Sequence[SkillQuestion],
        asked: dict[int, Asked],
        vectors: dict[str, NDArray[np.float32]],
        target: Side,
    ) -> Found:
        """The rows that the questions name, with the weights that a ranking has."""
        ids = {n: list(questions[n].only or ()) for n in asked}
        rows = self._rows(target, list({id_ for some in ids.values() for id_ in some}))
        found = {
            n: [rows[id_] for id_ in some if id_ in rows] for n, some in ids.items()
        }
        weights: dict[int, NDArray[np.float64]] = {}
        for group in rounds(asked):
            wanted, columns = wanted_by(group, asked, vectors)
            own = cached_idf_weights(self._vocabulary, wanted, columns)
            weights |= zip(group, own, strict=True)
        return Found(found, weights)

    def _scan(
        self,
        group: Sequence[int],
        asked: dict[int, Asked],
        questions: Sequence[SkillQuestion],
        vectors: dict[str, NDArray[np.float32]],
        target: Side,
    ) -> SkillTopK:
        wanted, columns = wanted_by(group, asked, vectors)
        queries = SkillQueries(
            vectors=wanted,
            columns=columns,
            # One more than is shown tells whether there is a next page.
            sizes=[questions[n].top_n + 1 for n in group],
            bounds=[
                Bounds.of(questions[n].constraints, target.id_column) for n in group
            ],
            length_penalty=length_penalty_of(questions[group[0]]),
            weights=[asked[n].weights for n in group],
        )
        top = SkillTopK(self._vocabulary, queries)

        def consume(batch: SkillIdChunk) -> None:
            if self._scope.abandoned():
                raise AbandonedError
            top.update(batch)

        reader = skill_reader(target.id_column.kind, consume)
        read_copy(
            lambda sink: stream_skill_ids(
                self._transaction,
                sink,
                target,
                filters=questions[0].constraints.filters,
            ),
            reader,
            buffer_bytes=BUFFER_BYTES,
        )
        self._volume += Volume(top.analyzed, reader.bytes_read)
        return top
