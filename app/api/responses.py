"""Response bodies."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializeAsAny,
)

from app.query.numbers import exact
from app.query.result import Relevance

PublicId = Annotated[
    int | str,
    PlainSerializer(exact, return_type=int | str, when_used="json"),
    Field(description="An integer of 2**53 or more is a string, also if negative."),
]


class Recommended(BaseModel):
    """One recommended job."""

    job_id: PublicId
    similarity_score: float | None = Field(
        description="Cosine similarity of the texts, -1 to 1, to six decimals; null"
        " while the job is pending, and for a user without a text."
    )
    skills: str | None
    columns: dict[str, Any] | None = Field(
        None,
        exclude_if=lambda columns: columns is None,
        description="The values of the columns in JOB_COLUMNS, if that is set.",
    )
    because: PublicId | None = Field(
        None,
        exclude_if=lambda because: because is None,
        description="The job_id of the most similar job that the user saved or applied"
        " to, if this feedback raised the job's similarity_score.",
    )
    factor: float | None = Field(
        None,
        exclude_if=lambda factor: factor is None,
        description="What freshness and boost multiplied the score by, which orders the"
        " jobs: match_score if the ranking has one, else similarity_score.",
    )


class RecommendResponse(BaseModel):
    """The best jobs, highest score first, ties by job_id."""

    success: bool = True
    recommendations: list[SerializeAsAny[Recommended]]
    total_jobs_analyzed: int = Field(
        description="Compared jobs: those that match the filters and have a valid"
        " embedding of the current model."
    )
    total_jobs_pending: int = Field(
        description="Jobs with a text that were not compared, because they have no"
        " embedding yet. The count may be some seconds old."
    )
    detail: str | None = Field(
        None, description="A message, for example that the user has no skills yet."
    )
    next_cursor: str | None = Field(
        None,
        description="The cursor of the next page; null on the last page. Pages for a"
        " user end after 200 jobs while INTERLEAVE compares two settings; `detail` says"
        " so.",
    )


class ErrorResponse(BaseModel):
    """The body of every error, a problem of RFC 9457."""

    success: Literal[False]
    detail: str = Field(description="One sentence that says what to do.")
    status: int = Field(description="The HTTP status.")
    title: str = Field(description="What the HTTP status means.")
    type: Literal["about:blank"]


class JobCounts(BaseModel):
    """The number of jobs in each state; a job is in exactly one."""

    model_config = ConfigDict(from_attributes=True)

    embedded: int
    pending: int
    stale: int
    malformed: int
    quarantined: int
    blank: int


class ReadyResponse(BaseModel):
    """The service is ready to answer requests."""

    model_config = ConfigDict(from_attributes=True)

    success: bool = True
    jobs: JobCounts | None = Field(description="The last counts; null before them.")
    users: int | None
    counted_s_ago: float | None
    model: str
    model_loaded: bool


class AliveResponse(BaseModel):
    """The process is alive."""

    success: bool = True


class MatchedSkill(BaseModel):
    """A skill of the user and the most similar skill of the job."""

    skill: str
    job_skill: str
    similarity: float


class Explained(BaseModel):
    """Why a row fits. The fields are null while its skills are pending."""

    model_config = ConfigDict(defer_build=True)

    match_score: float | None = Field(
        None,
        description="The weighted share of the requested skills that the row has, 0 to"
        " 1. Rare skills have more weight, close skills count in part, and a long list"
        " of other skills lowers the score.",
    )
    coverage: float | None = Field(
        None, description="The share of the row's skills that the request has."
    )
    matched: list[MatchedSkill] | None = None
    close: list[MatchedSkill] | None = None
    missing: list[str] | None = None


class ScoreParts(BaseModel):
    """What each part of the hybrid ranking contributes to match_score, their sum."""

    text: float = Field(description="By the cosine of the whole texts.")
    skills: float = Field(description="By similar skills.")
    words: float = Field(description="By common words.")


class ExplainedJob(Explained, Recommended):
    """A recommended job with its explanation."""

    relevance: Relevance | None = Field(
        None,
        exclude_if=lambda relevance: relevance is None,
        description="What the match_score is worth, by labelled questions: of strong"
        " hits at least two of three are right, of possible ones about every other, of"
        " weak ones few. What a user saved or applied to raises scores: then more of"
        " match_score is needed for each.",
    )
    parts: ScoreParts | None = Field(
        None,
        exclude_if=lambda parts: parts is None,
        description="With hybrid: what the match_score consists of.",
    )
    repeats: list[PublicId] | None = Field(
        None,
        exclude_if=lambda repeats: repeats is None,
        description="With distinct: jobs that list almost the same skills and come"
        " after this one, best first, as far as they were met.",
    )


class Candidate(Explained):
    """A user who fits a job."""

    user_id: PublicId
    similarity_score: float | None
    skills: str | None


class SimilarResponse(BaseModel):
    """The most similar jobs first."""

    success: bool = True
    similar: list[Recommended]
    total_jobs_analyzed: int
    detail: str | None = None


class CandidatesResponse(BaseModel):
    """The best users first."""

    success: bool = True
    candidates: list[Candidate]
    total_users_analyzed: int
    detail: str | None = None
