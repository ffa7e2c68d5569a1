"""A short lane, and a long one for requests that may take many times as long."""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from app.batching.cost import Cost
from app.deadline import Deadline
from app.errors import AppError

QueryT_contra = TypeVar("QueryT_contra", contravariant=True)
AnswerT_co = TypeVar("AnswerT_co", covariant=True)


class Lane(Protocol[QueryT_contra, AnswerT_co]):
    """Where queries wait for their batch; a `Batcher` is one."""

    @property
    def waiting(self) -> int: ...

    async def ask_all(
        self, questions: Sequence[QueryT_contra], deadline: Deadline
    ) -> Sequence[AnswerT_co | AppError]: ...

    def close(self) -> None: ...


class LanesByCost(Generic[QueryT_contra, AnswerT_co]):
    """Sends each request to the lane of its cost: none waits behind dearer ones."""

    def __init__(
        self,
        short: Lane[QueryT_contra, AnswerT_co],
        long: Lane[QueryT_contra, AnswerT_co],
        *,
        cost_of: Callable[[Sequence[QueryT_contra]], Cost],
    ) -> None:
        self._short = short
        self._long = long
        self._cost_of = cost_of

    @property
    def waiting(self) -> int:
        """Queries in both lanes."""
        return self._short.waiting + self._long.waiting

    async def ask_all(
        self, questions: Sequence[QueryT_contra], deadline: Deadline
    ) -> Sequence[AnswerT_co | AppError]:
        """As `Batcher.ask_all`."""
        return await self._lane(questions).ask_all(questions, deadline)

    def close(self) -> None:
        """As `Batcher.close`, both."""
        self._short.close()
        self._long.close()

    def _lane(
        self, questions: Sequence[QueryT_contra]
    ) -> Lane[QueryT_contra, AnswerT_co]:
        return self._short if self._cost_of(questions).is_short else self._long
