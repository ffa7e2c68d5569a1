"""HTTP as bytes on a socket, for requests that client libraries refuse to send."""

import socket


def exchange(port: int, sent: bytes, *, timeout_s: float = 20) -> bytes:
    """Send these bytes. Returns everything until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.sendall(sent)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass  # the server closed with bytes of ours unread
    return received


def post(body: bytes, *extra: str, path: str = "/api/recommend") -> bytes:
    """A POST of JSON with `Connection: close`."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *extra,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def status(response: bytes) -> int:
    return int(response.split(b" ", 2)[1])
