"""`POST /api/feedback` for one event, `/batch` for several; the events of a user."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse

from app.api.feedback_answers import (
    BATCH_SCHEMA,
    EVENTS_SCHEMA,
    STORED_SCHEMA,
    batch_answer,
    events_answer,
)
from app.api.openapi import ERRORS, errors
from app.api.requests import FeedbackBatchRequest, FeedbackRequest
from app.api.routes.jobs import ANY_TEXT
from app.api.strict_route import api_router
from app.batching.caller import CALLER
from app.deadline import Deadline
from app.errors import DeadlineExceededError
from app.query.feedback import FeedbackChange
from app.storage.feedback import FeedbackStore

# Threads that wait for the database; others of the pool are left to health checks.
FEEDBACK_THREADS = 2
# Events for one unit of a key's rate.
EVENTS_PER_UNIT = 16

Answered = TypeVar("Answered")


class _Threads:
    """Runs calls that wait for the database in a few threads."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(FEEDBACK_THREADS)

    async def __call__(self, work: Callable[[Deadline], Answered]) -> Answered:
        """Raises as `work` does, and DeadlineExceededError after the time-out."""
        deadline = Deadline.after(self._timeout_s)
        try:
            async with asyncio.timeout(self._timeout_s), self._free:
                return await asyncio.to_thread(work, deadline)
        except TimeoutError:
            raise DeadlineExceededError(
                f"The database did not answer in {self._timeout_s:g} s."
            ) from None


def build_feedback_router(
    feedback: FeedbackStore, *, timeout_s: float, needs_key: bool
) -> APIRouter:
    """The routes that store and return feedback."""
    router = api_router("feedback", needs_key=needs_key)
    in_thread = _Threads(timeout_s)

    @router.post(
        "/api/feedback",
        response_class=JSONResponse,
        responses={**ERRORS, 200: STORED_SCHEMA},
    )
    async def give_feedback(given: FeedbackRequest) -> JSONResponse:
        """Store what a user did with a job, or take it back."""
        (error,) = await in_thread(partial(feedback.record, [_change(given)]))
        if error is not None:
            raise error
        return JSONResponse({"success": True})

    @router.post(
        "/api/feedback/batch",
        response_class=JSONResponse,
        responses={**ERRORS, 200: BATCH_SCHEMA},
    )
    async def give_feedback_batch(given: FeedbackBatchRequest) -> JSONResponse:
        """Store several events: all that have no error of their own, or none."""
        changes = [_change(event) for event in given.events]
        CALLER.get().pay(-(-len(changes) // EVENTS_PER_UNIT))
        outcomes = await in_thread(partial(feedback.record, changes))
        return JSONResponse(batch_answer(outcomes))

    @router.get(
        f"/api/users/{{user_id:{ANY_TEXT}}}/feedback",
        response_class=JSONResponse,
        responses={**errors(400, 401, 404, 422, 429, 503), 200: EVENTS_SCHEMA},
    )
    async def list_feedback(
        user_id: Annotated[str, Path(min_length=1)],
    ) -> JSONResponse:
        """All events of a user, newest first."""
        events = await in_thread(partial(feedback.of_user, user_id))
        return JSONResponse(events_answer(events))

    return router


def _change(given: FeedbackRequest) -> FeedbackChange:
    return FeedbackChange(given.user_id, given.job_id, given.event, undo=given.undo)
