"""One look at a deployment: schema, triggers, ids, rights, rows, model, traffic,
sizes, limits. It changes nothing, and reads no large table whole.

Exit status: 0 when all is well, 1 when something is to be fixed, 2 when it cannot be
told, because the database is away or a setting is missing.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict

import app.commands.one_blas_thread  # noqa: F401  (before NumPy)
from app.commands.migration_files import checksums
from app.config import Settings, read_settings
from app.errors import AppError
from app.ops.backend_advice import EgressEstimate
from app.ops.doctor import Examination, Scope, examine
from app.ops.online import report_lines
from app.query.numbers import counted
from app.storage.connection.database import Database
from app.storage.connection.dsn import primary
from app.storage.coverage import Coverage

MEGABYTE = 1_000_000


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    try:
        settings = read_settings(Settings)
        dsn = primary(settings.database_url.get_secret_value())
        with closing(Database(dsn, pool_size=1)) as database:
            scope = Scope(
                args.requests_per_day, args.egress_price, args.timeout, checksums()
            )
            found = examine(database, settings, scope)
    except AppError as error:
        print(json.dumps({"error": str(error)}) if args.json else f"doctor: {error}")
        return 2
    print(_json(found) if args.json else "\n".join(_lines(found)))
    return 1 if found.findings else 0


def _lines(found: Examination) -> Iterator[str]:
    yield from _figures(found)
    if found.traffic is not None:
        yield f"traffic: {_traffic(found.traffic)}"
        if found.traffic.advised is not None:
            yield f"advice: {_advice(found.traffic)}"
    if found.online is not None:
        yield from report_lines(found.online)
    if found.limits is not None:
        superuser = ", a superuser" if found.limits.is_superuser else ""
        yield (
            f"connections: {found.limits.connections_in_use} of"
            f" {found.limits.connections} in use"
        )
        yield f"role: {found.limits.role}{superuser}"
    for finding in found.findings:
        yield f"\n{finding.problem}\n    {finding.mend}"
    if not found.findings:
        yield "\nAll is well."


def _figures(found: Examination) -> Iterator[str]:
    about = "about " if found.is_estimate else ""
    for name, counts in (("jobs", found.jobs), ("users", found.users)):
        if counts is not None:
            yield f"{name}: {about}{_counts(counts)}"
    for size in found.sizes:
        yield (
            f"size: {size.name} {size.total_bytes / MEGABYTE:.1f} MB, of which rows"
            f" {size.row_bytes / MEGABYTE:.1f} MB"
        )


def _counts(counts: Coverage) -> str:
    return ", ".join(f"{count} {state}" for state, count in asdict(counts).items())


def _traffic(traffic: EgressEstimate) -> str:
    return (
        f"{traffic.bytes_per_recommendation / MEGABYTE:.1f} MB a recommendation, at"
        f" most {traffic.bytes_per_month / MEGABYTE:.0f} MB a month for"
        f" {traffic.requests_per_day} requests a day"
    )


def _advice(traffic: EgressEstimate) -> str:
    figures = (
        f"{counted(traffic.jobs, 'jobs')}, and {traffic.usd_per_month:.0f} USD a month;"
        " with"
    )
    disk_mb = max(1, round(traffic.replica_disk_bytes / MEGABYTE))
    if traffic.advised == "replica":
        return (
            f"{figures} SEARCH_BACKEND=replica a recommendation moves"
            f" {traffic.bytes_with_replica / 1000:.0f} KB and the disk at CACHE_DIR"
            f" holds {disk_mb} MB, see docs/replica.md"
        )
    return (
        f"{figures} SEARCH_BACKEND=pgvector a recommendation moves"
        f" {traffic.bytes_with_pgvector / 1000:.0f} KB, see docs/pgvector.md; the disk"
        f" at CACHE_DIR has no room for the {disk_mb} MB of SEARCH_BACKEND=replica"
    )


def _json(found: Examination) -> str:
    seen = asdict(found)
    if found.online is not None and found.online.since is not None:
        seen["online"]["since"] = found.online.since.isoformat()
    if found.traffic is not None:
        seen["traffic"]["bytes_per_month"] = found.traffic.bytes_per_month
        seen["traffic"]["usd_per_month"] = found.traffic.usd_per_month
        seen["traffic"]["advised"] = found.traffic.advised
    return json.dumps(seen, indent=2)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--requests-per-day",
        type=int,
        default=1000,
        metavar="COUNT",
        help="for the estimate of a month's traffic (default: %(default)s)",
    )
    parser.add_argument(
        "--egress-price",
        type=float,
        default=0.09,
        metavar="USD",
        help="per GB that leaves the database (default: %(default)s, Supabase beyond"
        " what a plan includes)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="for each check: one that takes longer is given up, and named (default:"
        " %(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
