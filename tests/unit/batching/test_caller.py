"""The units that a request costs its caller."""

from app.batching.caller import CALLER, NOBODY, Caller
from app.errors import RateLimitedError


class Rate:
    """Remembers what was charged; refuses the first `refusals` times."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.charged: list[tuple[int, int]] = []

    def __call__(self, *, units: int, paid: int) -> None:
        self.charged.append((paid, units))
        if len(self.charged) <= self.refusals:
            raise RateLimitedError(retry_after_s=1)


def test_only_what_goes_beyond_what_was_paid_is_charged() -> None:
    rate = Rate()
    caller = Caller("key", rate)
    for units in (1, 2, 5, 5, 3):  # one was charged when the request arrived
        caller.pay(units)
    assert rate.charged == [(1, 2), (2, 5)]


def test_what_is_refused_is_not_paid() -> None:
    rate = Rate(refusals=1)
    caller = Caller("key", rate)
    for _ in range(2):
        try:
            caller.pay(4)
        except RateLimitedError:
            continue
    assert rate.charged == [(1, 4), (1, 4)]


def test_without_a_rate_nothing_is_charged_and_callers_differ_by_identity() -> None:
    caller = Caller(("host", 80))
    caller.pay(1000)
    assert caller.identity == ("host", 80)
    assert CALLER.get() is NOBODY
    assert NOBODY.identity is None
