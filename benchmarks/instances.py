"""`python -m benchmarks.instances`: one, two and four instances behind HAProxy.

Each instance has SEARCH_BACKEND=replica, a disk of its own and a fixed share of a
processor (a cgroup), so that one machine can show several hosts. The set-ups take turns
over the same instances and one Postgres. Needs HAProxy and a writable cgroup hierarchy.
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.cgroup import limited
from benchmarks.load import Load, closed_loop
from benchmarks.measure import known_user
from benchmarks.memory import inside
from benchmarks.replica import wait_until_filled
from benchmarks.servers import Running, free_port, project, wait_until_healthy
from benchmarks.tables import USERS, bench_server, table_of

HEAD = (
    "| instances | clients | p50 ms | p95 ms | answers a second | beside one |"
    " processor ms an answer: service, Postgres | other answers |"
)
SECONDS = 4.0
FILLED_WITHIN_S = 600.0
Answers = dict[int, Any]


@dataclass
class Measured:
    """What a number of instances answered, and the processor seconds it took."""

    load: Load = field(default_factory=Load)
    service_s: float = 0.0
    postgres_s: float = 0.0
    differing: int = 0

    def row(self, instances: int, clients: int, one: "Measured") -> str:
        load, answers = self.load, len(self.load.latencies_s)
        return (
            f"| {instances} | {clients} | {load.percentile_ms(50):.0f}"
            f" | {load.percentile_ms(95):.0f} | {load.per_second:.0f}"
            f" | {load.per_second / one.load.per_second:.2f}"
            f" | {1000 * self.service_s / answers:.2f},"
            f" {1000 * self.postgres_s / answers:.2f} | {self.differing} |"
        )


@dataclass(frozen=True)
class SetUp:
    """The first instances of all, and the port of their proxy."""

    instances: Sequence[Running]
    port: int


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    with bench_server() as server:
        url = table_of(server, args.rows)
        postmaster = psutil.Process(server.get_postmaster_info().process.pid)
        with ExitStack() as stack:
            running = [
                stack.enter_context(_instance(url, number, args.cpus))
                for number in range(max(args.instances))
            ]
            set_ups = stack.enter_context(_proxied(running, args.instances))
            found = _measure(set_ups, args, postmaster)
    print(f"{args.rows:,} jobs, {args.cpus} of a processor for each instance")
    print(f"{HEAD}\n{'| --- ' * 8}|")
    for instances, measured in found.items():
        one = found[args.instances[0]]
        print(measured.row(instances, args.clients * instances, one))
    return 0


def _measure(
    set_ups: dict[int, SetUp], args: argparse.Namespace, postmaster: psutil.Process
) -> dict[int, Measured]:
    expected: Answers = {}

    def note(asked: dict[str, Any], answer: dict[str, Any]) -> None:
        expected[asked["user_id"]] = answer

    # All answers of one instance, which others are compared with; and each instance
    # then remembers the embeddings of its users.
    first = next(iter(set_ups.values())).instances[0]
    closed_loop(first.port, known_user, clients=4, requests=USERS, check=note)
    for server in max(set_ups.values(), key=lambda s: len(s.instances)).instances:
        closed_loop(server.port, known_user, clients=4, requests=USERS)
    found = {count: Measured() for count in set_ups}
    for _ in range(args.rounds):
        for count, set_up in set_ups.items():
            _slice(set_up, found[count], args.clients * count, expected, postmaster)
    return found


def _slice(
    set_up: SetUp,
    measured: Measured,
    clients: int,
    expected: Answers,
    postmaster: psutil.Process,
) -> None:
    def check(asked: dict[str, Any], answer: dict[str, Any]) -> None:
        measured.differing += answer != expected[asked["user_id"]]

    service_s = sum(server.cpu_s() for server in set_up.instances)
    postgres_s = _cpu_s(postmaster)
    load = closed_loop(
        set_up.port, known_user, clients=clients, seconds=SECONDS, check=check
    )
    measured.load.merge(load.all_answered())
    measured.service_s += sum(s.cpu_s() for s in set_up.instances) - service_s
    measured.postgres_s += _cpu_s(postmaster) - postgres_s


def _cpu_s(postmaster: psutil.Process) -> float:
    """Processor seconds of the server's sessions; those of instances last long."""
    seconds = 0.0
    for process in (postmaster, *postmaster.children()):
        times = process.cpu_times()
        seconds += times.user + times.system
    return seconds


@contextmanager
def _instance(url: str, number: int, cpus: float) -> Iterator[Running]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        group = stack.enter_context(limited(f"instance-{number}", cpus=cpus))
        settings = {"SEARCH_BACKEND": "replica", "CACHE_DIR": folder}
        running = stack.enter_context(project(url, wrapper=inside(group), **settings))
        # By a share of a processor, beside other work.
        wait_until_filled(Path(folder), within_s=FILLED_WITHIN_S)
        yield running


@contextmanager
def _proxied(
    running: Sequence[Running], counts: Sequence[int]
) -> Iterator[dict[int, SetUp]]:
    """HAProxy with a port for each number of instances: requests go round robin."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        raise SystemExit("HAProxy is missing: apt-get install haproxy")
    set_ups = {count: SetUp(running[:count], free_port()) for count in counts}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "haproxy.cfg"
        file.write_text(_configuration(set_ups))
        process = subprocess.Popen([program, "-db", "-f", str(file)])
        try:
            for set_up in set_ups.values():
                wait_until_healthy(process, set_up.port, time.perf_counter())
            yield set_ups
        finally:
            process.terminate()
            process.wait(30)


def _configuration(set_ups: dict[int, SetUp]) -> str:
    text = (
        "defaults\n  mode http\n  balance roundrobin\n  timeout connect 5s\n"
        "  timeout client 60s\n  timeout server 60s\n"
    )
    for count, set_up in set_ups.items():
        text += f"listen of-{count}\n  bind 127.0.0.1:{set_up.port}\n"
        for number, server in enumerate(set_up.instances):
            text += f"  server s{number} 127.0.0.1:{server.port}\n"
    return text


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--instances", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--cpus", type=float, default=0.25)
    parser.add_argument(
        "--clients", type=int, default=16, help="for each instance of a set-up"
    )
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
