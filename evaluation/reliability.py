"""How many of the first ten are right, by score: `python -m evaluation.reliability`.

Reads development halves only, and writes a table and a plot to docs/evaluation/. The
thresholds of `app/ranking/registry.py` are chosen by them.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.ranking.registry import RANKINGS
from evaluation.datasets import Dataset
from evaluation.measures import DECIMALS, FIRST_PAGE, Ranked
from evaluation.options import OUT, Parsed, parse, parser_of
from evaluation.rankings import Contest
from evaluation.run import datasets

# Those whose right rows are all known: of the others a hit that nobody marked may be
# right all the same.
LABELLED = ("typed questions", "typed questions, postings", "titles")
BINS = np.array([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0])
RATED = ("hybrid", "skills")

# Of one hit: its score, and whether it is right.
Hits = Sequence[tuple[float, bool]]


def main(argv: Sequence[str] | None = None) -> int:
    args, folder, encoder = _parse(argv)
    found: dict[str, dict[str, Hits]] = defaultdict(dict)
    kinds: list[str] = []
    for data in datasets(folder, held_out=False):
        if data.name in LABELLED:
            contest = Contest(data, encoder)
            by_hybrid = hits(contest.hybrid(), data)
            kinds += kind_lines(data, by_hybrid)
            found["hybrid"][data.name] = flat(by_hybrid)
            found["skills"][data.name] = flat(hits(contest.skills(), data))
    lines = [line for name in RATED for line in table(name, found[name])]
    text = "\n".join([HEADER, *lines, "", KINDS_HEADER, *kinds])
    print(text)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "relevance.md").write_text(text + "\n")
    plot(found, args.out / "relevance.png")
    return 0


HEADER = "| ranking | match_score | " + " | ".join(
    f"{name}: right of hits" for name in LABELLED
)
HEADER += " |\n" + "| --- " * (2 + len(LABELLED)) + "|"


KINDS_HEADER = (
    "| `hybrid` | kind of question | strong: right of hits | possible | weak |"
    " weak, and the first |\n| --- | --- | --- | --- | --- | --- |"
)


def hits(ranked: Iterable[Ranked], data: Dataset) -> list[Hits]:
    """For each question the first ten that have a score."""
    found: list[Hits] = []
    for one, right in zip(ranked, data.right, strict=True):
        scores = np.round(one.scores, DECIMALS)
        seconds = np.zeros(len(scores)) if one.seconds is None else one.seconds
        order = np.lexsort((np.arange(len(scores)), -np.round(seconds, 6), -scores))
        known = set(right.tolist())
        found.append(
            [
                (float(scores[row]), row in known)
                for row in order[:FIRST_PAGE].tolist()
                if scores[row] > 0
            ]
        )
    return found


def flat(found: Iterable[Hits]) -> Hits:
    """Those of all questions."""
    return [hit for own in found for hit in own]


def kind_lines(data: Dataset, found: Sequence[Hits]) -> list[str]:
    """A line for each kind of question: whether a label means the same in each."""
    lines = []
    for kind in sorted(set(data.kinds)):
        own = [each for each, of in zip(found, data.kinds, strict=True) if of == kind]
        firsts = [each[:1] for each in own]
        cells = [_share(own, "strong"), _share(own, "possible"), _share(own, "weak")]
        cells.append(_share(firsts, "weak"))
        lines.append(f"| {data.name} | {kind} | {' | '.join(cells)} |")
    return lines


def _share(found: Iterable[Hits], relevance: str) -> str:
    thresholds = RANKINGS["hybrid"].thresholds
    assert thresholds is not None  # noqa: S101
    right = [
        is_right
        for score, is_right in flat(found)
        if thresholds.relevance(score) == relevance
    ]
    return f"{np.mean(right):.2f} of {len(right)}" if right else ""


def binned(found: Hits) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(bins,) the right hits, and all."""
    scores = np.array([score for score, _ in found])
    right = np.array([is_right for _, is_right in found])
    return np.histogram(scores[right], BINS)[0], np.histogram(scores, BINS)[0]


def table(name: str, found: Mapping[str, Hits]) -> list[str]:
    """A line for each bin of scores."""
    counted = {data: binned(own) for data, own in found.items()}
    lines = []
    for n, (low, high) in enumerate(pairwise(BINS)):
        cells = [
            f"{right[n] / count[n]:.2f} of {count[n]:.0f}" if count[n] else ""
            for right, count in (counted[data] for data in LABELLED)
        ]
        lines.append(f"| `{name}` | {low:.1f} to {high:.1f} | {' | '.join(cells)} |")
    return lines


def plot(found: Mapping[str, Mapping[str, Hits]], path: Path) -> None:
    """The share of right hits by their score, and the thresholds."""
    import matplotlib as mpl  # noqa: PLC0415  (only where a plot is made)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(1, len(RATED), figsize=(10, 4), sharey=True)
    middle = (BINS[:-1] + BINS[1:]) / 2
    for axis, name in zip(axes, RATED, strict=True):
        for data, own in found[name].items():
            right, count = binned(own)
            some = count > 0
            axis.plot(middle[some], right[some] / count[some], marker="o", label=data)
        thresholds = RANKINGS[name].thresholds
        assert thresholds is not None  # noqa: S101
        for value in (thresholds.possible, thresholds.strong):
            axis.axvline(value, color="grey", linestyle="--", linewidth=1)
        axis.set(title=name, xlabel="match_score", xlim=(0, 1), ylim=(0, 1))
    axes[0].set_ylabel("right among the first ten")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _parse(argv: Sequence[str] | None) -> Parsed:
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    return parse(parser, argv)


if __name__ == "__main__":
    sys.exit(main())
