"""Makes benchmarks/MILLION.md of what `benchmarks.million` measured."""

from collections.abc import Iterator
from typing import Any

from benchmarks.recombined import NEAR_REPEATS, REPEATS

HEAD = """# A million jobs, ranked inside the database

`make bench-million` wrote this page. The jobs: 51,433 real postings with MiniLM's
embeddings of their texts; each further one takes the first half of the skills of one
posting and the second half of another's, and the normalised sum of the two embeddings.
The near-repeats: of 3,000 real postings each is there 33 times, with noise, at a cosine
of 0.96 and more. 2,000 real users with stored embeddings ask in turn for ten jobs each.
Embedded PostgreSQL with pgvector, `shared_buffers` 4 GB; service, database and clients
share the machine's two processors. The load is what `uptime` said after each part:
beyond 2 other work took its share, and latencies are upper bounds.
"""


def page(found: dict[str, Any]) -> str:
    """The whole page, in Markdown."""
    return "\n".join([HEAD, *(line for name in found for line in _table(name, found))])


def _table(name: str, found: dict[str, Any]) -> Iterator[str]:
    here = found[name]
    jobs = "near-repeats" if name == NEAR_REPEATS else "jobs"
    yield f"## {REPEATS if name == NEAR_REPEATS else int(name):,} {jobs}"
    yield ""
    yield "| what | measured | load |"
    yield "| --- | --- | --- |"
    for part, lines in LINES.items():
        if part in here:
            for what, measured in lines(here[part]):
                yield f"| {what} | {measured} | {here['load'][part]:.0f} |"
    yield ""


def _build(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "processor" in part:
        yield "processors", part["processor"]
    if part["filled"]:
        rate = part["filled"] / part["fill_s"]
        yield "vectors from stored embeddings", f"{rate:,.0f} a second"
        yield "index, table vacuumed first", f"{part['build_s']:,.0f} s"
    yield "size of the index", f"{part['index_mb']:,.0f} MB"
    yield "size of the table", f"{part['table_mb']:,.0f} MB"


def _latency(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for clients in ("1", "16", "64"):
        yield f"{clients} clients", _times(part[clients])
        if "processor_ms" in part[clients]:
            service, database, client = part[clients]["processor_ms"]
            spent = f"{service:.1f} service, {client:.1f} client"
            yield "… processor time a request", f"{database:.1f} ms Postgres, {spent}"
    yield "memory of the service that cannot be reclaimed", f"{part['anon_mb']:.1f} MB"
    if "huge_pages" in part:
        yield "huge pages for Postgres", part["huge_pages"]


def _replica(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for clients in ("1", "16", "64"):
        yield f"the replica, {clients} clients", _times(part[clients])
    yield (
        "… its files, and the time to fill them",
        (f"{part['files_mb']:,.0f} MB, {part['filled_s']:.0f} s"),
    )
    yield "… memory that cannot be reclaimed", f"{part['anon_mb']:.1f} MB"
    if "not_measured" not in part["limited"]:
        inside = part["limited"]
        yield "… 16 clients, the service in 512 MB", _times(inside)
        yield (
            "… … not reclaimable, killed",
            f"{inside['anon_mb']:.1f} MB, {inside['oom_kills']} times",
        )


def _limited(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "not_measured" in part:
        return
    yield "16 clients, the service in 110 MB", _times(part)
    yield (
        "… most memory charged to it, killed",
        f"{part['peak_charged_mb']:.1f} MB, {part['oom_kills']} times",
    )


def _bytes(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    received = part["received_bytes"]
    yield "bytes from the database, a recommendation", f"{received:,.0f}"


def _distant(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    far = f"{part['round_trip_ms']:.0f} ms"
    yield f"1 client, the database {far} away, there and back", _times(part)


def _recall(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield f"recall@10, {part['users']} users", f"{part['recall_at_10']:.4f}"
    yield '`"exact": true`, one client', f"p50 {part['exact_p50_ms']:,.0f} ms"


def _stream(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield f"the stream, one client, {part['requests']} requests", _times(part)
    if "peak_rss_mb" in part:
        yield (
            "… its service: peak RSS, and what of it cannot be reclaimed",
            f"{part['peak_rss_mb']:.1f} MB, {part['anon_mb']:.1f} MB",
        )


def _times(part: dict[str, Any]) -> str:
    other = sum(count for status, count in part["statuses"].items() if status != "200")
    return (
        f"p50 {part['p50_ms']:,.0f}, p95 {part['p95_ms']:,.0f}, p99"
        f" {part['p99_ms']:,.0f} ms; {part['per_second']:.3g} a second"
        + (f"; {other} not answered" if other else "")
    )


LINES = {
    "build": _build,
    "latency": _latency,
    "limited": _limited,
    "bytes": _bytes,
    "distant": _distant,
    "recall": _recall,
    "stream": _stream,
    "replica": _replica,
}
