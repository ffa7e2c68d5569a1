"""From a request for recommendations to questions, and from their answers to JSON."""

from collections.abc import Sequence

from app.api.matching import Passes, explained_job
from app.api.schemas import RankBy, RecommendBody, Recommended, RecommendResponse
from app.deadline import Deadline
from app.match.questions import SkillAnswer, SkillQuestion
from app.questions import Answer, Question, Timings
from app.storage.ids import Id


async def recommend_by(
    passes: Passes,
    asked: RecommendBody,
    deadline: Deadline,
    *,
    default: RankBy,
) -> tuple[RecommendResponse, Timings]:
    """The answer to a request, and where its time went; `default` is RANK_BY."""
    if (asked.rank_by or default) == "skills":
        by_skills = await passes.ask(_skill_question(asked), deadline)
        assert isinstance(by_skills, SkillAnswer)  # noqa: S101  (by the question)
        return _public_by_skills(by_skills), by_skills.timings
    question = Question(top_n=asked.top_n, user_id=asked.user_id, skills=asked.skills)
    answer = await passes.ask(question, deadline)
    assert isinstance(answer, Answer)  # noqa: S101  (by the question)
    public = _public(answer)
    if asked.explain and answer.recommendations:
        ids = tuple(job.job_id for job in answer.recommendations)
        reasons = await passes.ask(_skill_question(asked, only=ids), deadline)
        assert isinstance(reasons, SkillAnswer)  # noqa: S101  (by the question)
        public.recommendations = _explained(answer, reasons)
    return public, answer.timings


def _skill_question(
    asked: RecommendBody, only: Sequence[Id] | None = None
) -> SkillQuestion:
    return SkillQuestion(
        top_n=asked.top_n, user_id=asked.user_id, skills=asked.skills, only=only
    )


def _public(answer: Answer) -> RecommendResponse:
    return RecommendResponse(
        recommendations=[
            Recommended(
                job_id=job.job_id,
                similarity_score=job.similarity_score,
                skills=job.skills,
            )
            for job in answer.recommendations
        ],
        total_jobs_analyzed=answer.total_jobs_analyzed,
        total_jobs_pending=answer.total_jobs_pending,
        detail=answer.note,
    )


def _public_by_skills(answer: SkillAnswer) -> RecommendResponse:
    return RecommendResponse(
        recommendations=[explained_job(match) for match in answer.matches],
        total_jobs_analyzed=answer.total_analyzed,
        total_jobs_pending=answer.total_pending,
        detail=answer.note,
    )


def _explained(answer: Answer, reasons: SkillAnswer) -> list[Recommended]:
    """The jobs of the ranking, its scores untouched, with their reasons; a job that
    was deleted since has none.
    """
    found = {match.id: match for match in reasons.matches}
    return [
        explained_job(found[job.job_id], job.similarity_score)
        if job.job_id in found
        else Recommended(
            job_id=job.job_id,
            similarity_score=job.similarity_score,
            skills=job.skills,
        )
        for job in answer.recommendations
    ]
