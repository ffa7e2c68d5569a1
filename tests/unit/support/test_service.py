"""Ports for the servers of tests."""

import socket

from tests.support.service import free_port


def test_no_port_is_given_twice_and_a_server_gets_it() -> None:
    ports = [free_port() for _ in range(500)]
    assert len(set(ports)) == len(ports)
    with socket.create_server(("127.0.0.1", ports[0])) as server:
        assert server.getsockname()[1] == ports[0]
