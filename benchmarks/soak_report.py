"""The verdict and the report of the soak test."""

import json
import platform
import threading
from collections import Counter
from dataclasses import dataclass, field

import psutil

JOBS = 5000
CLIENTS = 8
RECOVERED_WITHIN_S = 10.0
MAY_GROW_MB = 3.0
MAY_OPEN = 10


@dataclass
class Seen:
    """The clients' observations."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, status: int, seconds: float, wrong: str | None) -> None:
        with self.lock:
            self.statuses[status] += 1
            self.slowest_s = max(self.slowest_s, seconds)
            if wrong:
                self.wrong.append(wrong)


@dataclass(frozen=True)
class Sample:
    """The service at rest."""

    anonymous_mb: float
    descriptors: int
    threads: int


def judge(
    minutes: float,
    seen: Seen,
    recoveries: dict[str, list[float]],
    before: Sample,
    after: Sample,
) -> tuple[bool, str]:
    grown_mb = after.anonymous_mb - before.anonymous_mb
    worst = max((s for each in recoveries.values() for s in each), default=0.0)
    passed = (
        not seen.wrong
        and seen.statuses[200] > 0
        and grown_mb < MAY_GROW_MB
        and after.descriptors <= before.descriptors + MAY_OPEN
        and after.threads <= before.threads + 1
        and worst < RECOVERED_WITHIN_S
    )
    rows = "\n".join(
        f"| {name} | {len(each)} | {max(each, default=0):.2f} |"
        for name, each in recoveries.items()
    )
    return (
        passed,
        f"""# Soak

{"Passed" if passed else "FAILED"}: {minutes:g} minutes, {CLIENTS} clients, {JOBS} jobs,
every fault of the database in turn. Python {platform.python_version()},
{platform.machine()}, {psutil.cpu_count()} processors.

Answers: {json.dumps(dict(sorted(seen.statuses.items())))}.
Wrong ones: {len(seen.wrong)} {json.dumps(seen.wrong[:3])}.
The slowest took {seen.slowest_s:.1f} s (deadline 4 s).

| | before | after |
| --- | --- | --- |
| memory, MB (RssAnon) | {before.anonymous_mb:.1f} | {after.anonymous_mb:.1f} |
| descriptors | {before.descriptors} | {after.descriptors} |
| threads | {before.threads} | {after.threads} |

| fault | times | slowest recovery, s |
| --- | --- | --- |
{rows}
""",
    )
