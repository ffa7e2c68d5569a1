"""Stop a script gracefully on Ctrl-C or SIGTERM."""

import signal
import threading
from typing import Self


class Stop:
    """The first signal ends the script after its batch, the second one at once."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.status = 0

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, self._stop)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, _frame: object) -> None:
        self.status = 128 + number
        if self.event.is_set():
            raise KeyboardInterrupt
        self.event.set()
