"""Fixtures: a fake hub per test, and a fetcher that knows no other network."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.fetch_model.fetcher import Fetcher
from tests.integration.fetch_model.stand_in import StandIn


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    server = StandIn()
    # Polls for its end every 10 ms, not every half second.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def fetcher(tmp_path: Path, stand_in: StandIn) -> Fetcher:
    fetcher = Fetcher(tmp_path, stand_in.url)
    fetcher.scratch.mkdir()
    return fetcher
