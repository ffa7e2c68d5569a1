"""A shard that is killed, restarted or stalled: only 200 and 503, in time."""

import json
from collections.abc import Iterator

import pytest
from psycopg2.extensions import make_dsn

from tests.faults.conftest import QUESTION, TIMEOUT_S, wait_for_answer
from tests.support.bulk import fill_jobs
from tests.support.clients import Replies, asking
from tests.support.postgres import run
from tests.support.proxy import Proxy, running_proxy
from tests.support.service import Service, running_service
from tests.support.shards import Databases, Fleet, running_fleet, socket_of_node
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alone

JOBS = 3000
# Added to the deadline: noise of a busy machine.
SLACK_S = 1.5
RECOVERED_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        yield fleet


@pytest.fixture(scope="module")
def proxy(fleet: Fleet) -> Iterator[Proxy]:
    """Between the coordinator and its second shard."""
    with running_proxy(socket_of_node(fleet.shards[1])) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def laid_out(
    fleet: Fleet, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databases]:
    with fleet.fresh() as databases, pytest.MonkeyPatch.context() as patched:
        patched.setenv("DATABASE_URL", databases.url)
        fill_jobs(databases.url, JOBS)
        two = make_dsn(databases.shards["two"], host="127.0.0.1", port=proxy.port)
        behind = Databases(databases.url, {**databases.shards, "two": two})
        assert behind.lay_out(tmp_path_factory.mktemp("layout")) == 0
        yield behind


@pytest.fixture(scope="module")
def service(
    laid_out: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    log_file = tmp_path_factory.mktemp("service") / "log"
    with running_service(
        laid_out.url, log_file, REQUEST_TIMEOUT_S=str(TIMEOUT_S)
    ) as service:
        wait_for_answer(service)
        yield service


@pytest.fixture(scope="module")
def expected(service: Service) -> object:
    found = wait_for_answer(service).json()
    assert found["total_jobs_analyzed"] == JOBS
    return found


def check(replies: Replies, expected: object) -> None:
    """Only 200 and 503; no 200 is partial, and none comes after its deadline."""
    assert replies.statuses() <= {200, 503}
    for reply in replies.seen:
        assert reply.took_s < TIMEOUT_S + SLACK_S, reply
    for body in replies.bodies(200):
        assert json.loads(body) == expected


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_shard_that_ends_and_returns_gives_503_and_then_whole_answers(
    service: Service, fleet: Fleet, expected: object, end: str
) -> None:
    shard = fleet.shards[0]
    with asking(service, QUESTION) as replies:
        replies.wait_for(200)
        getattr(shard, end)()
        replies.wait_for(503)
        shard.start()
        print(f"answered {replies.wait_for(200):.2f} s after the shard's return")
    check(replies, expected)


def test_a_stalled_shard_costs_each_caller_its_deadline_and_no_more(
    service: Service, proxy: Proxy, expected: object
) -> None:
    with asking(service, QUESTION) as replies:
        replies.wait_for(200)
        proxy.stall()
        replies.wait_for(503)
        # Once more, with connections that were opened while it was stalled.
        replies.wait_for(503)
        proxy.restore()
        print(f"answered {replies.wait_for(200):.2f} s after the shard's return")
    check(replies, expected)


def test_a_shard_that_resets_connections_gives_no_partial_answer(
    service: Service, proxy: Proxy, expected: object
) -> None:
    with asking(service, QUESTION) as replies:
        replies.wait_for(200)
        for _ in range(5):
            proxy.after_bytes(1_000_000, proxy.reset)
            wait_until(proxy.sprung.is_set, within_s=RECOVERED_WITHIN_S)
        replies.wait_for(200)
    check(replies, expected)


def test_the_coordinator_keeps_free_connections_while_a_shard_is_stalled(
    service: Service, proxy: Proxy, laid_out: Databases, expected: object
) -> None:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    )
    with asking(service, QUESTION) as replies:
        proxy.stall()
        for _ in range(3):
            replies.wait_for(503)
        ((used,),) = run(laid_out.url, query)
        proxy.restore()
        replies.wait_for(200)
    check(replies, expected)
    # Those that wait for the shard end soon after their client has.
    assert used < 40
