"""API keys and their rate limits, independent of HTTP."""

import hashlib
import hmac
import math
import threading
import time
from collections.abc import Callable, Sequence


class ApiKeys:
    """The accepted API keys, of which it keeps only digests."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def find(self, presented: bytes) -> bytes | None:
        """The digest of the presented key, or None for an unknown key.

        The comparison takes the same time for any key: it compares whole digests of
        equal length, and all of them.
        """
        digest = _digest(presented)
        matches = [known for known in self._digests if _equal(known, digest)]
        return matches[0] if matches else None


class TokenBuckets:
    """Token-bucket rate limits: `per_minute` tokens per caller, refilled evenly.

    Callers are known keys, so the number of buckets is limited.
    """

    def __init__(
        self, per_minute: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._buckets: dict[bytes, tuple[float, float]] = {}  # tokens, filled when
        self._lock = threading.Lock()

    def wait_s(self, caller: bytes, units: int = 1, *, paid: int = 0) -> int:
        """Take `units` less `paid` tokens and return 0, or the seconds to wait.

        `paid`: tokens that this request has taken before. A bucket that was full before
        the request allows any number of units, and then has a negative balance. The
        wait is for a new request, which has paid nothing.
        """
        needed = min(float(units), self._capacity)
        with self._lock:
            now = self._clock()
            tokens, filled_at = self._buckets.get(caller, (self._capacity, now))
            refill = (now - filled_at) * self._per_second
            tokens = min(self._capacity, tokens + refill)
            allowed = tokens >= needed - paid
            taken = units - paid if allowed else 0
            self._buckets[caller] = (tokens - taken, now)
        return 0 if allowed else math.ceil((needed - tokens) / self._per_second)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _equal(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)
