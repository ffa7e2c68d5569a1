"""The watchdog, which ends connections after their deadline."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from app.deadline import Deadline
from app.storage.connection.watchdog import Watchdog

Stalled = Callable[[], socket.socket]


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    with closing(Watchdog()) as watchdog:
        yield watchdog


@pytest.fixture
def stalled() -> Iterator[Stalled]:
    """Sockets whose peers never respond."""
    with ExitStack() as open_sockets:

        def make() -> socket.socket:
            ours, peer = socket.socketpair()
            open_sockets.enter_context(peer)
            return open_sockets.enter_context(ours)

        yield make


def test_a_silent_peer_is_disconnected_at_the_deadline(
    watchdog: Watchdog, stalled: Stalled
) -> None:
    ours = stalled()
    with watchdog.watch(ours.fileno(), Deadline.after(0.0)):
        assert ours.recv(1) == b""


def test_an_earlier_deadline_than_the_one_it_waits_for_counts(
    watchdog: Watchdog, stalled: Stalled
) -> None:
    patient, ours = stalled(), stalled()
    with watchdog.watch(patient.fileno(), Deadline.after(3600.0)):
        with watchdog.watch(ours.fileno(), Deadline.after(1800.0)):
            pass
        with watchdog.watch(ours.fileno(), Deadline.after(0.0)):
            assert ours.recv(1) == b""
        patient.setblocking(False)
        with pytest.raises(BlockingIOError):
            patient.recv(1)


def test_a_deadline_after_one_that_was_kept_counts(
    watchdog: Watchdog, stalled: Stalled
) -> None:
    ours = stalled()
    with watchdog.watch(ours.fileno(), Deadline.after(0.0)):
        pass
    with watchdog.watch(ours.fileno(), Deadline.after(0.1)):
        assert ours.recv(1) == b""


def test_a_socket_that_is_watched_no_more_leaves_the_others(
    watchdog: Watchdog, stalled: Stalled
) -> None:
    ours, other = stalled(), stalled()
    ours.settimeout(30.0)
    with watchdog.watch(ours.fileno(), Deadline.after(0.1)):
        with watchdog.watch(other.fileno(), Deadline.after(3600.0)):
            pass
        assert ours.recv(1) == b""


def test_f105_a_reused_descriptor_is_not_shut_down(
    watchdog: Watchdog, stalled: Stalled
) -> None:
    ours, other = stalled(), stalled()
    number = ours.fileno()
    with watchdog.watch(number, Deadline.after(0.0)):
        # libpq closes its socket during a statement, and the system reuses the file
        # descriptor.
        ours.close()
        os.dup2(other.fileno(), number)
        with socket.socket(fileno=number) as reused:
            reused.settimeout(2.0)
            with pytest.raises(TimeoutError):
                reused.recv(1)


def test_f104_what_is_still_watched_ends_with_the_watchdog(stalled: Stalled) -> None:
    watchdog, ours = Watchdog(), stalled()
    with watchdog.watch(ours.fileno(), Deadline.after(3600.0)):
        watchdog.close()
        assert ours.recv(1) == b""
