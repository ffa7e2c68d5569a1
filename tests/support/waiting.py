"""Time in tests: waiting for a condition, and being slow where that is the subject."""

import time
from collections.abc import Callable

LOOKED_EVERY_S = 0.01


def wait_until(
    condition: Callable[[], bool],
    *,
    within_s: float = 10.0,
    failing: Callable[[], str] = lambda: "the condition did not come true",
) -> None:
    """Return when the condition holds; `failing` says what is wrong if it is late.

    Raises TimeoutError.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(failing())
        time.sleep(LOOKED_EVERY_S)


def be_slow(seconds: float) -> None:
    """For a network that stalls, a slow encoder, a kill at any moment: not to wait."""
    time.sleep(seconds)
