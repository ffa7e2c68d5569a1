"""Limits of a connection: their number, time-outs, unread and unsent bytes.

`app.api.http_protocol` parses the requests.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from app.api.connection_limits import CONNECTION_LIMITS, ConnectionLimits

# From the start of the connection, or of a request, to the end of the headers.
HEAD_TIMEOUT_S = 10.0

# Abort a connection whose client has read nothing of a response for this long.
SEND_TIMEOUT_S = 10.0

# The unsent bytes of all connections together. Beyond it, abort the connection that has
# not read for the longest time.
MAX_UNSENT_BYTES = 32 * 1024 * 1024

# Lingering close (RFC 9112, 9.6): after an early response, read and discard the rest of
# the body, up to these limits. Otherwise a reset could destroy the response before the
# client reads it.
LINGER_BYTES = 4 * 1024 * 1024
LINGER_S = 2.0

# The interval of the time-out checks; each time-out may be this much late.
CHECK_S = 2.0


class LingeringTransport:
    """The transport of a response, whose `close` lingers while a body is unread."""

    def __init__(self, connection: "BoundedConnection") -> None:
        # No reference to the request, which refers to this object: the cycle would wait
        # for the garbage collector, 4 MB of such cycles under load.
        self._connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        running = self._connection.running
        if running is not None and running.more_body:
            self._connection.linger()
        else:
            self._connection.transport.close()


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's protocol with limits per connection and for all connections."""

    # The request that is being answered, or the last one.
    running: RequestResponseCycle | None = None
    # The time when the expected headers began; None if no headers are expected.
    head_began: float | None = None
    # The time when the last response ended; None before the first.
    _answered: float | None = None
    # The time when a lingering connection is closed; None if it does not linger.
    _linger_until: float | None = None
    _lingered_bytes = 0
    _unsent_bytes = 0
    # The time of the client's last read of a response; None if nothing is unsent.
    _last_taken: float | None = None
    _watch: asyncio.TimerHandle

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits: ConnectionLimits = (
            app_state.get(CONNECTION_LIMITS) or ConnectionLimits()
        )
        self.timeout_keep_alive = self._limits.keep_alive_s  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.head_began = self.loop.time()
        self._watch = self.loop.call_later(CHECK_S, self._check)
        if len(self.connections) > self._limits.max_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)
        # The request refers to this connection: both, and all that the request refers
        # to, would wait for the garbage collector.
        self.cycle = self.running = None  # type: ignore[assignment]

    @property
    def current(self) -> RequestResponseCycle | None:
        """The latest request whose headers are complete; None before the first."""
        return self.cycle

    @property
    def idle_since(self) -> float | None:
        """The time of the last activity; None while a request is being answered."""
        current = self.current
        if current is not None and not current.response_complete:
            return None
        return self.head_began or self._answered

    @property
    def lingers(self) -> bool:
        """Whether the connection only discards what it receives."""
        return self._linger_until is not None

    def linger(self) -> None:
        """Close the sending side, and discard what is received until LINGER_S."""
        if self.lingers or self.transport.is_closing():
            return
        self._linger_until = self.loop.time() + LINGER_S
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def discard(self, size: int) -> None:
        """Count bytes received while lingering; abort beyond LINGER_BYTES."""
        self._lingered_bytes += size
        if self._lingered_bytes > LINGER_BYTES:
            self.transport.abort()

    def refuse_connection(self) -> None:
        """Respond that too many connections are open, and close this one."""
        raise NotImplementedError

    def on_response_complete(self) -> None:
        self._answered = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._last_taken = self._last_taken or self.loop.time()
        unsent = sum(each.transport.get_write_buffer_size() for each in self._others())
        if unsent + self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            blocked = [c for c in self._others() if c.blocked_since is not None]
            slowest = min(blocked, key=_blocked_since, default=self)
            slowest.transport.abort()

    @property
    def blocked_since(self) -> float | None:
        """The time since which the client has read nothing of a response, if known."""
        return self._last_taken

    def _make_room(self) -> None:
        """Close the connection that is idle the longest; if none is, refuse this."""
        idle = [c for c in self._others() if c.idle_since is not None]
        if idle:
            min(idle, key=_idle_since).transport.abort()
        else:
            self.refuse_connection()

    def _others(self) -> Iterator["BoundedConnection"]:
        for connection in self.connections:
            if (
                isinstance(connection, BoundedConnection)
                and connection is not self
                and not connection.transport.is_closing()
            ):
                yield connection

    def _check(self) -> None:
        """Apply the time-outs every CHECK_S: cheaper than timers for each request."""
        now = self.loop.time()
        if self._is_stuck(now) or _passed(self._linger_until, now):
            self.transport.abort()
        elif _passed(self.head_began, now - HEAD_TIMEOUT_S):
            self.transport.close()
        self._watch = self.loop.call_later(CHECK_S, self._check)

    def _is_stuck(self, now: float) -> bool:
        """Whether the client has read none of the unsent bytes for SEND_TIMEOUT_S."""
        unsent, before = self.transport.get_write_buffer_size(), self._unsent_bytes
        self._unsent_bytes = unsent
        if unsent == 0:
            self._last_taken = None
        elif self._last_taken is None or unsent < before:
            self._last_taken = now
        return _passed(self._last_taken, now - SEND_TIMEOUT_S)


def _passed(moment: float | None, now: float) -> bool:
    return moment is not None and moment <= now


def _idle_since(connection: BoundedConnection) -> float:
    return connection.idle_since or 0.0


def _blocked_since(connection: BoundedConnection) -> float:
    return connection.blocked_since or 0.0
