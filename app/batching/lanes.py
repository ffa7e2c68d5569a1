"""A short lane, and a long one for expensive requests."""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from app.batching.cost import Cost
from app.deadline import Deadline
from app.errors import AppError

QueryT_contra = TypeVar("QueryT_contra", contravariant=True)
ResultT_co = TypeVar("ResultT_co", covariant=True)


class Lane(Protocol[QueryT_contra, ResultT_co]):
    """A queue with its batches; a `Batcher` is one."""

    @property
    def waiting(self) -> int: ...

    async def ask_all(
        self, queries: Sequence[QueryT_contra], deadline: Deadline
    ) -> Sequence[ResultT_co | AppError]: ...

    def close(self) -> None: ...


class LanesByCost(Generic[QueryT_contra, ResultT_co]):
    """Sends each request to the lane of its cost: none waits behind expensive ones."""

    def __init__(
        self,
        short: Lane[QueryT_contra, ResultT_co],
        long: Lane[QueryT_contra, ResultT_co],
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
        self, queries: Sequence[QueryT_contra], deadline: Deadline
    ) -> Sequence[ResultT_co | AppError]:
        """As `Batcher.ask_all`."""
        return await self._lane(queries).ask_all(queries, deadline)

    def close(self) -> None:
        """As `Batcher.close`, both."""
        self._short.close()
        self._long.close()

    def _lane(
        self, queries: Sequence[QueryT_contra]
    ) -> Lane[QueryT_contra, ResultT_co]:
        return self._short if self._cost_of(queries).is_short else self._long
