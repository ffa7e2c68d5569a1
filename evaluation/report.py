"""Tables and plots of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.commands.calibration.intervals import Interval, interval
from evaluation.measures import Quality

TABLE_HEADER = (
    "| data | half | ranking | R@1 (95 %) | R@3 | R@10 (95 %) | MRR | P@10 |"
    " what decides (95 %) |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)
AHEAD_HEADER = (
    "| data | half | metric | best of the others | hybrid | behind the best |"
    " ahead of `similarity` (95 %) | ahead of BM25 (95 %) |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)
HYBRID = "`hybrid`"
COLOURS = {
    "`similarity`": "#88ccee",
    "`skills`": "#44aa99",
    "BM25": "#ddcc77",
    "TF-IDF": "#999933",
    HYBRID: "#aa4499",
}


@dataclass(frozen=True)
class Measured:
    """One dataset, and the quality of each ranking on it by name."""

    name: str
    half: str
    metric: str
    by_ranking: dict[str, Quality]

    def lines(self, *, seed: int) -> list[str]:
        """One row of the table per ranking."""
        return [
            f"| {self.name} | {self.half} | {name}"
            f" | {interval(found.recall(1), seed=seed)}"
            f" | {found.recall(3).mean():.3f}"
            f" | {interval(found.recall(10), seed=seed)}"
            f" | {(1 / found.rank).mean():.3f} | {found.precision10.mean():.3f}"
            f" | {self.metric} {interval(found.values(self.metric), seed=seed)} |"
            for name, found in self.by_ranking.items()
        ]

    def ahead(self, *, seed: int) -> str:
        """The hybrid compared with the others, query by query."""
        mine = self.by_ranking[HYBRID].values(self.metric)
        others = {
            name: found.values(self.metric)
            for name, found in self.by_ranking.items()
            if name != HYBRID
        }
        best = max(others, key=lambda name: float(others[name].mean()))
        gaps = [
            _starred(interval(mine - others[name], seed=seed))
            for name in ("`similarity`", "BM25")
        ]
        return (
            f"| {self.name} | {self.half} | {self.metric}"
            f" | {others[best].mean():.3f} ({best}) | {mine.mean():.3f}"
            f" | {others[best].mean() - mine.mean():+.3f} | {' | '.join(gaps)} |"
        )


def page(measured: Sequence[Measured], half: str, *, seed: int) -> str:
    """The page of one half: its plot, the hybrid's margins, and all figures."""
    lines = [
        f"# Rankings, {half} half",
        "",
        "Written by `make eval`; [table.md](table.md) explains it. In brackets 95 % of",
        "bootstrap samples; a star: the interval leaves out 0.",
        "",
        f"![the metric that decides, by data and ranking]({half}.png)",
        "",
        AHEAD_HEADER,
        *(one.ahead(seed=seed) for one in measured),
        "",
        TABLE_HEADER,
        *(line for one in measured for line in one.lines(seed=seed)),
    ]
    return "\n".join(lines) + "\n"


def plot(measured: Sequence[Measured], path: Path, *, seed: int) -> None:
    """One group of bars per dataset: the deciding metric of each ranking."""
    # Imported here: it takes a second, and only the plot needs it.
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(9, 0.75 * len(measured) + 1.5))
    for place, (name, colour) in enumerate(COLOURS.items()):
        found = [
            interval(m.by_ranking[name].values(m.metric), seed=seed) for m in measured
        ]
        axes.barh(
            [n + 0.16 * (place - 2) for n in range(len(measured))],
            [one.mean for one in found],
            height=0.15,
            xerr=[
                [one.mean - one.low for one in found],
                [one.high - one.mean for one in found],
            ],
            color=colour,
            ecolor="#222222",
            error_kw={"elinewidth": 0.8},
            label=name.strip("`"),
        )
    axes.set_yticks(
        range(len(measured)), [f"{m.name}: {m.metric}" for m in measured], fontsize=8
    )
    axes.set(xlim=(0, 1), xlabel="with 95 % of bootstrap samples")
    axes.invert_yaxis()
    axes.legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _starred(gap: Interval) -> str:
    """A gap whose interval leaves 0 out has a star."""
    star = "*" if gap.low > 0 or gap.high < 0 else ""
    return f"{gap.mean:+.3f}{star} ({gap.low:+.3f} to {gap.high:+.3f})"
