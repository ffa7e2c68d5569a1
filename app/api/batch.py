"""The response for several users, written as JSON one user at a time.

Not a Pydantic model: another model class takes memory for good, and a large response
held as models takes several times the memory of its text.
"""

import json
from collections.abc import Sequence
from typing import Any

from app.api.errors import error_body
from app.api.explaining import RecommendAnswer
from app.errors import AppError
from app.query.ids import Id
from app.query.numbers import exact

USER_ID = {"anyOf": [{"type": "integer"}, {"type": "string"}]}

BATCH_ANSWER: dict[str, Any] = {
    "description": "One result per user, in the order of the request: the fields of a"
    " response for that user alone, or an error.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["success", "results"],
                "properties": {
                    "success": {"const": True},
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["user_id"],
                            "properties": {"user_id": USER_ID},
                            "anyOf": [
                                {"$ref": "#/components/schemas/RecommendResponse"},
                                {"$ref": "#/components/schemas/ErrorResponse"},
                            ],
                        },
                    },
                },
            }
        }
    },
}


def batch_json(user_ids: Sequence[Id], answers: Sequence[RecommendAnswer]) -> bytes:
    """The body of the response."""
    results = [
        b'{"user_id":%s,%s' % (json.dumps(exact(user_id)).encode(), _fields(answer))
        for user_id, answer in zip(user_ids, answers, strict=True)
    ]
    return b'{"success":true,"results":[%s]}' % b",".join(results)


def _fields(answer: RecommendAnswer) -> bytes:
    """The JSON of an answer without its opening brace."""
    if isinstance(answer, AppError):
        text = json.dumps(error_body(answer.status, str(answer)))
    else:
        text = answer.model_dump_json()
    return text.encode().removeprefix(b"{")
