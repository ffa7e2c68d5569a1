"""A fair queue of requests by caller. No threads, no clock, no ranking.

Start-time fair queueing (Goyal, Vin, Cheng 1996): a request begins, in virtual time,
where its caller's last one ends or where the queue is now, and the earliest is next.
A caller with few requests overtakes a caller with many.
"""

from bisect import insort
from collections.abc import Hashable
from itertools import count
from typing import Generic

from app.batching.pending import PendingRequest, QueryT, ResultT
from app.errors import QueueFullError


class FairQueue(Generic[QueryT, ResultT]):
    """Holds at most `max_queries` and `max_encodings`.

    A full queue evicts requests of the caller who holds the most of it.
    """

    def __init__(self, *, max_queries: int, max_encodings: int | None = None) -> None:
        self._max_queries = max_queries
        self._max_encodings = max_encodings
        self._waiting: list[PendingRequest[QueryT, ResultT]] = []
        self._queries = 0
        self._encodings = 0
        self._now = 0
        self._ends: dict[Hashable, int] = {}
        self._numbers = count()

    def __len__(self) -> int:
        """Queries in the queue."""
        return self._queries

    def push(
        self, request: PendingRequest[QueryT, ResultT]
    ) -> list[PendingRequest[QueryT, ResultT]]:
        """Add a request; return those that it evicts.

        Raises QueueFullError if the queue is full and the request's own caller
        holds the most of it.
        """
        evicted = self._make_room(request)
        for each in evicted:
            self.remove(each)
        start = max(self._now, self._ends.get(request.caller, 0))
        self._ends[request.caller] = start + request.cost.work
        request.turn = (start, next(self._numbers))
        request.waits = True
        insort(self._waiting, request, key=_turn)
        self._count(request, 1)
        return evicted

    def remove(self, request: PendingRequest[QueryT, ResultT]) -> None:
        """Take a request out again and refund its cost to its caller."""
        self._waiting.remove(request)
        request.waits = False
        self._count(request, -1)
        if all(each.caller != request.caller for each in self._waiting):
            self._ends[request.caller] = min(
                self._ends.get(request.caller, 0), request.turn[0]
            )

    def take(
        self, *, max_queries: int, max_encodings: int
    ) -> list[PendingRequest[QueryT, ResultT]]:
        """The next request and those of the same key that fit into its batch."""
        group: list[PendingRequest[QueryT, ResultT]] = []
        queries = encodings = 0
        for request in self._waiting:
            if group and request.key != group[0].key:
                continue
            more = queries + request.cost.queries
            dearer = encodings + request.cost.encodings
            # A request that is too large for any batch runs alone, in several batches.
            # One that does not fit beside others starts a later batch.
            if group and (more > max_queries or dearer > max_encodings):
                continue
            queries, encodings = more, dearer
            group.append(request)
        for request in group:
            self._waiting.remove(request)
            request.waits = False
            self._count(request, -1)
        if group:
            self._now = max(self._now, group[-1].turn[0])
            self._ends = {c: end for c, end in self._ends.items() if end > self._now}
        return group

    def drain(self) -> list[PendingRequest[QueryT, ResultT]]:
        """Take out all requests."""
        drained, self._waiting = self._waiting, []
        self._queries = self._encodings = 0
        for request in drained:
            request.waits = False
        return drained

    def _make_room(
        self, request: PendingRequest[QueryT, ResultT]
    ) -> list[PendingRequest[QueryT, ResultT]]:
        queries = self._queries + request.cost.queries
        encodings = self._encodings + request.cost.encodings
        held = self._held()
        own = held.get(request.caller, 0) + request.cost.work
        evicted: list[PendingRequest[QueryT, ResultT]] = []
        while self._is_too_much(queries, encodings):
            most = max(held, key=held.__getitem__, default=None)
            if most is None or held[most] <= own:
                raise QueueFullError(
                    f"The queue is full: {self._queries} queries are waiting; try again"
                    " in a moment."
                )
            last = next(
                each
                for each in reversed(self._waiting)
                if each.caller == most and each not in evicted
            )
            evicted.append(last)
            held[most] -= last.cost.work
            queries -= last.cost.queries
            encodings -= last.cost.encodings
        return evicted

    def _is_too_much(self, queries: int, encodings: int) -> bool:
        if self._max_encodings is not None and encodings > self._max_encodings:
            return True
        return queries > self._max_queries

    def _held(self) -> dict[Hashable, int]:
        held: dict[Hashable, int] = {}
        for each in self._waiting:
            held[each.caller] = held.get(each.caller, 0) + each.cost.work
        return held

    def _count(self, request: PendingRequest[QueryT, ResultT], sign: int) -> None:
        self._queries += sign * request.cost.queries
        self._encodings += sign * request.cost.encodings


def _turn(request: PendingRequest[QueryT, ResultT]) -> tuple[int, int]:
    return request.turn
