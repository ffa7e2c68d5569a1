"""A fast lane, and one for slow requests."""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

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


class Lanes(Generic[QueryT_contra, ResultT_co]):
    """Sends each request to its lane, so that fast ones never wait for slow ones."""

    def __init__(
        self,
        fast: Lane[QueryT_contra, ResultT_co],
        slow: Lane[QueryT_contra, ResultT_co],
        *,
        is_fast: Callable[[Sequence[QueryT_contra]], bool],
    ) -> None:
        """`is_fast`: whether the queries of a request use the fast lane."""
        self._fast = fast
        self._slow = slow
        self._is_fast = is_fast

    @property
    def waiting(self) -> int:
        """Queries in both lanes."""
        return self._fast.waiting + self._slow.waiting

    async def ask_all(
        self, queries: Sequence[QueryT_contra], deadline: Deadline
    ) -> Sequence[ResultT_co | AppError]:
        """As `Batcher.ask_all`."""
        lane = self._fast if self._is_fast(queries) else self._slow
        return await lane.ask_all(queries, deadline)

    def close(self) -> None:
        """As `Batcher.close`, both."""
        self._fast.close()
        self._slow.close()
