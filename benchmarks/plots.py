"""Plots of a run, readable in black and white: line styles differ, not only colours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.measure import FLOOR
from benchmarks.servers import GUIDE_DESIGNS, PROJECT

mpl.use("Agg")

STYLES: dict[str, dict[str, Any]] = {
    PROJECT: {"color": "black", "linestyle": "-", "marker": "o", "linewidth": 2.5},
    GUIDE_DESIGNS["fetch_all"]: {"color": "#b03a2e", "linestyle": "--", "marker": "s"},
    GUIDE_DESIGNS["batches"]: {"color": "#b9770e", "linestyle": ":", "marker": "^"},
    GUIDE_DESIGNS["ram"]: {"color": "#2471a3", "linestyle": "-.", "marker": "D"},
    FLOOR: {"color": "grey", "linestyle": (0, (1, 3)), "marker": "x"},
}


def draw(results: dict[str, Any], folder: Path) -> None:
    """Write the PNG files of the run's measurements."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(_latency(results), folder / "latency_over_rows.png")
    _save(_throughput(results), folder / "throughput_over_clients.png")
    _save(_memory_over_rows(results), folder / "memory_over_rows.png")
    if "over_time" in results:
        _save(_memory_over_time(results), folder / "memory_over_time.png")


def _latency(results: dict[str, Any]) -> Figure:
    figure, axes = _axes("Median latency, one client")
    for design in STYLES:
        points = [
            (int(rows), costs[design]["clients"]["1"]["p50_ms"])
            for rows, costs in results["sizes"].items()
            if "1" in costs.get(design, {}).get("clients", {})
        ]
        _line(axes, design, points)
    axes.set(xscale="log", yscale="log", xlabel="jobs in the table", ylabel="ms")
    return figure


def _throughput(results: dict[str, Any]) -> Figure:
    figure, axes = _axes("Throughput at 10,000 jobs")
    for design, cost in results["sizes"]["10000"].items():
        if design in STYLES and design != FLOOR:
            points = [(int(n), row["per_second"]) for n, row in cost["clients"].items()]
            _line(axes, design, points)
    axes.set(xscale="log", yscale="log", xlabel="clients", ylabel="requests per second")
    axes.set_xticks([1, 16, 64], labels=["1", "16", "64"])
    return figure


def _memory_over_rows(results: dict[str, Any]) -> Figure:
    figure, axes = _axes("Peak memory of the process")
    for design in STYLES:
        points = [
            (int(rows), costs[design]["memory"]["peak_rss_mb"])
            for rows, costs in results["sizes"].items()
            if costs.get(design, {}).get("memory")
        ]
        _line(axes, design, points)
    axes.axhline(512, color="grey", linewidth=0.8)
    axes.annotate("512 MB host", (1000, 470), color="grey")
    axes.set(xscale="log", xlabel="jobs in the table", ylabel="peak RSS, MB", ylim=0)
    return figure


def _memory_over_time(results: dict[str, Any]) -> Figure:
    figure, axes = _axes("Memory from the start, 10,000 jobs, 16 clients")
    for design, samples in results["over_time"].items():
        points = [(sample["at_s"], sample["rss_mb"]) for sample in samples]
        _line(axes, design, points, marker="", markevery=1)
    axes.axhline(512, color="grey", linewidth=0.8)
    axes.annotate("512 MB host", (0.2, 470), color="grey")
    axes.set(xlabel="seconds since the process was started", ylabel="RSS, MB", ylim=0)
    return figure


def _axes(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
    return figure, axes


def _line(
    axes: Axes, design: str, points: Sequence[tuple[float, float]], **changes: Any
) -> None:
    if points:
        xs, ys = zip(*points, strict=True)
        axes.plot(xs, ys, label=design, **(STYLES[design] | changes))


def _save(figure: Figure, file: Path) -> None:
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(file, dpi=130)
