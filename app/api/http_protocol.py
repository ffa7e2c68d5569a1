"""HTTP by llhttp, a third of the processor time of h11: one request, one answer.

The connection's own bounds are `app.api.http_connection`'s.
"""

import asyncio
from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.api.http_connection import BoundedConnection, GentleTransport
from app.api.middleware.failures import REFUSAL, Refusal

# What a stranger may send before anything comes of it: a head, trailers, the frames
# of chunks. The parser keeps all of that. Within one read of the socket, 256 KB, more
# passes, as with h11.
MOST_HELD_BYTES = 64 * 1024

# Requests that wait for the answers of those before them on their connection.
MOST_PIPELINED = 16

NOT_HTTP = Refusal(400, "The bytes are no request of HTTP.")
TOO_LONG = Refusal(400, "The head of the request is too long.")
NO_TUNNEL = Refusal(400, "This is no proxy: CONNECT is not answered.")
TOO_MANY = Refusal(
    503, "Too many connections are open; try again in a moment.", {"Retry-After": "1"}
)


# The parser reads 0.9 and 2.0 in the same form, which have another.
VERSIONS = frozenset({"1.0", "1.1"})


class RefusedHeadError(Exception):
    """The parser makes a 400 of it and closes the connection."""


class BoundedHttp(BoundedConnection):
    """uvicorn's protocol, where each byte belongs to one request.

    By itself it lets the parser leave a request whose head offers another protocol,
    and reads its body as the next one; and it sets no bounds to a head, to trailers and
    to how many requests come before the first answer.
    """

    _held_bytes = 0
    # What the client will be told once all before it is answered.
    _refusal: Refusal | None = None

    def data_received(self, data: bytes) -> None:
        if self.lingers:
            self.throw_away(len(data))
            return
        if self._refusal is not None:
            return
        if self.head_began is None and self.idle_since is not None:
            # Empty lines before a head are part of it: they must not take for ever.
            self.head_began = self.loop.time()
        self._held_bytes += len(data)
        self._unset_keepalive_if_required()
        self._feed(data)
        if self._held_bytes > MOST_HELD_BYTES and not self.transport.is_closing():
            self._refuse(TOO_LONG)

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError:
            self._refuse(NOT_HTTP)

    def _decline(self, rest: bytes) -> None:
        """Read the request again without its offer of another protocol.

        A server may ignore an offer (RFC 9110, 7.8). The parser cannot: it takes what
        follows the head for the other protocol. Only the name `upgrade` makes it an
        offer, so the framing stays the same.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            self._refuse(NO_TUNNEL)
            return
        lines = [b"%s %s HTTP/%s" % (method, self.url, version.encode())]
        lines += [b"%s: %s" % pair for pair in self.headers if pair[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def _should_upgrade(self) -> bool:
        return False  # also where a library for WebSockets is installed

    def on_message_begin(self) -> None:
        self.head_began = self.head_began or self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Raises RefusedHeadError where too many wait, and for another version."""
        if self.parser.should_upgrade():
            return  # it comes again from _decline
        if len(self.pipeline) >= MOST_PIPELINED:
            raise RefusedHeadError
        if self.parser.get_http_version() not in VERSIONS:
            raise RefusedHeadError
        self.head_began = None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """What becomes of a body is bounded by app.api.middleware.body_limit."""
        self._held_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._held_bytes = 0
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.running = cycle
        cycle.transport = GentleTransport(self)  # type: ignore[assignment]
        super()._start_asgi_task(cycle, partial(_run, cycle, app))

    def on_response_complete(self) -> None:
        if self.lingers or self.transport.is_closing():
            self.server_state.total_requests += 1
            return
        super().on_response_complete()
        if self._refusal is not None and self.idle_since is not None:
            self._answer(self._refusal)

    def refuse_connection(self) -> None:
        self._refusal = TOO_MANY
        self.headers = []
        self._answer(TOO_MANY)

    def send_400_response(self, msg: str) -> None:
        """Not as text of uvicorn's own: every error has one form."""
        self._refuse(Refusal(400, msg))

    def _refuse(self, refusal: Refusal) -> None:
        """Read no more, answer what came before, and then this."""
        if self._refusal is not None or self.lingers:
            return
        self._refusal = refusal
        cycle = self.current
        if cycle is not None and cycle.more_body and not cycle.response_started:
            # It is at fault: the refusal is its answer.
            if self.pipeline and self.pipeline[0][0] is cycle:
                self.pipeline.popleft()
                self.cycle = self.pipeline[0][0] if self.pipeline else self.running  # type: ignore[assignment]  # one runs before it
                return
            cycle.disconnected = True
            cycle.message_event.set()
            self._answer(refusal)
        elif self.idle_since is not None:
            self._answer(refusal)

    def _answer(self, refusal: Refusal) -> None:
        """The refusal as the application words it: its headers, log and metrics."""
        self._unset_keepalive_if_required()
        self.head_began = None
        scope: Any = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "headers": self.headers or [],
            "state": self.app_state.copy() | {REFUSAL: refusal},
            # No request of any method came to its end.
            "method": "",
            "path": "",
            "raw_path": b"",
            "query_string": b"",
        }
        self.cycle = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, self.app)


async def _run(
    cycle: RequestResponseCycle, app: Any, scope: Any, receive: Any, send: Any
) -> None:
    """An answer to a request that was not read to its end is its connection's last:
    what else comes would be read without an end, or as the next request.
    """

    async def send_last(message: Any) -> None:
        if cycle.more_body and message["type"] == "http.response.start":
            cycle.keep_alive = False
        await send(message)

    await app(scope, receive, send_last)
