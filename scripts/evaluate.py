"""How often each way of ranking finds what is right: `make eval`.

Weights are chosen on one half of the ESCO profiles and of the people of the surveys,
and reported on the other (`--half`: one of them alone, so that the other is not looked
at). Writes tables and a plot to docs/evaluation/. Encodings are kept in
.cache/evaluation, so that only the first run takes long.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import evaluation as ev
import rankings
from _path import ROOT

from app.encoder.lazy import LazyEncoder

SEED = 20240601
OUT = ROOT / "docs" / "evaluation"
HEADER = (
    "| data | ranking | R@1 (95 %) | R@5 | R@10 | MRR | of ten, right |"
    " R@1, alike shared | R@10, alike shared |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)
COST_HEADER = (
    "| data | rows | `similarity`, bytes a question | `skills`, bytes a question |"
    " `similarity`, ms | `skills`, ms | words, ms |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)

HALVES = {"both": (False, True), "choosing": (False,), "held-out": (True,)}

Result = tuple[str, str, ev.Quality]


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    folder = os.environ.get("REAL_DATA_DIR")
    if not folder:
        print("evaluate: set REAL_DATA_DIR, see tests/README.md.", file=sys.stderr)
        return 2
    encoder = ev.RememberingEncoder(LazyEncoder(args.model_dir), args.cache)
    chosen, reported, costs = [HEADER], [HEADER], [COST_HEADER]
    results: list[Result] = []
    for data in _datasets(Path(folder), args):
        lines = chosen if data.for_choosing else reported
        for name, ranked in rankings.methods(data, encoder).items():
            found = ev.quality(ranked(), data.answers, seed=SEED)
            lines.append(_line(data.name, name, found))
            print(lines[-1], flush=True)
            if not data.for_choosing:
                results.append((data.name, name, found))
        if not data.for_choosing:
            costs.append(_cost(data, encoder))
            print(costs[-1], flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    if args.half != "held-out":
        _write("choosing.md", chosen)
    if args.half != "choosing":
        _write("table.md", reported)
        _write("cost.md", costs)
        _plot(results, OUT / "recall.png")
    return 0


def _datasets(folder: Path, args: argparse.Namespace) -> Iterator[ev.Dataset]:
    for held_out in HALVES[args.half]:
        for variant in ("alt_5", "exact_5"):
            yield ev.esco(folder, variant, held_out=held_out, seed=SEED)
        yield ev.surveyed(folder, held_out=held_out, seed=SEED)
    if args.half != "choosing":
        for file, name in (("onet_eval", "O*NET"), ("rome_fr_eval", "ROME (French)")):
            yield ev.drawn(folder / f"{file}.csv", name, count=args.drawn, seed=SEED)


def _line(data: str, name: str, found: ev.Quality) -> str:
    return (
        f"| {data} | {name} | {found.r1:.3f} ({found.r1_low:.3f} to"
        f" {found.r1_high:.3f}) | {found.r5:.3f} | {found.r10:.3f} | {found.mrr:.3f}"
        f" | {found.precision10:.3f} | {found.shared_r1:.3f} | {found.shared_r10:.3f} |"
    )


def _cost(data: ev.Dataset, encoder: ev.RememberingEncoder) -> str:
    """Milliseconds of one question in this process, everything in memory: what the
    rankings themselves cost, without a database.
    """
    whole, skills = rankings.bytes_per_question(data.rows)
    ms = [
        _ms(ranked)
        for ranked in (
            rankings.by_whole_texts(data, encoder),
            rankings.BySkills(data, encoder).alone(),
            rankings.by_words(data),
        )
    ]
    times = " | ".join(f"{value:.1f}" for value in ms)
    return f"| {data.name} | {len(data.rows):,} | {whole:,} | {skills:,} | {times} |"


def _ms(ranked: Iterator[ev.Ranked]) -> float:
    """The median of a few; the first one pays for what all share."""
    next(ranked)
    seconds = []
    start = time.perf_counter()
    for _ in islice(ranked, 20):
        seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
    return sorted(seconds)[len(seconds) // 2] * 1000


def _write(name: str, lines: Sequence[str]) -> None:
    (OUT / name).write_text("\n".join(lines) + "\n")


def _plot(results: Sequence[Result], path: Path) -> None:
    # Imported here: it takes a second, and only the plot needs it.
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(9, 0.4 * len(results) + 1.5))
    labels = [f"{data}: {name.strip('*')}" for data, name, _ in results]
    values = [found.r1 for _, _, found in results]
    errors = [
        [found.r1 - found.r1_low for _, _, found in results],
        [found.r1_high - found.r1 for _, _, found in results],
    ]
    axes.barh(labels, values, xerr=errors, color="#4477aa", ecolor="#222222")
    axes.set(
        xlabel="recall@1 in the order of an answer, with 95 % of bootstrap samples",
        xlim=(0, 1),
    )
    axes.tick_params(axis="y", labelsize=7)
    axes.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model-dir", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2"
    )
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "evaluation")
    parser.add_argument(
        "--half",
        choices=sorted(HALVES),
        default="both",
        help="which half of the profiles and people (default: %(default)s)",
    )
    parser.add_argument(
        "--drawn",
        type=int,
        default=300,
        metavar="ROWS",
        help="occupations of O*NET and of ROME (default: %(default)s)",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
