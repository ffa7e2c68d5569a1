"""Waits out a database that is away: a restart is no reason to give up."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from app.deadline import Deadline
from app.errors import ModelUnavailableError, SchemaError, UnavailableError

log = logging.getLogger(__name__)

Tried = TypeVar("Tried")

# For the statements of one transaction; texts are encoded outside of them.
STATEMENT_TIMEOUT_S = 60.0
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


def retry_with_backoff(
    action: Callable[[], Tried], *, stop: threading.Event, patience_s: float
) -> Tried:
    """The result of `action`, called again while the database is away.

    Raises its UnavailableError after `patience_s`, or when `stop` is set before; raises
    other errors at once, such as those that waiting does not fix.
    """
    give_up_at = time.monotonic() + patience_s
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return action()
        except (SchemaError, ModelUnavailableError):
            raise
        except UnavailableError as error:
            if time.monotonic() + pause_s > give_up_at:
                raise
            log.warning("%s Trying again in %.1f s.", error, pause_s)
            if stop.wait(pause_s):
                raise
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def statement_deadline() -> Deadline:
    """The deadline of a transaction that begins now."""
    return Deadline.after(STATEMENT_TIMEOUT_S)
