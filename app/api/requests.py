"""Request bodies."""

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from app.query.cursor import MAX_LENGTH
from app.query.feedback import EventName
from app.query.numbers import EXACT_IN_A_FLOAT
from app.ranking.registry import RANKINGS

DEFAULT_TOP_N = 10
MAX_EXCLUDED = 1000
MAX_USERS = 64
MAX_EVENTS_PER_REQUEST = 500


def _whole(value: object) -> object:
    """JSON has one kind of number: 41.0 is the integer 41 (JSON Schema, 6.1.1)."""
    if isinstance(value, float) and abs(value) <= EXACT_IN_A_FLOAT:
        return int(value) if value.is_integer() else value
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
# `Field` must come first, or OpenAPI omits the bounds. FastAPI writes them as floats,
# which can represent 2**63 but not 2**63 - 1: hence `lt`.
Integer64 = Annotated[int, Field(ge=-(2**63), lt=2**63), BeforeValidator(_whole)]
Limit = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_whole)]
# Texts have no limit of their own, only that of the body: see docs/limits.md.
TextId = Annotated[str, Field(min_length=1)]


def _known_ranking(name: str) -> str:
    if name not in RANKINGS:
        raise ValueError(f"should be one of {', '.join(RANKINGS)}")
    return name


RankBy = Annotated[
    str,
    AfterValidator(_known_ranking),
    Field(json_schema_extra={"enum": list(RANKINGS)}),
]
RANKING_SUMMARIES = " ".join(
    f"`{entry.name}`: {entry.summary}." for entry in RANKINGS.values()
)
DISTINCT = [f"`{entry.name}`" for entry in RANKINGS.values() if entry.is_distinct]
Ids = Annotated[list[Integer64 | TextId], Field(max_length=MAX_EXCLUDED)]


def _exactly_one(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": ["user_id"]}, {"required": ["skills"]}]
    for name in ("user_id", "skills"):
        # The default None means "not sent"; an explicit null is refused.
        field = schema["properties"][name]
        field.pop("default", None)
        kept = [kind for kind in field.pop("anyOf") if kind != {"type": "null"}]
        field |= kept[0] if len(kept) == 1 else {"anyOf": kept}


class Freshness(BaseModel):
    """How fast the scores of old jobs fall."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    column: str = Field(description="A column of dates.", examples=["posted"])
    half_life_days: float = Field(
        30.0,
        ge=0.1,
        le=36_500,
        description="The age at which a score is halved; a tenth always stays.",
    )


class RankingOptions(BaseModel):
    """The number of jobs, their ranking and filters."""

    model_config = ConfigDict(extra="forbid", strict=True)

    top_n: Whole = Field(DEFAULT_TOP_N, ge=1, description="How many jobs to return.")
    rank_by: RankBy | None = Field(
        None,
        description=f"{RANKING_SUMMARIES} The default is the service's RANK_BY.",
    )
    exact: bool = Field(
        False,
        description="Compare all jobs, even if SEARCH_BACKEND=pgvector could use an"
        " approximate index. Ranking by skills is always exact.",
    )
    explain: bool = Field(
        False, description="Explain each job, also with a ranking by similarity."
    )
    distinct: bool | None = Field(
        None,
        description="Let near-repeats, jobs that list almost the same skills, take one"
        " place, with the others' ids in `repeats`; for rankings by skills. The"
        f" default is true with {', '.join(DISTINCT)}, else false.",
    )
    filters: dict[str, Any] | None = Field(
        None,
        description="By column: a value, a list of allowed values, or bounds such as"
        ' `{"gte": 1, "lt": 2}`. null matches a missing value. `GET /api/columns` lists'
        " the columns.",
    )
    min_score: float | None = Field(
        None,
        allow_inf_nan=False,
        description="The minimum score: of match_score if the ranking orders by it,"
        " else of similarity_score.",
    )
    freshness: Freshness | None = Field(
        None,
        description="Lower the scores of old jobs. The default is the service's"
        " FRESHNESS_COLUMN and HALF_LIFE_DAYS; null: none.",
    )
    boost: str | None = Field(
        None,
        description="A column of numbers, 0.1 to 10, that scores are multiplied by. The"
        " default is the service's BOOST_COLUMN; null: none.",
    )
    expires: str | None = Field(
        None,
        description="A column of dates: jobs whose date has passed are left out. The"
        " default is the service's EXPIRY_COLUMN; null: none.",
    )
    max_per: dict[str, Limit] | None = Field(
        None,
        max_length=8,
        description="By column: how many jobs may have the same value in it, on all"
        " pages together. The default is the service's MAX_PER; null: any number.",
        examples=[{"company": 2}],
    )
    diversity: float | None = Field(
        None,
        ge=0,
        le=1,
        description="How much a job's difference from those before it counts: 0 orders"
        " by score, 1 by difference alone (Maximal Marginal Relevance). The default is"
        " the service's DIVERSITY. With it top_n is at most 100.",
    )


class RecommendRequest(RankingOptions):
    """Either a user in the database or a skills text.

    An id of 41.0 is the integer 41, and "41" matches it too; 41.5 is refused.
    """

    model_config = ConfigDict(json_schema_extra=_exactly_one)

    user_id: Integer64 | TextId | None = Field(
        None, description="The user's id in the table of users.", examples=[42]
    )
    skills: str | None = Field(
        None,
        min_length=1,
        pattern=r"\S",
        description="A skills text, for a person without a row in the table of users."
        " The body's limit of 64 KB applies: 5,000 characters always fit.",
        examples=["python, sql, data analysis"],
    )
    exclude_job_ids: Ids = Field(
        [],
        description="Jobs to leave out. Unknown ids are ignored. The body's limit of"
        " 64 KB allows 1,000 UUIDs, or 1,000 texts of 60 letters.",
    )
    cursor: str | None = Field(
        None,
        max_length=MAX_LENGTH,
        description="The `next_cursor` of a response to the same request: returns the"
        " next page.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        given = self.model_fields_set & {"user_id", "skills"}
        if len(given) != 1 or getattr(self, next(iter(given))) is None:
            raise ValueError("exactly one of user_id and skills must be given")
        return self


class BatchRequest(RankingOptions):
    """Several users in the database."""

    user_ids: list[Integer64 | TextId] = Field(min_length=1, examples=[[1, 2, 3]])


class CandidatesRequest(BaseModel):
    """A job for which to rank users."""

    model_config = ConfigDict(extra="forbid", strict=True)

    job_id: Integer64 | TextId
    top_n: Whole = Field(DEFAULT_TOP_N, ge=1)
    rank_by: RankBy = "skills"


class FeedbackRequest(BaseModel):
    """What a user did with a job. Repeating a request changes nothing."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    user_id: Integer64 | TextId = Field(examples=[42])
    job_id: Integer64 | TextId = Field(examples=[7])
    event: EventName = Field(
        description="A job that was `applied` for or `dismissed` is not recommended to"
        " this user again. `applied` and `saved` raise similar jobs, `dismissed` lowers"
        " them, `opened` is stored.",
        examples=["dismissed"],
    )
    undo: bool = Field(False, description="Take the event back.")


class FeedbackBatchRequest(BaseModel):
    """Several events. Of those with the same ids and event the last one counts."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    events: list[FeedbackRequest] = Field(
        min_length=1, max_length=MAX_EVENTS_PER_REQUEST
    )
