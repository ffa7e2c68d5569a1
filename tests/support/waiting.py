"""Waiting for a condition, and deliberate delays."""

import time
from collections.abc import Callable

LOOKED_EVERY_S = 0.01


def wait_until(
    condition: Callable[[], bool],
    *,
    within_s: float = 10.0,
    failing: Callable[[], str] = lambda: "the condition did not come true",
) -> None:
    """Wait until the condition holds.

    Raises TimeoutError with `failing` as its message.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(failing())
        time.sleep(LOOKED_EVERY_S)


def be_slow(seconds: float) -> None:
    """Simulate a delay: a stalled network, a slow encoder. Not for waiting."""
    time.sleep(seconds)
