"""The HTTP protocol: llhttp, which takes a third of h11's processor time.

`app.api.http_connection` has the limits of the connection itself.
"""

import asyncio
from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.api.http_connection import BoundedConnection, LingeringTransport
from app.api.middleware.failures import REFUSAL, Refusal

# The parser buffers headers, trailers and the framing of chunks: this is the limit
# between two pieces of a body. Like h11, it does not apply within one read of the
# socket, 256 KB.
MAX_BUFFERED_BYTES = 64 * 1024

# Requests on one connection that wait for the responses before them.
MAX_PIPELINED = 16

NOT_HTTP = Refusal(400, "The request is not valid HTTP.")
TOO_LONG = Refusal(400, "The headers of the request are too long.")
NO_TUNNEL = Refusal(400, "This is not a proxy: CONNECT is not supported.")
TOO_MANY = Refusal(
    503, "Too many connections are open; try again in a moment.", {"Retry-After": "1"}
)


# The parser also accepts 0.9 and 2.0, whose requests have another form.
VERSIONS = frozenset({"1.0", "1.1"})


class RefusedHeadError(Exception):
    """Headers that the server refuses; the parser turns this into a 400."""


class BoundedHttp(BoundedConnection):
    """uvicorn's HTTP protocol with limits, and without protocol upgrades.

    uvicorn's own stops parsing at a request with an `Upgrade` header and reads its body
    as the next request. It limits neither headers nor trailers nor pipelined requests.
    """

    _buffered_bytes = 0
    # The response to send after those before it; nothing more is read.
    _refusal: Refusal | None = None

    def data_received(self, data: bytes) -> None:
        if self.lingers:
            self.discard(len(data))
            return
        if self._refusal is not None:
            return
        if self.head_began is None and self.idle_since is not None:
            # Empty lines before a request count towards its time-out.
            self.head_began = self.loop.time()
        self._buffered_bytes += len(data)
        self._unset_keepalive_if_required()
        self._feed(data)
        if (
            self._buffered_bytes > MAX_BUFFERED_BYTES
            and not self.transport.is_closing()
        ):
            self._refuse(TOO_LONG)

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError:
            self._refuse(NOT_HTTP)

    def _decline(self, rest: bytes) -> None:
        """Parse the request again without its `Upgrade` header.

        A server may ignore an upgrade (RFC 9110, 7.8), but the parser cannot: it treats
        the bytes after the headers as the other protocol. No other header depends on
        `Upgrade`, so the framing stays the same.
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
        return False  # even if a WebSockets library is installed

    def on_message_begin(self) -> None:
        self.head_began = self.head_began or self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Raises RefusedHeadError for a full pipeline or another HTTP version."""
        if self.parser.should_upgrade():
            return  # _decline parses the request again
        if len(self.pipeline) >= MAX_PIPELINED:
            raise RefusedHeadError
        if self.parser.get_http_version() not in VERSIONS:
            raise RefusedHeadError
        self.head_began = None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A body is not buffered here: app.api.middleware.body_limit limits it."""
        self._buffered_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._buffered_bytes = 0
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.running = cycle
        cycle.transport = LingeringTransport(self)  # type: ignore[assignment]
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
        """Send JSON as for every error, not uvicorn's plain text."""
        self._refuse(Refusal(400, msg))

    def _refuse(self, refusal: Refusal) -> None:
        """Stop reading, answer the requests before this one, then send the refusal."""
        if self._refusal is not None or self.lingers:
            return
        self._refusal = refusal
        cycle = self.current
        if cycle is not None and cycle.more_body and not cycle.response_started:
            # The invalid bytes are in this request's body, so this is its response.
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
        """Send the refusal through the application: its headers, log and metrics."""
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
            # No complete request has been parsed.
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
    """Run the application; close the connection after an early response.

    Otherwise the unread rest of the body would be read without a limit, or as the next
    request.
    """

    async def send_last(message: Any) -> None:
        if cycle.more_body and message["type"] == "http.response.start":
            cycle.keep_alive = False
        await send(message)

    await app(scope, receive, send_last)
