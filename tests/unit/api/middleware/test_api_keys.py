"""Digests of API keys, and token buckets with a fake clock."""

import hmac

import pytest

from app.api.middleware.api_keys import ApiKeys, TokenBuckets


def test_a_known_key_is_found_at_any_position() -> None:
    known = ApiKeys(["first-key", "second-key"])
    assert known.find(b"first-key") != known.find(b"second-key")
    assert None not in (known.find(b"first-key"), known.find(b"second-key"))
    assert known.find(b"third-key") is None
    assert known.find(b"") is None


def test_f73_all_keys_are_compared_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[int] = []
    original = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return original(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    known = ApiKeys(["first-key", "second-key", "third-key"])
    for presented in (b"first-key", b"third-key", b"x"):
        known.find(presented)
    # Three comparisons of whole digests each, wherever the match is.
    assert compared == [32] * 9


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_f79_a_bucket_empties_and_refills_evenly() -> None:
    clock = Clock()
    buckets = TokenBuckets(30, clock=clock)  # one every two seconds
    assert [buckets.wait_s(b"a") for _ in range(31)] == [0] * 30 + [2]
    assert buckets.wait_s(b"b") == 0
    clock.now += 1.5
    assert buckets.wait_s(b"a") == 1
    clock.now += 0.5
    assert buckets.wait_s(b"a") == 0
    assert buckets.wait_s(b"a") == 2


def test_a_bucket_holds_no_more_than_a_minutes_tokens() -> None:
    clock = Clock()
    buckets = TokenBuckets(3, clock=clock)
    buckets.wait_s(b"a")
    clock.now += 3600
    assert [buckets.wait_s(b"a") for _ in range(4)] == [0, 0, 0, 20]


def test_f124_a_full_bucket_pays_for_a_request_of_any_cost_and_owes_the_rest() -> None:
    clock = Clock()
    buckets = TokenBuckets(6, clock=clock)  # one every ten seconds

    def request(units: int) -> int:
        """Charge as the middleware and the routes do: one unit on arrival, then the
        rest.
        """
        return buckets.wait_s(b"a") or buckets.wait_s(b"a", units, paid=1)

    assert request(64) == 0
    assert buckets.wait_s(b"a") == 590  # 58 are owed
    clock.now += 580 + 50
    # Only a full bucket pays; after the announced wait the caller is served.
    wait_s = request(64)
    assert wait_s == 20  # one unit was paid on arrival
    clock.now += wait_s
    assert request(64) == 0


def test_a_request_within_its_rate_pays_what_it_costs() -> None:
    buckets = TokenBuckets(60, clock=Clock())
    assert buckets.wait_s(b"a") == 0
    assert buckets.wait_s(b"a", 50, paid=1) == 0
    assert buckets.wait_s(b"a", 10) == 0
    assert buckets.wait_s(b"a") == 1
