"""A connection within bounds: how many, how long, how much unread and unsent.

What is said on it, the requests, is `app.api.http_protocol`'s.
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

# From the connection, or from its first byte, to the end of a head.
HEAD_TIMEOUT_S = 10.0

# Bytes of an answer that nobody took for so long are given up with their connection.
SEND_TIMEOUT_S = 10.0

# Answers that wait in memory until they are read, of all connections together: beyond
# it those go that have not read for the longest time.
MOST_UNSENT_BYTES = 32 * 1024 * 1024

# After a refusal the rest of its body is read away, or the reset of the connection
# would overtake the answer (RFC 9112, 9.6): so much of it, for so long.
LINGER_BYTES = 4 * 1024 * 1024
LINGER_S = 2.0

# How often a connection is looked at; what is late may be late by so much more.
CHECK_S = 2.0


class GentleTransport:
    """The transport as an answer uses it: to close it leaves time to read the answer.

    A body that is not read to its end is read away first.
    """

    def __init__(self, connection: "BoundedConnection") -> None:
        # No reference to the request: it has one to this, and both would be garbage
        # that only the collector finds, 4 MB of it under load.
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
    """uvicorn's protocol with bounds to each connection and to all of them."""

    # The request that is being answered, or was the last.
    running: RequestResponseCycle | None = None
    # When the head began that is awaited; None where none is.
    head_began: float | None = None
    # When the last answer ended; None before the first.
    _answered: float | None = None
    # When it is closed, whatever the client does; None unless it lingers.
    _linger_until: float | None = None
    _lingered_bytes = 0
    _unsent_bytes = 0
    # When bytes of an answer were last taken; None where none wait.
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

    @property
    def current(self) -> RequestResponseCycle | None:
        """The latest request whose head was read; None before the first."""
        return self.cycle

    @property
    def idle_since(self) -> float | None:
        """Since when nothing is being answered; None while something is."""
        current = self.current
        if current is not None and not current.response_complete:
            return None
        return self.head_began or self._answered

    @property
    def lingers(self) -> bool:
        """Whether everything is said, and what still comes is thrown away."""
        return self._linger_until is not None

    def linger(self) -> None:
        """Say that nothing more comes, and read away what is on its way."""
        if self.lingers or self.transport.is_closing():
            return
        self._linger_until = self.loop.time() + LINGER_S
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def throw_away(self, size: int) -> None:
        """Count what came while it lingers; too much of it ends the connection."""
        self._lingered_bytes += size
        if self._lingered_bytes > LINGER_BYTES:
            self.transport.abort()

    def refuse_connection(self) -> None:
        """Answer that there are too many connections, and close this one."""
        raise NotImplementedError

    def on_response_complete(self) -> None:
        self._answered = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._last_taken = self._last_taken or self.loop.time()
        unsent = sum(each.transport.get_write_buffer_size() for each in self._others())
        if unsent + self.transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            blocked = [c for c in self._others() if c.blocked_since is not None]
            slowest = min(blocked, key=_blocked_since, default=self)
            slowest.transport.abort()

    @property
    def blocked_since(self) -> float | None:
        """Since when nothing of an answer was taken, as far as was looked."""
        return self._last_taken

    def _make_room(self) -> None:
        """Let the connection go that has been idle the longest, else refuse this."""
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
        """Now and, as long as the connection lives, again: not at each request."""
        now = self.loop.time()
        if self._is_stuck(now) or _passed(self._linger_until, now):
            self.transport.abort()
        elif _passed(self.head_began, now - HEAD_TIMEOUT_S):
            self.transport.close()
        self._watch = self.loop.call_later(CHECK_S, self._check)

    def _is_stuck(self, now: float) -> bool:
        """Whether bytes wait of which none was taken for SEND_TIMEOUT_S."""
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
