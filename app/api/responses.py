"""What goes out as JSON."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializeAsAny,
)

from app.query.numbers import exact

PublicId = Annotated[
    int | str,
    PlainSerializer(exact, return_type=int | str, when_used="json"),
    Field(description="An integer of 2**53 or more is a string, also if negative."),
]


class Recommended(BaseModel):
    """One job of an answer."""

    job_id: PublicId
    similarity_score: float = Field(
        description="Cosine similarity of the texts, -1 to 1, to six decimals."
    )
    skills: str | None
    columns: dict[str, Any] | None = Field(
        None,
        exclude_if=lambda columns: columns is None,
        description="The columns of JOB_COLUMNS, where that is set.",
    )


class RecommendResponse(BaseModel):
    """The best jobs, highest similarity first, equal ones by job_id."""

    success: bool = True
    recommendations: list[SerializeAsAny[Recommended]]
    total_jobs_analyzed: int = Field(
        description="Jobs that were compared: those that match the filters and have a"
        " sound embedding of the current model."
    )
    total_jobs_pending: int = Field(
        description="Jobs with a text that were not compared, because their embedding"
        " is still to be made. Counted at most every few seconds."
    )
    detail: str | None = Field(
        None, description="A remark, for example that the user has no skills yet."
    )
    next_cursor: str | None = Field(
        None, description="Goes on after these jobs; null where there are no more."
    )


class ErrorResponse(BaseModel):
    """Every error looks like this."""

    success: bool = False
    detail: str = Field(description="One sentence that says what to do.")


class JobCounts(BaseModel):
    """Jobs by state; each is in exactly one."""

    model_config = ConfigDict(from_attributes=True)

    embedded: int
    pending: int
    stale: int
    malformed: int
    quarantined: int
    blank: int


class ReadyResponse(BaseModel):
    """The service can answer."""

    model_config = ConfigDict(from_attributes=True)

    success: bool = True
    jobs: JobCounts | None = Field(description="As last counted; null before that.")
    users: int | None
    counted_s_ago: float | None
    model: str
    model_loaded: bool


class AliveResponse(BaseModel):
    """The process is alive."""

    success: bool = True


class MatchedSkill(BaseModel):
    """A skill of the user, and the most similar skill of the job."""

    skill: str
    job_skill: str
    similarity: float


class Explained(BaseModel):
    """Why something fits. Null where the skills of the row are still to be split."""

    model_config = ConfigDict(defer_build=True)

    match_score: float | None = Field(
        None,
        description="The weighted share of the skills asked for that are there, 0 to"
        " 1: a skill counts for more, the fewer jobs list it or one like it; what is"
        " nearly there counts in part, and a job that lists many more costs some.",
    )
    coverage: float | None = Field(
        None, description="The share of the other side's skills that are covered."
    )
    matched: list[MatchedSkill] | None = None
    close: list[MatchedSkill] | None = None
    missing: list[str] | None = None


class ExplainedJob(Explained, Recommended):
    """A recommended job with the reasons."""

    similarity_score: float | None = Field(  # type: ignore[assignment]  # null as well
        description="Cosine similarity of the texts; null while it is pending."
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
