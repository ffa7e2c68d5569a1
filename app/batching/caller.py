"""The caller of a request: its share of the queue and its rate. No HTTP.

A context variable carries it from the middleware to the queue.
"""

from collections.abc import Hashable
from contextvars import ContextVar
from typing import Protocol


class Charge(Protocol):
    """Takes units from a caller's rate."""

    def __call__(self, *, units: int, paid: int) -> None:
        """Raise what a request has paid. Raises RateLimitedError."""


class Caller:
    """A request's caller: an API key, or a connection where no keys are set.

    One unit is paid when the request arrives.
    """

    def __init__(self, identity: Hashable, charge: Charge | None = None) -> None:
        self.identity = identity
        self._charge = charge
        self._paid = 1

    def pay(self, units: int) -> None:
        """Raise what the request has paid to `units`."""
        if self._charge is not None and units > self._paid:
            self._charge(units=units, paid=self._paid)
            self._paid = units


NOBODY = Caller(None)
CALLER: ContextVar[Caller] = ContextVar("caller", default=NOBODY)
