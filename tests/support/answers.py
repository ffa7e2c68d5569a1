"""An HTTP server for tests, with arbitrary responses."""

import json
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socket import socket
from typing import BinaryIO


@dataclass(frozen=True)
class Asked:
    """A request and its connection."""

    head: bytes
    body: bytes
    connection: socket


Answer = Callable[[Asked], bytes | None]


@contextmanager
def answering(answer: Answer, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address of a server. `answer` returns the response, or None to close."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            taken = self.request
            with suppress(OSError), tls.wrap_socket(taken, True) if tls else taken as c:
                file = c.makefile("rb")
                while asked := _read(file, c):
                    found = answer(asked)
                    if found is None:
                        return
                    c.sendall(found)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            scheme = "https" if tls else "http"
            yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _read(file: BinaryIO, connection: socket) -> Asked | None:
    head, length = b"", 0
    while line := file.readline():
        head += line
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        if line == b"\r\n":
            return Asked(head, file.read(length), connection)
    return None


def response(body: bytes, *extra: str, status: str = "200 OK") -> bytes:
    """A complete response with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *extra, "", ""]
    return "\r\n".join(lines).encode() + body


def own_answer(asked: Asked) -> bytes:
    """The response to a request for a user: one job with the user's id."""
    return response(answer_for(json.loads(asked.body)["user_id"]))


def answer_for(user: object) -> bytes:
    job = {"job_id": user, "similarity_score": 1.0, "skills": "python"}
    rest = {"total_jobs_analyzed": 1, "total_jobs_pending": 0, "detail": None}
    return json.dumps(
        {"success": True, "recommendations": [job], **rest, "next_cursor": None}
    ).encode()
