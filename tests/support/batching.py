"""Send one query to a batcher."""

from app.batching.batcher import Batcher
from app.batching.pending import QueryT, ResultT
from app.deadline import Deadline
from app.errors import AppError


async def only(
    batcher: Batcher[QueryT, ResultT], query: QueryT, deadline: Deadline
) -> ResultT:
    """The query's result; raises its error."""
    (outcome,) = await batcher.ask_all([query], deadline)
    if isinstance(outcome, AppError):
        raise outcome
    return outcome
