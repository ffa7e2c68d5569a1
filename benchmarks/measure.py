"""One run: every design at every size, alternating, so that noise affects all."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg2

from app.deadline import Deadline
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.jobs import stream_embeddings
from benchmarks.load import Load, closed_loop
from benchmarks.servers import GUIDE_DESIGNS, PROJECT, Memory, Running, guide, project
from benchmarks.tables import USERS
from benchmarks.wire import counted

UNSEEN = "this project, unseen text"
FLOOR = "COPY floor"
STARTS = 3

Body = Callable[[int], dict[str, Any]]


@dataclass
class Cost:
    """The measurements of one design at one size."""

    loads: dict[int, Load] = field(default_factory=dict)  # by number of clients
    healthy_s: float = 0.0
    first_answer_s: float = 0.0
    memory: Memory | None = None
    received_bytes: float | None = None
    cpu_s: float | None = None

    def summary(self) -> dict[str, Any]:
        """Plain numbers, for the JSON file."""
        return {
            "clients": {
                str(clients): load.summary() for clients, load in self.loads.items()
            },
            "healthy_s": self.healthy_s,
            "first_answer_s": self.first_answer_s,
            "memory": asdict(self.memory) if self.memory else None,
            "received_bytes": self.received_bytes,
            "cpu_s": self.cpu_s,
        }


@dataclass(frozen=True)
class Plan:
    """The duration of the loops, and the designs."""

    clients: Sequence[int]
    rounds: int
    slice_s: float
    designs: Sequence[str]


def known_user(number: int) -> dict[str, Any]:
    """The users of the table in turn, repeatedly."""
    return {"user_id": 1 + number % USERS, "top_n": 10}


def measure(url: str, plan: Plan, texts: Sequence[str]) -> dict[str, Cost]:
    """All designs over one table, alternating in rounds."""

    def unseen(number: int) -> dict[str, Any]:
        text = f"{texts[number % len(texts)]}, {number} {time.time_ns()}"
        return {"skills": text, "top_n": 10}

    with ExitStack() as stack:
        servers = {d: stack.enter_context(_start(d, url)) for d in plan.designs}
        costs = {design: Cost(healthy_s=s.healthy_s) for design, s in servers.items()}
        costs |= {UNSEEN: Cost(), FLOOR: Cost()}
        for server in servers.values():
            closed_loop(server.port, known_user, clients=1, requests=2)
        # The service caches the embeddings of recent users; the guide does not.
        closed_loop(servers[PROJECT].port, known_user, clients=16, requests=USERS)
        for _ in range(plan.rounds):
            _round(plan, servers, costs, unseen, url)
        for design, server in servers.items():
            costs[design].memory = server.memory()
    return costs


def _round(
    plan: Plan,
    servers: dict[str, Running],
    costs: dict[str, Cost],
    unseen: Body,
    url: str,
) -> None:
    _add(costs[FLOOR], 1, floor(url, seconds=plan.slice_s / 2))
    for clients in plan.clients:
        for design, server in servers.items():
            if clients > 1 and not worth_waiting_for(costs[design], clients):
                continue
            before = server.cpu_s()
            load = closed_loop(
                server.port, known_user, clients=clients, seconds=plan.slice_s
            )
            if clients == 1:
                costs[design].cpu_s = (server.cpu_s() - before) / len(load.latencies_s)
            _add(costs[design], clients, load)
        load = closed_loop(
            servers[PROJECT].port, unseen, clients=clients, seconds=plan.slice_s
        )
        _add(costs[UNSEEN], clients, load)


def worth_waiting_for(cost: Cost, clients: int) -> bool:
    """Whether a loop of many clients of this design ends in reasonable time.

    The guide serves one request at a time, so one client has shown its speed.
    """
    return cost.loads[1].percentile_ms(50) * clients < 40_000


def _add(cost: Cost, clients: int, load: Load) -> None:
    if clients in cost.loads:
        cost.loads[clients].merge(load)
    else:
        cost.loads[clients] = load


@contextmanager
def _start(design: str, url: str, **settings: str) -> Iterator[Running]:
    if design == PROJECT:
        with project(url, **settings) as running:
            yield running
        return
    (key,) = (k for k, name in GUIDE_DESIGNS.items() if name == design)
    with guide(key, url) as running:
        yield running


def start_up(url: str, designs: Sequence[str], costs: dict[str, Cost]) -> None:
    """Seconds from the start of the process to healthy (the median of STARTS), and to
    the first response of the last one.
    """
    for design in designs:
        healthy = []
        for _ in range(STARTS):
            start = time.perf_counter()
            with _start(design, url) as server:
                healthy.append(server.healthy_s)
                if len(healthy) == STARTS:
                    closed_loop(server.port, known_user, clients=1, requests=1)
                    costs[design].first_answer_s = time.perf_counter() - start
        costs[design].healthy_s = statistics.median(healthy)


def received(url: str, designs: Sequence[str], costs: dict[str, Cost]) -> None:
    """Bytes from the database for one recommendation, with warm pools and caches."""
    requests = 3
    for design in designs:
        with counted(url) as (proxied, counter), _start(design, proxied) as server:
            closed_loop(server.port, known_user, clients=1, requests=1)
            before = counter.received
            closed_loop(server.port, known_user, clients=1, requests=requests)
            costs[design].received_bytes = (counter.received - before) / requests


class _Nowhere:
    """Discards the rows of a COPY."""

    def write(self, _data: bytes, /) -> None:
        pass


def floor(url: str, *, seconds: float) -> Load:
    """The same COPY with discarded bytes: the lower limit of any client of libpq."""
    load = Load()
    with closing(Database(url, pool_size=1)) as database:
        start = time.perf_counter()
        while time.perf_counter() - start < seconds or len(load.latencies_s) < 3:
            began = time.perf_counter()
            with database.snapshot(Deadline.after(600)) as transaction:
                jobs = Catalogue.read(transaction).jobs
                stream_embeddings(
                    transaction, _Nowhere(), jobs=jobs, version="all-MiniLM-L6-v2"
                )
            load.latencies_s.append(time.perf_counter() - began)
        load.took_s = time.perf_counter() - start
    return load


def postgres_version(url: str) -> str:
    """The version that the server reports."""
    with closing(psycopg2.connect(url)) as connection:
        return str(connection.info.parameter_status("server_version"))
