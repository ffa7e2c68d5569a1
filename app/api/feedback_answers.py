"""The responses about feedback.

Not Pydantic models: each class takes memory for good.
"""

from collections.abc import Sequence
from typing import Any, get_args

from app.api.errors import error_body
from app.errors import AppError
from app.query.feedback import EventName, StoredFeedback
from app.query.numbers import exact

Answer = dict[str, Any]

SUCCESS = {"success": {"const": True}}
ERROR_REFERENCE = {"$ref": "#/components/schemas/ErrorResponse"}


def _json_schema(description: str, schema: Answer) -> Answer:
    content = {"application/json": {"schema": {"type": "object", **schema}}}
    return {"description": description, "content": content}


STORED_SCHEMA = _json_schema(
    "The event is stored, or taken back.",
    {"required": ["success"], "properties": SUCCESS},
)

BATCH_SCHEMA = _json_schema(
    "One result per event, in the order of the request.",
    {
        "required": ["success", "results"],
        "properties": {
            **SUCCESS,
            "results": {
                "type": "array",
                "items": {
                    "anyOf": [
                        {
                            "type": "object",
                            "required": ["success"],
                            "properties": SUCCESS,
                        },
                        ERROR_REFERENCE,
                    ]
                },
            },
        },
    },
)

EVENTS_SCHEMA = _json_schema(
    "The user's events, newest first.",
    {
        "required": ["success", "feedback"],
        "properties": {
            **SUCCESS,
            "feedback": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["job_id", "event", "at"],
                    "properties": {
                        "job_id": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                        "event": {"enum": list(get_args(EventName))},
                        "at": {"type": "string", "format": "date-time"},
                    },
                },
            },
        },
    },
)


def batch_answer(outcomes: Sequence[AppError | None]) -> Answer:
    """The body for several events."""
    results = [
        {"success": True} if error is None else error_body(error.status, str(error))
        for error in outcomes
    ]
    return {"success": True, "results": results}


def events_answer(events: Sequence[StoredFeedback]) -> Answer:
    """The body with the events of a user."""
    return {"success": True, "feedback": [event_json(event) for event in events]}


def event_json(event: StoredFeedback) -> Answer:
    """One event as JSON."""
    return {
        "job_id": exact(event.job_id),
        "event": event.event,
        "at": event.at.isoformat(),
    }
