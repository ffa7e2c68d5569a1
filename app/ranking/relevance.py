"""What a score is worth: strong, possible or weak, calibrated on labelled pairs.

docs/hybrid.md has the figures and the plot.
"""

from dataclasses import replace

from app.query.query import Query
from app.query.result import Hit, Result, Thresholds
from app.ranking.taste import grown

ONLY_WEAK = "These are weaker matches only: none of them is close to what was asked."
NO_OTHER_JOB = (
    "No other job fits: those that the user applied to or dismissed are left out."
)
NOTHING_IN_COMMON = "No job has any of these skills, or one like them."


def with_relevance(
    result: Result, query: Query, thresholds: Thresholds | None, *, rise: float = 0.0
) -> Result:
    """The result with the relevance of each hit, and a remark where none is close;
    unchanged without thresholds. Those of the result's model come first. `rise`: of the
    thresholds by the user's liked jobs, as of `RankingEntry`.
    """
    if thresholds is None:
        return result
    own = (result.thresholds or thresholds).times(1 + grown(rise, result.liked))
    hits = [
        hit
        if hit.match_score is None
        else replace(hit, relevance=own.relevance(_unboosted(hit.match_score, hit)))
        for hit in result.hits
    ]
    message = result.message
    if hits and all(hit.relevance == "weak" for hit in hits):
        message = message or ONLY_WEAK
    if not hits and result.analyzed and _is_open(query):
        message = message or NOTHING_IN_COMMON
    return replace(result, hits=hits, message=message)


def _unboosted(score: float, hit: Hit) -> float:
    """What the score was before freshness and boosts."""
    return score / hit.factor if hit.factor else score


def with_reason(result: Result, query: Query) -> Result:
    """The result, with a remark where only feedback left nothing of it."""
    if result.hits or result.message or not (result.left_out and _is_open(query)):
        return result
    return replace(result, message=NO_OTHER_JOB)


def _is_open(query: Query) -> bool:
    """Whether the query itself leaves out none of the rows that were compared."""
    constraints = query.constraints
    return (
        constraints.after is None
        and constraints.min_score is None
        and not constraints.exclude
    )
