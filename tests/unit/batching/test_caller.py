"""What a caller pays of its rate for a request."""

from app.batching.caller import CALLER, NOBODY, Caller


def test_only_what_goes_beyond_what_was_paid_is_charged() -> None:
    charged: list[int] = []
    caller = Caller("key", charged.append)
    caller.pay(1)  # paid when the request came in
    assert charged == []
    caller.pay(2)
    caller.pay(5)
    caller.pay(5)
    caller.pay(3)
    assert charged == [1, 3]


def test_what_is_refused_is_not_paid() -> None:
    charged: list[int] = []

    def charge(units: int) -> None:
        charged.append(units)
        if len(charged) == 1:
            raise ValueError

    caller = Caller("key", charge)
    for _ in range(2):
        try:
            caller.pay(4)
        except ValueError:
            continue
    assert charged == [3, 3]


def test_without_a_rate_nothing_is_charged_and_callers_differ_by_identity() -> None:
    caller = Caller(("host", 80))
    caller.pay(1000)
    assert caller.identity == ("host", 80)
    assert CALLER.get() is NOBODY
    assert NOBODY.identity is None
