"""`GET /api/feedback/report`: what users did with the jobs that they were shown."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from app.api.openapi import errors
from app.api.strict_route import api_router
from app.ops.online import Share, sign_test
from app.ops.readiness import SingleFlight
from app.query.exposure import OnlineReport, Preferences

# The page polls it, and a report reads many rows.
REPORT_AGE_S = 60.0

COUNT_SCHEMA = {"type": "integer", "minimum": 0}
SHARE_SCHEMA = {"type": "number", "minimum": 0, "maximum": 1}
REACTIONS = ("shown", "opened", "saved", "applied", "dismissed")
# Those of an answer with a preference.
TESTED = ("share_b", "low", "high", "p_value")


def _schema(required: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **others},
    }


COMPARISON_SCHEMA = _schema(
    {
        "compared": {
            "type": "string",
            "description": "An option and its values: that of A and that of B.",
            "examples": ["rank_by=hybrid|similarity"],
        },
        **dict.fromkeys(("answers", "users", "prefer_a", "prefer_b"), COUNT_SCHEMA),
    },
    **dict.fromkeys(TESTED, SHARE_SCHEMA),
)
REPORT_SCHEMA = _schema(
    {
        "success": {"const": True},
        "exposure_days": {
            **COUNT_SCHEMA,
            "description": "EXPOSURE_DAYS; 0: none are stored.",
        },
        "answers": COUNT_SCHEMA,
        "users": COUNT_SCHEMA,
        "since": {
            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]
        },
        "every": _schema(dict.fromkeys(REACTIONS, COUNT_SCHEMA)),
        "first_ten": _schema(dict.fromkeys(REACTIONS, COUNT_SCHEMA)),
        "comparisons": {"type": "array", "items": COMPARISON_SCHEMA},
    }
)
REPORT_ANSWER = {
    "description": "Pairs of a user and a job that was shown, and to how many of them"
    " the user reacted afterwards; and which of two settings more users prefer.",
    "content": {"application/json": {"schema": REPORT_SCHEMA}},
}


def build_online_router(
    report: SingleFlight[OnlineReport], *, exposure_days: int, needs_key: bool
) -> APIRouter:
    """The route of the report."""
    router = api_router("feedback", needs_key=needs_key)

    @router.get(
        "/api/feedback/report",
        response_class=JSONResponse,
        responses={**errors(401, 429, 503), 200: REPORT_ANSWER},
    )
    async def report_feedback() -> JSONResponse:
        """What users did with the jobs of the newest answers, at most a minute ago."""
        found = await report(at_most_age_s=REPORT_AGE_S)
        body = {"success": True, "exposure_days": exposure_days, **report_json(found)}
        return JSONResponse(body)

    return router


def report_json(report: OnlineReport) -> dict[str, Any]:
    """The report as JSON."""
    return {
        **asdict(report),
        "since": report.since and report.since.isoformat(),
        "comparisons": [_tested(each) for each in report.comparisons],
    }


def _tested(found: Preferences) -> dict[str, Any]:
    decided = found.prefer_a + found.prefer_b
    if not decided:
        return asdict(found)
    share = Share.of(found.prefer_b, decided)
    values = (share.share, share.low, share.high)
    p_value = sign_test(found.prefer_a, found.prefer_b)
    return asdict(found) | dict(zip(TESTED, (*values, p_value), strict=True))
