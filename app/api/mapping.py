"""From requests for recommendations to questions, and from their answers to JSON."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.api.requests import (
    BatchBody,
    Choice,
    RankBy,
    RecommendBody,
)
from app.api.responses import (
    Candidate,
    ExplainedJob,
    MatchedSkill,
    Recommended,
    RecommendResponse,
)
from app.deadline import Deadline
from app.errors import AppError
from app.query import cursor
from app.query.constraints import Condition, Constraints
from app.query.filters import read_filters
from app.query.query import Question, SkillQuestion
from app.query.result import Answer, Explanation, Match, Pair, SkillAnswer, Timings
from app.ranking.dispatch import Passes

log = logging.getLogger("app.request")

Outcome = RecommendResponse | AppError


@dataclass(frozen=True)
class Recommending:
    """Asks the passes. `rank_by` and `columns` are RANK_BY and JOB_COLUMNS."""

    passes: Passes
    rank_by: RankBy
    columns: Sequence[str]

    async def one(
        self, asked: RecommendBody, deadline: Deadline
    ) -> tuple[RecommendResponse, Timings]:
        """The answer to a request, and where its time went."""
        position = None if asked.cursor is None else cursor.from_text(asked.cursor)
        constraints = Constraints(
            filters=self._filters(asked),
            exclude=frozenset(asked.exclude_job_ids),
            min_score=asked.min_score,
            after=position,
        )
        question = Question(
            asked.top_n, asked.user_id, asked.skills, constraints, asked.exact
        )
        (outcome,), timings = await self._ask([question], asked, deadline)
        if isinstance(outcome, AppError):
            raise outcome
        return outcome, timings

    async def many(
        self, asked: BatchBody, deadline: Deadline
    ) -> tuple[Sequence[Outcome], Timings]:
        """An answer, or the error that is its own, for each user, in one pass."""
        constraints = Constraints(
            filters=self._filters(asked), min_score=asked.min_score
        )
        questions = [
            Question(asked.top_n, user_id, constraints=constraints, exact=asked.exact)
            for user_id in asked.user_ids
        ]
        return await self._ask(questions, asked, deadline)

    def _filters(self, asked: Choice) -> tuple[Condition, ...]:
        return read_filters(asked.filters or {}, offered=self.columns)

    async def _ask(
        self, questions: Sequence[Question], asked: Choice, deadline: Deadline
    ) -> tuple[Sequence[Outcome], Timings]:
        by_skills = (asked.rank_by or self.rank_by) == "skills"
        found = await self.passes.ask_all(
            [_skill_question(q) for q in questions] if by_skills else questions,
            deadline,
        )
        reasons: Mapping[int, SkillAnswer] = {}
        remark = None
        if asked.explain and not by_skills:
            try:
                reasons = await self._reasons(questions, found, deadline)
            except AppError as error:
                # The ranking is whole without them.
                log.warning("answered without reasons: %s", error)
                remark = f"The reasons could not be given. {error}"
        outcomes = [
            each
            if isinstance(each, AppError)
            else _public(each, reasons.get(n), remark)
            for n, each in enumerate(found)
        ]
        timings = [each.timings for each in found if not isinstance(each, AppError)]
        return outcomes, timings[0] if timings else Timings(0.0, 0.0)

    async def _reasons(
        self,
        questions: Sequence[Question],
        found: Sequence[object],
        deadline: Deadline,
    ) -> dict[int, SkillAnswer]:
        """Those of the jobs that a ranking by similarity found."""
        explained = {
            n: tuple(job.job_id for job in answer.recommendations)
            for n, answer in enumerate(found)
            if isinstance(answer, Answer) and answer.recommendations
        }
        if not explained:
            return {}
        outcomes = await self.passes.ask_all(
            [
                SkillQuestion(q.top_n, q.user_id, q.skills, only=ids)
                for q, ids in ((questions[n], ids) for n, ids in explained.items())
            ],
            deadline,
        )
        return {
            n: outcome
            for n, outcome in zip(explained, outcomes, strict=True)
            if isinstance(outcome, SkillAnswer)
        }


def _skill_question(question: Question) -> SkillQuestion:
    return SkillQuestion(
        question.top_n,
        question.user_id,
        question.skills,
        constraints=question.constraints,
    )


def _public(
    answer: object, reasons: SkillAnswer | None, remark: str | None
) -> RecommendResponse:
    if isinstance(answer, SkillAnswer):
        return RecommendResponse(
            recommendations=[explained_job(match) for match in answer.matches],
            total_jobs_analyzed=answer.total_analyzed,
            total_jobs_pending=answer.total_pending,
            detail=answer.note,
            next_cursor=answer.next_cursor,
        )
    assert isinstance(answer, Answer)  # noqa: S101  (by the question)
    return RecommendResponse(
        recommendations=_recommended(answer, reasons),
        total_jobs_analyzed=answer.total_jobs_analyzed,
        total_jobs_pending=answer.total_jobs_pending,
        detail=answer.note or remark,
        next_cursor=answer.next_cursor,
    )


def _recommended(answer: Answer, reasons: SkillAnswer | None) -> list[Recommended]:
    """The jobs of the ranking, its scores untouched, with their reasons; a job that
    was deleted since has none.
    """
    found = {match.id: match for match in reasons.matches} if reasons else {}
    return [
        explained_job(found[job.job_id], job.similarity_score)
        if job.job_id in found
        else Recommended(
            job_id=job.job_id,
            similarity_score=job.similarity_score,
            skills=job.skills,
            columns=job.columns,
        )
        for job in answer.recommendations
    ]


def explained_job(match: Match, score: float | None = None) -> ExplainedJob:
    """The public form of a job with its reasons; `score` where it was ranked by it."""
    return ExplainedJob(
        job_id=match.id,
        similarity_score=match.similarity_score if score is None else score,
        skills=match.text,
        columns=match.columns,
        **_reasons(match.explanation),
    )


def candidate(match: Match) -> Candidate:
    return Candidate(
        user_id=match.id,
        similarity_score=match.similarity_score,
        skills=match.text,
        **_reasons(match.explanation),
    )


def _reasons(why: Explanation | None) -> dict[str, object]:
    if why is None:
        return {}
    return {
        "match_score": why.score,
        "coverage": why.coverage,
        "matched": [_pair(pair) for pair in why.matched],
        "close": [_pair(pair) for pair in why.close],
        "missing": list(why.missing),
    }


def _pair(pair: Pair) -> MatchedSkill:
    return MatchedSkill(
        skill=pair.skill, job_skill=pair.other, similarity=pair.similarity
    )


def server_timing(timings: Timings, start: float) -> str:
    """The value of the header Server-Timing."""
    total_ms = (time.perf_counter() - start) * 1000
    return (
        f"encode;dur={timings.encode_ms:.1f}, scan;dur={timings.scan_ms:.1f},"
        f" total;dur={total_ms:.1f}"
    )
