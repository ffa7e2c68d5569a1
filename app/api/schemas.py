"""What comes in and goes out as JSON."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    model_validator,
)

MAX_ID_LENGTH = 200
MAX_SKILLS_LENGTH = 50_000
DEFAULT_TOP_N = 10

# Beyond this a float no longer tells neighbouring integers apart.
EXACT_IN_A_FLOAT = 2**53


def _whole(value: object) -> object:
    """JSON has one kind of number: 41.0 is the integer 41 (JSON Schema, 6.1.1)."""
    if isinstance(value, float) and abs(value) <= EXACT_IN_A_FLOAT:
        return int(value) if value.is_integer() else value
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Integer64 = Annotated[Whole, Field(ge=-(2**63), le=2**63 - 1)]
TextId = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]
PublicId = int | str
RankBy = Literal["similarity", "skills"]


def _exactly_one(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": ["user_id"]}, {"required": ["skills"]}]
    for name in ("user_id", "skills"):
        # The default only says "not sent"; null itself is refused.
        field = schema["properties"][name]
        field.pop("default", None)
        kept = [kind for kind in field.pop("anyOf") if kind != {"type": "null"}]
        field |= kept[0] if len(kept) == 1 else {"anyOf": kept}


class RecommendBody(BaseModel):
    """Either a user in the database or a skills text, and how many jobs to return.

    41.0 is the integer 41, and "41" finds it too; 41.5 is refused.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra=_exactly_one
    )

    user_id: Integer64 | TextId | None = Field(
        None, description="The user's id in the table `users`.", examples=[42]
    )
    skills: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_SKILLS_LENGTH,
        pattern=r"\S",
        description="A skills text, for someone who has no row in `users`.",
        examples=["python, sql, data analysis"],
    )
    top_n: Whole = Field(DEFAULT_TOP_N, ge=1, description="How many jobs to return.")
    rank_by: RankBy | None = Field(
        None,
        description="`similarity`: the cosine of the whole texts. `skills`: skill by"
        " skill, with the reasons. The default is the service's RANK_BY.",
    )
    explain: bool = Field(
        False, description="Give the reasons with a ranking by similarity as well."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        given = self.model_fields_set & {"user_id", "skills"}
        if len(given) != 1 or getattr(self, next(iter(given))) is None:
            raise ValueError("exactly one of user_id and skills must be given")
        return self


def recommend_request(max_top_n: int) -> type[RecommendBody]:
    """The request with the configured upper bound of `top_n` in its schema."""

    class RecommendRequest(RecommendBody):
        top_n: Whole = Field(
            min(DEFAULT_TOP_N, max_top_n),
            ge=1,
            le=max_top_n,
            description="How many jobs to return.",
        )

    RecommendRequest.__doc__ = RecommendBody.__doc__
    return RecommendRequest


class Recommended(BaseModel):
    """One job of an answer."""

    job_id: PublicId
    similarity_score: float = Field(
        description="Cosine similarity of the texts, -1 to 1, to six decimals."
    )
    skills: str | None


class RecommendResponse(BaseModel):
    """The best jobs, highest similarity first, equal ones by job_id."""

    success: bool = True
    recommendations: list[SerializeAsAny[Recommended]]
    total_jobs_analyzed: int = Field(
        description="Jobs that were compared: those with a sound embedding of the"
        " current model."
    )
    total_jobs_pending: int = Field(
        description="Jobs with a text that were not compared, because their embedding"
        " is still to be made. Counted at most every few seconds."
    )
    detail: str | None = Field(
        None, description="A remark, for example that the user has no skills yet."
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
    jobs: JobCounts
    users: int
    model: str
    model_loaded: bool


class AliveResponse(BaseModel):
    """The process is alive."""

    success: bool = True
