"""Memory over time, and under a kernel limit."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.cgroup import Cgroup, drop_caches, limited
from benchmarks.load import Load, closed_loop
from benchmarks.measure import known_user
from benchmarks.servers import GUIDE_DESIGNS, PROJECT, Running, guide, project

LIMIT_BYTES = 110_000_000
SAMPLE_S = 0.1


@dataclass(frozen=True)
class Sample:
    """Seconds since the start of the measurement, RSS in MB (10**6 bytes)."""

    at_s: float
    rss_mb: float


def over_time(url: str, *, seconds: float, clients: int) -> dict[str, list[Sample]]:
    """RSS of each design alone, from its start under steady load."""
    samples = {}
    for design, starts in (
        (PROJECT, project(url)),
        *((name, guide(key, url)) for key, name in GUIDE_DESIGNS.items()),
    ):
        began = time.perf_counter()
        with starts as server, _sampled(server, began) as seen:
            closed_loop(server.port, known_user, clients=clients, seconds=seconds)
        samples[design] = seen
    return samples


@contextmanager
def _sampled(server: Running, began: float) -> Iterator[list[Sample]]:
    seen: list[Sample] = []

    def sample() -> None:
        seen.append(Sample(time.perf_counter() - began, server.memory().rss_mb))

    with sampling(sample, SAMPLE_S):
        yield seen


@contextmanager
def sampling(sample: Callable[[], None], every_s: float) -> Iterator[None]:
    """Call `sample` again and again in a thread."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(every_s):
            sample()

    sampler = threading.Thread(target=run)
    sampler.start()
    try:
        yield
    finally:
        done.set()
        sampler.join()


@dataclass(frozen=True)
class UnderLimit:
    """A minute of load, and the kernel's counters."""

    load: Load
    first_answer_s: float
    peak_charged_mb: float | None
    oom_kills: int
    major_faults: int
    anon_mb: float
    answers_differ: int


def under_limit(
    url: str,
    *,
    memory_bytes: int | None,
    cpus: float | None = None,
    clients: int,
    seconds: float,
    expected: dict[int, Any] | None = None,
    settings: Mapping[str, str] | None = None,
) -> UnderLimit:
    """The service, with `settings`, in a cgroup of its own, the page cache emptied
    first.

    With `expected`, answers by user as another run gave them, differences are counted.
    Raises NoCgroupError where no cgroup can be made.
    """
    differ = 0

    def check(body: dict[str, Any], answer: dict[str, Any]) -> None:
        nonlocal differ
        if expected is not None:
            differ += answer != expected[body["user_id"]]

    with ExitStack() as stack:
        group = stack.enter_context(
            limited("job-recommender-bench", memory_bytes=memory_bytes, cpus=cpus)
        )
        drop_caches()
        began = time.perf_counter()
        server = stack.enter_context(
            project(url, wrapper=inside(group), **(settings or {}))
        )
        closed_loop(server.port, known_user, clients=1, requests=1)
        first_answer_s = time.perf_counter() - began
        load = closed_loop(
            server.port, known_user, clients=clients, seconds=seconds, check=check
        )
        return UnderLimit(
            load=load,
            first_answer_s=first_answer_s,
            peak_charged_mb=group.peak_bytes() / 1e6,
            oom_kills=group.oom_kills(),
            major_faults=group.major_faults(),
            anon_mb=server.memory().anon_mb,
            answers_differ=differ,
        )


def inside(group: Cgroup) -> Sequence[str]:
    """A command prefix that joins the group before the service starts."""
    files = " ".join(f"{f}/cgroup.procs" for f in {group.memory, group.cpu})
    return ["sh", "-c", f'for f in {files}; do echo $$ > $f; done; exec "$@"', "-"]
