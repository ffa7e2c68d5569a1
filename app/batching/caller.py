"""Who asks: what shares and rates are counted by. It knows nothing of HTTP.

A context variable, since a request's work is done in its own context from the first
byte to the queue, and nothing between needs to know.
"""

from collections.abc import Callable, Hashable
from contextvars import ContextVar


class Caller:
    """One request of a caller: an API key, or a connection where none are set.

    `charge` takes units from the caller's rate, and raises RateLimitedError where they
    are used up; one unit is paid when the request comes in.
    """

    def __init__(
        self, identity: Hashable, charge: Callable[[int], None] | None = None
    ) -> None:
        self.identity = identity
        self._charge = charge
        self._paid = 1

    def pay(self, units: int) -> None:
        """See that so many units are paid for the request in all."""
        if self._charge is not None and units > self._paid:
            self._charge(units - self._paid)
            self._paid = units


NOBODY = Caller(None)
CALLER: ContextVar[Caller] = ContextVar("caller", default=NOBODY)
