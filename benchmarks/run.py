"""`make bench`: the project and the guide's designs in one run, into RESULTS.md."""

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import health, measure, memory, plots, report
from benchmarks.cgroup import NoCgroupError
from benchmarks.servers import GUIDE_DESIGNS, PROJECT, ROOT
from benchmarks.tables import bench_server, real_texts, table_of

HERE = ROOT / "benchmarks"
EVERYONE = (PROJECT, *GUIDE_DESIGNS.values())

SIZES = {
    "quick": (1_000, 10_000),
    "normal": (1_000, 10_000, 100_000),
    "full": (1_000, 10_000, 100_000, 1_000_000),
}
CONTRACT_ROWS = 10_000
LIMIT_ROWS = 100_000


def main(argv: Sequence[str] | None = None) -> int:
    mode = _mode(argv)
    with bench_server() as server:
        results: dict[str, Any] = {"mode": mode, "machine": _machine(), "sizes": {}}
        for rows in SIZES[mode]:
            url = table_of(server, rows)
            results["postgres"] = measure.postgres_version(url)
            results["sizes"][str(rows)] = _size(url, rows, mode)
        if mode != "quick":
            contract, large = (table_of(server, n) for n in (CONTRACT_ROWS, LIMIT_ROWS))
            print("health …", flush=True)
            results["health"] = health.under_load(large)
            results["over_time"] = _over_time(contract)
            results["limits"] = _limits(contract, large)
    _write(results, HERE if mode != "quick" else ROOT / ".data" / "bench")
    return 0


def _size(url: str, rows: int, mode: str) -> dict[str, Any]:
    print(f"{rows} jobs …", flush=True)
    designs = EVERYONE if rows <= LIMIT_ROWS else (PROJECT,)
    plan = measure.Plan(
        clients=(1,) if rows > LIMIT_ROWS else (1, 16, 64),
        rounds=1 if mode == "quick" else 2,
        slice_s=2.0 if mode == "quick" else 3.0,
        designs=designs,
    )
    costs = measure.measure(url, plan, real_texts("users", 20_000))
    if rows == CONTRACT_ROWS:
        measure.start_up(url, designs, costs)
        measure.received(url, designs, costs)
    return {design: cost.summary() for design, cost in costs.items()}


def _over_time(url: str) -> dict[str, Any]:
    print("memory over time …", flush=True)
    samples = memory.over_time(url, seconds=10, clients=16)
    return {design: [asdict(s) for s in seen] for design, seen in samples.items()}


# Of many clients at first each brings a text that is new: so long that this is over
# well before the median.
SECONDS = {1: 10, 64: 30}
LIMITS: dict[str, dict[str, Any]] = {
    "no limit": {"memory_bytes": None},
    "110 MB": {"memory_bytes": memory.LIMIT_BYTES},
    "110 MB and half a CPU": {"memory_bytes": memory.LIMIT_BYTES, "cpus": 0.5},
}


def _limits(contract: str, large: str) -> dict[str, Any]:
    print("under kernel limits …", flush=True)
    found: dict[str, Any] = {}
    for rows, url in ((CONTRACT_ROWS, contract), (LIMIT_ROWS, large)):
        for name, limit in LIMITS.items():
            for clients, seconds in SECONDS.items():
                try:
                    seen = memory.under_limit(
                        url, clients=clients, seconds=seconds, **limit
                    )
                except NoCgroupError as error:
                    print(f"SKIPPED: {error}", file=sys.stderr)
                    return {}
                found[f"{rows}, {name}, {clients}"] = _limit_row(seen)
    return found


def _limit_row(seen: memory.UnderLimit) -> dict[str, Any]:
    row = {key: value for key, value in asdict(seen).items() if key != "load"}
    return row | {
        "p50_ms": seen.load.percentile_ms(50),
        "p95_ms": seen.load.percentile_ms(95),
        "per_second": seen.load.per_second,
        "statuses": seen.load.statuses,
    }


def _machine() -> str:
    cpu = next(
        line.split(": ")[1]
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    cores = len(Path("/proc/cpuinfo").read_text().split("processor\t")) - 1
    return f"{cores} cores of {cpu}, {versions}"


def _write(results: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1))
    write_page(folder)
    plots.draw(results, folder / "plots")
    print(f"Written to {(folder / 'RESULTS.md').relative_to(ROOT)}.")


def write_page(folder: Path = HERE) -> None:
    """Write RESULTS.md from the figures in the folder, and the soak test's report."""
    results = json.loads((folder / "results.json").read_text())
    soak = folder / "soak-report.md"
    page = report.markdown(results, soak.read_text() if soak.exists() else "")
    (folder / "RESULTS.md").write_text(page)


def _mode(argv: Sequence[str] | None) -> str:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute")
    parser.add_argument("--full", action="store_true", help="also 1,000,000 jobs")
    args = parser.parse_args(argv)
    return "quick" if args.quick else "full" if args.full else "normal"


if __name__ == "__main__":
    sys.exit(main())
