"""HTTP by llhttp, a third of the processor time of h11, within bounds."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# What a stranger may send before anything comes of it: a head, trailers, the frames
# of chunks. The parser keeps all of that. Within one read of the socket, 256 KB, more
# passes, as with h11.
MOST_HELD_BYTES = 64 * 1024

# Requests that wait for the answers of those before them on their connection.
MOST_PIPELINED = 16

# From the connection, or from its first byte, to the end of a head.
HEAD_TIMEOUT_S = 10.0


class TooManyPipelinedError(Exception):
    """The parser makes a 400 of it and closes the connection."""


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol, which on its own sets no bounds to a request's head, to its
    trailers, to the time that they take, and to how many requests come before the first
    answer.
    """

    _held_bytes = 0
    # When the head began that is awaited; None where none is.
    _head_began: float | None = None
    _watch: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_began = self.loop.time()
        self._close_if_late()

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._head_began = self.loop.time()
        super().on_message_begin()

    def data_received(self, data: bytes) -> None:
        """Refuse with a 400 what goes on and on without a body or an end."""
        self._held_bytes += len(data)
        super().data_received(data)
        if self._held_bytes > MOST_HELD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        """Raises TooManyPipelinedError where too many wait already."""
        if len(self.pipeline) >= MOST_PIPELINED:
            raise TooManyPipelinedError
        self._head_began = None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """What becomes of a body is bounded by app.api.middleware.body_limit."""
        self._held_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._held_bytes = 0
        super().on_message_complete()

    def _close_if_late(self) -> None:
        """Look now and, as long as the connection lives, again: not at each request."""
        now = self.loop.time()
        due = (now if self._head_began is None else self._head_began) + HEAD_TIMEOUT_S
        if due <= now:
            self.transport.close()
            return
        self._watch = self.loop.call_at(due, self._close_if_late)
