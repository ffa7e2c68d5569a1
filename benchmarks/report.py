"""The tables of RESULTS.md: all figures from one run, except those of the soak test."""

from typing import Any

from benchmarks.measure import FLOOR, UNSEEN
from benchmarks.servers import GUIDE_DESIGNS, PROJECT

ALL, BATCHES, RAM = (GUIDE_DESIGNS[key] for key in ("fetch_all", "batches", "ram"))


def markdown(results: dict[str, Any], soak: str = "") -> str:
    """The whole page; `soak` is the report of `make soak`, from a run of its own."""
    parts = [
        "# Results\n",
        _preface(results),
        "## Promises\n",
        _promises(results),
    ]
    for rows, costs in results["sizes"].items():
        parts += [f"## {int(rows):,} jobs\n", _size_table(costs)]
    if results.get("limits"):
        parts += ["## Under limits that the kernel enforces\n", _limits(results)]
    parts += ["## Pictures\n", _pictures(results)]
    if soak:
        parts.append(soak.replace("# Soak", "## Soak (`make soak`)", 1))
    return "\n".join(parts)


def _preface(results: dict[str, Any]) -> str:
    return (
        f"Written by `make bench` ({results['mode']} run) on {results['machine']},"
        f" PostgreSQL {results['postgres']} on the same machine. Cores are shared and"
        " noisy: compare within this page, not with other pages.\n"
    )


def _promises(results: dict[str, Any]) -> str:
    rows: list[tuple[str, ...]] = [("promise", "measured", "kept")]
    for check in (_at_10_000, _at_100_000, _memory, _start, _health):
        rows += check(results)
    return _table(rows)


def _at_10_000(results: dict[str, Any]) -> list[tuple[str, ...]]:
    costs = results["sizes"].get("10000")
    if costs is None:
        return []
    ours, unseen = _p50(costs, PROJECT), _p50(costs, UNSEEN)
    many = costs[PROJECT]["clients"]["64"]["per_second"]
    found = [
        _row("10,000 jobs, one client: p50 ≤ 50 ms", ours, "{:.1f} ms", ours <= 50),
        _row("the same for a text not seen before", unseen, "{:.1f} ms", unseen <= 50),
        _at_most("p50 of fetch all, at most 1/4", ours / _p50(costs, ALL), 1 / 4),
        _at_most("p50 of the RAM design, below it", ours / _p50(costs, RAM), 1),
    ]
    for design, times in ((ALL, 40), (RAM, 10)):
        theirs = costs[design]["clients"].get("64")
        if theirs:
            ratio = many / theirs["per_second"]
            text = f"64 clients: {times} times the throughput of {design}"
            found.append(_row(text, ratio, "{:.1f} times", ratio >= times))
    return found


def _at_100_000(results: dict[str, Any]) -> list[tuple[str, ...]]:
    costs = results["sizes"].get("100000")
    if costs is None:
        return []
    ours = _p50(costs, PROJECT)
    return [
        _at_most("100,000 jobs: p50 of fetch all, 1/5", ours / _p50(costs, ALL), 1 / 5),
        _at_most(
            "100,000 jobs: p50 of LIMIT/OFFSET, 1/12",
            ours / _p50(costs, BATCHES),
            1 / 12,
        ),
        _at_most("100,000 jobs: the COPY floor, 1.6", ours / _p50(costs, FLOOR), 1.6),
    ]


def _memory(results: dict[str, Any]) -> list[tuple[str, ...]]:
    sizes = {int(r): c[PROJECT]["memory"] for r, c in results["sizes"].items()}
    anon = max(memory["anon_mb"] for memory in sizes.values())
    found = [_row("RssAnon ≤ 60 MB", anon, "{:.1f} MB", anon <= 60)]
    if 10_000 in sizes and max(sizes) > 10_000:
        grown = sizes[max(sizes)]["peak_rss_mb"] - sizes[10_000]["peak_rss_mb"]
        text = f"peak at {max(sizes):,} jobs within 5 MB of that at 10,000"
        found.append(_row(text, grown, "{:+.1f} MB", grown <= 5))
    limits = results.get("limits") or {}
    for rows in (10_000, 100_000):
        free, tight = (
            limits.get(f"{rows}, {name}, 64") for name in ("no limit", "110 MB")
        )
        if free and tight:
            ratio = tight["p50_ms"] / free["p50_ms"]
            kept = tight["oom_kills"] == 0 and set(map(str, tight["statuses"])) == {
                "200"
            }
            text = f"{rows:,} jobs, 64 clients in 110 MB: p50 at most 1.3 times"
            found.append(_row(text, ratio, "{:.2f} times", kept and ratio <= 1.3))
    return found


def _start(results: dict[str, Any]) -> list[tuple[str, ...]]:
    ours = results["sizes"].get("10000", {}).get(PROJECT)
    if not ours:
        return []
    healthy, first = ours["healthy_s"], ours["first_answer_s"]
    return [
        _row("start to healthy ≤ 1 s", healthy, "{:.2f} s", healthy <= 1),
        _row("start to the first answer ≤ 2 s", first, "{:.2f} s", first <= 2),
    ]


def _health(results: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        _row(
            f"`/healthz` ≤ 100 ms, {clients} clients on 100,000 jobs: p99, slowest of"
            f" {seen['answers']}",
            seen["p99_ms"],
            f"{{:.0f}} ms, {seen['max_ms']:.0f} ms",
            seen["max_ms"] <= 100,
        )
        for clients, seen in results.get("health", {}).items()
    ]


def _size_table(costs: dict[str, Any]) -> str:
    header = (
        "design",
        "p50 / p95 / p99, 1 client",
        "requests/s: 1 / 16 / 64 clients",
        "peak RSS",
        "RssAnon",
        "bytes from the database",
        "CPU per request",
        "healthy / first answer",
    )
    return _table([header, *(_cost_row(name, cost) for name, cost in costs.items())])


def _cost_row(name: str, cost: dict[str, Any]) -> tuple[str, ...]:
    clients, memory = cost["clients"], cost["memory"]
    one = clients.get("1")
    rates = " / ".join(
        f"{clients[n]['per_second']:.1f}" if n in clients else "-"
        for n in ("1", "16", "64")
    )
    return (
        name,
        f"{one['p50_ms']:.1f} / {one['p95_ms']:.1f} / {one['p99_ms']:.1f} ms"
        if one
        else "-",
        rates if name != FLOOR else "-",
        f"{memory['peak_rss_mb']:.0f} MB" if memory else "-",
        f"{memory['anon_mb']:.0f} MB" if memory else "-",
        f"{cost['received_bytes']:,.0f}" if cost["received_bytes"] else "-",
        f"{cost['cpu_s'] * 1000:.0f} ms" if cost["cpu_s"] else "-",
        f"{cost['healthy_s']:.2f} / {cost['first_answer_s']:.2f} s"
        if cost["first_answer_s"]
        else "-",
    )


def _limits(results: dict[str, Any]) -> str:
    header = (
        "jobs, limit, clients",
        "p50 / p95",
        "requests/s",
        "answers",
        "first answer",
        "charged at most",
        "RssAnon",
        "OOM kills",
        "major faults",
    )
    rows = [
        (
            name,
            f"{row['p50_ms']:.0f} / {row['p95_ms']:.0f} ms",
            f"{row['per_second']:.1f}",
            ", ".join(f"{n} with {status}" for status, n in row["statuses"].items()),
            f"{row['first_answer_s']:.2f} s",
            f"{row['peak_charged_mb']:.0f} MB",
            f"{row['anon_mb']:.0f} MB",
            str(row["oom_kills"]),
            str(row["major_faults"]),
        )
        for name, row in results["limits"].items()
    ]
    return _table([header, *rows])


def _pictures(results: dict[str, Any]) -> str:
    names = ["latency_over_rows", "throughput_over_clients", "memory_over_rows"]
    if "over_time" in results:
        names.append("memory_over_time")
    return "\n".join(f"![{name.replace('_', ' ')}](plots/{name}.png)" for name in names)


def _p50(costs: dict[str, Any], design: str) -> float:
    return float(costs[design]["clients"]["1"]["p50_ms"])


def _at_most(text: str, ratio: float, bound: float) -> tuple[str, ...]:
    shown = f"{ratio:.2f}" if bound >= 1 else f"1/{1 / ratio:.1f}"
    return (text, shown, "yes" if ratio <= bound else "no")


def _row(text: str, value: float, form: str, kept: object) -> tuple[str, ...]:
    return (text, form.format(value), "yes" if kept else "no")


def _table(rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines) + "\n"
