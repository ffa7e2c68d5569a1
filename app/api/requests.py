"""What comes in as JSON."""

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
from app.query.numbers import EXACT_IN_A_FLOAT
from app.ranking.registry import RANKINGS

DEFAULT_TOP_N = 10
MAX_EXCLUDED = 1000
MOST_USERS = 64


def _whole(value: object) -> object:
    """JSON has one kind of number: 41.0 is the integer 41 (JSON Schema, 6.1.1)."""
    if isinstance(value, float) and abs(value) <= EXACT_IN_A_FLOAT:
        return int(value) if value.is_integer() else value
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
# The bounds come first, or the document does not show them. FastAPI makes them floats
# there, which hold 2**63 but not the integer before it.
Integer64 = Annotated[int, Field(ge=-(2**63), lt=2**63), BeforeValidator(_whole)]
# How long a text may be, the body's limit says for all of them: see docs/limits.md.
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
RANKINGS_TOLD = " ".join(
    f"`{entry.name}`: {entry.summary}." for entry in RANKINGS.values()
)
Ids = Annotated[list[Integer64 | TextId], Field(max_length=MAX_EXCLUDED)]


def _exactly_one(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": ["user_id"]}, {"required": ["skills"]}]
    for name in ("user_id", "skills"):
        # The default only says "not sent"; null itself is refused.
        field = schema["properties"][name]
        field.pop("default", None)
        kept = [kind for kind in field.pop("anyOf") if kind != {"type": "null"}]
        field |= kept[0] if len(kept) == 1 else {"anyOf": kept}


class Choice(BaseModel):
    """How many jobs, ranked how, and which."""

    model_config = ConfigDict(extra="forbid", strict=True)

    top_n: Whole = Field(DEFAULT_TOP_N, ge=1, description="How many jobs to return.")
    rank_by: RankBy | None = Field(
        None,
        description=f"{RANKINGS_TOLD} The default is the service's RANK_BY.",
    )
    exact: bool = Field(
        False,
        description="Compare all jobs, also where SEARCH_BACKEND=pgvector would let an"
        " index choose; ranking by skills always does.",
    )
    explain: bool = Field(
        False, description="Give the reasons with a ranking by similarity as well."
    )
    filters: dict[str, Any] | None = Field(
        None,
        description="By column: a value, a list of values of which one must be there,"
        ' or bounds such as `{"gte": 1, "lt": 2}`. null is a value that is absent.'
        " `GET /api/columns` tells the columns.",
    )
    min_score: float | None = Field(
        None,
        allow_inf_nan=False,
        description="The least similarity_score, or match_score where that ranks.",
    )


class RecommendRequest(Choice):
    """Either a user in the database or a skills text, and how many jobs to return.

    41.0 is the integer 41, and "41" finds it too; 41.5 is refused.
    """

    model_config = ConfigDict(json_schema_extra=_exactly_one)

    user_id: Integer64 | TextId | None = Field(
        None, description="The user's id in the table `users`.", examples=[42]
    )
    skills: str | None = Field(
        None,
        min_length=1,
        pattern=r"\S",
        description="A skills text, for someone who has no row in `users`. The body's"
        " 64 KB bound it: 5,000 characters fit, in any script and form of JSON.",
        examples=["python, sql, data analysis"],
    )
    exclude_job_ids: Ids = Field(
        [],
        description="Jobs to leave out; an id that no job has leaves out nothing. As"
        " many UUIDs fit into the body's 64 KB, and texts of 60 letters.",
    )
    cursor: str | None = Field(
        None,
        max_length=MAX_LENGTH,
        description="`next_cursor` of an answer to the same question: goes on there.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        given = self.model_fields_set & {"user_id", "skills"}
        if len(given) != 1 or getattr(self, next(iter(given))) is None:
            raise ValueError("exactly one of user_id and skills must be given")
        return self


class BatchRequest(Choice):
    """Several users in the database, and how many jobs to return for each."""

    user_ids: list[Integer64 | TextId] = Field(min_length=1, examples=[[1, 2, 3]])


class CandidatesRequest(BaseModel):
    """Which users fit a job."""

    model_config = ConfigDict(extra="forbid", strict=True)

    job_id: Integer64 | TextId
    top_n: Whole = Field(DEFAULT_TOP_N, ge=1)
    rank_by: RankBy = "skills"
