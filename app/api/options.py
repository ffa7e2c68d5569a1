"""The options of requests, with the settings as defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.api.requests import DEFAULT_TOP_N, CandidatesRequest, RankingOptions
from app.errors import InvalidInputError
from app.query.boosts import NO_BOOSTS, Boosts, current_hour
from app.query.constraints import Condition, CursorPosition, Unexpired
from app.query.filters import read_filters
from app.query.query import BatchKey
from app.query.variety import MAX_DIVERSE, NO_VARIETY, Variety
from app.ranking.registry import RANKINGS


@dataclass(frozen=True)
class Defaults:
    """Defaults and upper limits of requests, from the settings."""

    rank_by: str
    columns: Sequence[str]
    max_top_n: int
    max_users: int
    boosts: Boosts = NO_BOOSTS
    expires: str | None = None
    variety: Variety = NO_VARIETY

    @property
    def top_n(self) -> int:
        return min(DEFAULT_TOP_N, self.max_top_n)


def batch_key(
    body: RankingOptions, defaults: Defaults, after: CursorPosition | None = None
) -> BatchKey:
    """What the queries of a request have in common. `after`: of its cursor."""
    is_given = "expires" in body.model_fields_set
    expires = body.expires if is_given else defaults.expires
    filters = read_filters(body.filters or {}, columns=defaults.columns)
    return BatchKey(
        body.rank_by or defaults.rank_by,
        filters=(*filters, *unexpired(expires, defaults)),
        exact=body.exact,
        # The ages of a later page are those of the first one.
        boosts=_boosts(body, defaults).at(after.hour if after else current_hour()),
    )


def _boosts(body: RankingOptions, defaults: Defaults) -> Boosts:
    boosts, given = defaults.boosts, body.model_fields_set
    if "freshness" in given and body.freshness is None:
        boosts = replace(boosts, freshness=None)
    elif body.freshness is not None:
        boosts = replace(
            boosts,
            freshness=body.freshness.column,
            half_life_days=body.freshness.half_life_days,
        )
    return replace(boosts, boost=body.boost) if "boost" in given else boosts


def unexpired(column: str | None, defaults: Defaults) -> tuple[Condition, ...]:
    """The condition that the date in this column has not passed, if there is one."""
    if column is None:
        return ()
    if column not in defaults.columns:
        raise InvalidInputError(
            "The request is not valid: expires names a column that JOB_COLUMNS does not"
            " name."
        )
    return (Unexpired(column),)


def is_distinct(body: RankingOptions, key: BatchKey) -> bool:
    """Whether near-repeats take one place.

    Raises InvalidInputError where they cannot.
    """
    entry = RANKINGS[key.ranking]
    if body.distinct is None:
        return entry.is_distinct
    if body.distinct and not entry.explains:
        able = ", ".join(e.name for e in RANKINGS.values() if e.explains)
        raise InvalidInputError(
            f"The request is not valid: distinct needs a rank_by among {able}."
        )
    return body.distinct


def top_k_of(body: RankingOptions | CandidatesRequest, defaults: Defaults) -> int:
    """The number of rows. Raises InvalidInputError above the maximum."""
    if "top_n" not in body.model_fields_set:
        return defaults.top_n
    if body.top_n > defaults.max_top_n:
        raise InvalidInputError(
            "The request is not valid: top_n should be less than or equal to"
            f" {defaults.max_top_n}."
        )
    return body.top_n


def variety_of(body: RankingOptions, defaults: Defaults) -> Variety:
    """How different the jobs should be.

    Raises InvalidInputError for an unknown column, and for too many jobs.
    """
    variety, given = defaults.variety, body.model_fields_set
    if "max_per" in given:
        variety = replace(variety, max_per=_max_per(body.max_per or {}, defaults))
    if "diversity" in given:
        variety = replace(variety, diversity=body.diversity or 0.0)
    if variety.diversity and top_k_of(body, defaults) > MAX_DIVERSE:
        raise InvalidInputError(
            "The request is not valid: with a diversity top_n should be less than or"
            f" equal to {MAX_DIVERSE}."
        )
    return variety


def _max_per(
    limits: Mapping[str, int], defaults: Defaults
) -> tuple[tuple[str, int], ...]:
    if not limits.keys() <= set(defaults.columns):
        raise InvalidInputError(
            "The request is not valid: max_per names a column that JOB_COLUMNS does not"
            " name."
        )
    return tuple(sorted(limits.items()))
