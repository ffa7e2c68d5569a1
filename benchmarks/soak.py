"""`make soak`: load and faults for a long time, then a report.

Clients send requests without pause; a script causes all database faults in turn. At the
end no response may have been wrong, memory must be constant and nothing may have
leaked.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import psycopg2

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from benchmarks.run import write_page  # noqa: E402
from benchmarks.soak_report import CLIENTS, JOBS, Sample, Seen, judge  # noqa: E402
from tests.support.bulk import fill_jobs  # noqa: E402
from tests.support.cluster import DATABASE, Cluster, running_cluster  # noqa: E402
from tests.support.metrics import metric  # noqa: E402
from tests.support.postgres import run  # noqa: E402
from tests.support.proxy import Proxy, running_proxy  # noqa: E402
from tests.support.rows import add_user  # noqa: E402
from tests.support.service import Service, running_service  # noqa: E402

REPORT = ROOT / "benchmarks" / "soak-report.md"
USERS = 20
FAULT_S = 3.0
CALM_S = 3.0
MIDWAY_BYTES = 2_000_000


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_cluster() as cluster,
        running_proxy(cluster.socket) as proxy,
    ):
        fill_jobs(cluster.url, JOBS)
        for user in range(USERS):
            add_user(cluster.url, user, f"python, skill {user}")
        with running_service(
            proxy.url(DATABASE), Path(folder) / "log", REQUEST_TIMEOUT_S="4"
        ) as service:
            passed, report = _soak(service, cluster, proxy, args.minutes)
            problems = _problems_in(service.log)
    report += f"\nTracebacks in the log: {problems}.\n"
    REPORT.write_text(report)
    write_page()
    print(report)
    return 0 if passed and problems == 0 else 1


def _soak(
    service: Service, cluster: Cluster, proxy: Proxy, minutes: float
) -> tuple[bool, str]:
    expected = [_ask(service.client, user)[1] for user in range(USERS)]
    for _ in range(20):  # to warm up
        for user in range(USERS):
            _ask(service.client, user)
    before = _sample(service)
    seen, done = Seen(), threading.Event()
    threads = [
        threading.Thread(target=_client, args=(service, expected, seen, done, n))
        for n in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    recoveries = _break_in_turn(
        service, cluster, proxy, time.monotonic() + minutes * 60
    )
    done.set()
    for thread in threads:
        thread.join()
    return judge(minutes, seen, recoveries, before, _sample_at_rest(service, before))


def _ask(client: httpx.Client, user: int) -> tuple[int, str]:
    response = client.post("/api/recommend", json={"user_id": user, "top_n": 20})
    return response.status_code, response.text


def _client(
    service: Service, expected: list[str], seen: Seen, done: threading.Event, seed: int
) -> None:
    with httpx.Client(base_url=service.client.base_url, timeout=60) as client:
        number = seed
        while not done.is_set():
            user = number % USERS
            number += 1
            start = time.monotonic()
            status, text = _ask(client, user)
            wrong = text if status == 200 and text != expected[user] else None
            if status not in (200, 503):
                wrong = f"{status}: {text}"
            seen.add(status, time.monotonic() - start, wrong)
            if number % 10 == 0:
                client.post("/api/recommend", content=b"{")  # bad input among it
            if status == 503:
                done.wait(0.05)


def _faults(cluster: Cluster, proxy: Proxy) -> dict[str, Callable[[], None]]:
    def midway(fault: Callable[[], None]) -> Callable[[], None]:
        return lambda: proxy.after_bytes(MIDWAY_BYTES, fault)

    def terminate() -> None:
        run(
            cluster.url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'job-recommender'",
        )

    def restart() -> None:
        cluster.stop()
        cluster.start()

    def kill() -> None:
        cluster.kill()
        cluster.start()

    def lock() -> None:
        with closing(psycopg2.connect(cluster.url)) as connection:
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE skill_job1 IN ACCESS EXCLUSIVE MODE")
            time.sleep(FAULT_S)

    return {
        "refused": proxy.refuse,
        "reset in mid-scan": midway(proxy.reset),
        "closed in mid-scan": midway(proxy.cut),
        "stalled in mid-scan": midway(proxy.stall),
        "black hole": proxy.stall,
        "slow": lambda: proxy.slow(0.02),
        "backends terminated": terminate,
        "terminated in mid-scan": midway(terminate),
        "restarted": restart,
        "killed with SIGKILL": kill,
        "table locked": lock,
    }


def _break_in_turn(
    service: Service, cluster: Cluster, proxy: Proxy, until: float
) -> dict[str, list[float]]:
    """Cause each fault repeatedly. Returns seconds from its end to a response."""
    faults = _faults(cluster, proxy)
    recoveries: dict[str, list[float]] = {name: [] for name in faults}
    while time.monotonic() < until:
        for name, fault in faults.items():
            fault()
            time.sleep(FAULT_S)
            proxy.restore()
            recoveries[name].append(_seconds_to_answer(service))
            time.sleep(CALM_S)
            if time.monotonic() > until:
                break
    return recoveries


def _seconds_to_answer(service: Service) -> float:
    start = time.monotonic()
    while _ask(service.client, 0)[0] != 200:
        if time.monotonic() - start > 60:
            return float("inf")
        time.sleep(0.02)
    return time.monotonic() - start


def _sample(service: Service) -> Sample:
    process = psutil.Process(service.process.pid)
    anonymous = metric(service, "recommender_process_anonymous_bytes") / 2**20
    return Sample(anonymous, process.num_fds(), process.num_threads())


def _sample_at_rest(service: Service, before: Sample) -> Sample:
    # The server closes idle connections of the clients after five seconds.
    deadline = time.monotonic() + 20
    while True:
        sample = _sample(service)
        if sample.descriptors <= before.descriptors or time.monotonic() > deadline:
            return sample
        time.sleep(0.5)


def _problems_in(log: str) -> int:
    return log.count('"exception"')


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
