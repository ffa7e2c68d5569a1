"""Requests that wait, each caller with its share. No threads, no clock, no ranking.

Start-time fair queueing (Goyal, Vin, Cheng 1996): a request begins, in virtual time,
where its caller's last one ends or where the service is now, and the earliest is next.
Who asks for little comes before the next request of who asks for much.
"""

from bisect import insort
from collections.abc import Hashable
from itertools import count
from typing import Generic

from app.batching.pending import Answer, PendingRequest, Question
from app.errors import TooManyWaitingError


class FairQueue(Generic[Question, Answer]):
    """At most `max_queries` and `max_encodings` wait, whoever asks.

    Where it is full, those who hold the most of it give way to those who hold less.
    """

    def __init__(self, *, max_queries: int, max_encodings: int | None = None) -> None:
        self._max_queries = max_queries
        self._max_encodings = max_encodings
        self._waiting: list[PendingRequest[Question, Answer]] = []
        self._queries = 0
        self._encodings = 0
        self._now = 0
        self._ends: dict[Hashable, int] = {}
        self._numbers = count()

    def __len__(self) -> int:
        """Queries that wait."""
        return self._queries

    def push(
        self, request: PendingRequest[Question, Answer]
    ) -> list[PendingRequest[Question, Answer]]:
        """Those that give way to the request; raises TooManyWaitingError where it is
        the request's own caller who holds the most.
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

    def remove(self, request: PendingRequest[Question, Answer]) -> None:
        """Take a waiting request out again; what it would have cost is given back."""
        self._waiting.remove(request)
        request.waits = False
        self._count(request, -1)
        if all(each.caller != request.caller for each in self._waiting):
            self._ends[request.caller] = min(
                self._ends.get(request.caller, 0), request.turn[0]
            )

    def take(
        self, *, max_queries: int, max_encodings: int
    ) -> list[PendingRequest[Question, Answer]]:
        """The next request and those of the same key that fit into its batch."""
        group: list[PendingRequest[Question, Answer]] = []
        queries = encodings = 0
        for request in self._waiting:
            if group and request.key != group[0].key:
                continue
            more = queries + request.cost.queries
            dearer = encodings + request.cost.encodings
            # A request alone may be too large: it takes several batches. One that does
            # not fit beside others is the first of a later batch.
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

    def drain(self) -> list[PendingRequest[Question, Answer]]:
        """All that wait."""
        drained, self._waiting = self._waiting, []
        self._queries = self._encodings = 0
        for request in drained:
            request.waits = False
        return drained

    def _make_room(
        self, request: PendingRequest[Question, Answer]
    ) -> list[PendingRequest[Question, Answer]]:
        queries = self._queries + request.cost.queries
        encodings = self._encodings + request.cost.encodings
        held = self._held()
        own = held.get(request.caller, 0) + request.cost.work
        evicted: list[PendingRequest[Question, Answer]] = []
        while self._is_too_much(queries, encodings):
            most = max(held, key=held.__getitem__, default=None)
            if most is None or held[most] <= own:
                raise TooManyWaitingError(
                    f"{self._queries} requests are waiting already; try again in a"
                    " moment."
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

    def _count(self, request: PendingRequest[Question, Answer], sign: int) -> None:
        self._queries += sign * request.cost.queries
        self._encodings += sign * request.cost.encodings


def _turn(request: PendingRequest[Question, Answer]) -> tuple[int, int]:
    return request.turn
