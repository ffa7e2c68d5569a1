"""How often each way of ranking finds the right occupation: `make eval`.

Weights are chosen on one half of the paraphrased ESCO profiles and reported on the
other. Writes a table and a plot to docs/evaluation/. Encodings are kept in
.cache/evaluation, so that only the first run takes long.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import evaluation as ev
import numpy as np
from _path import ROOT
from sklearn.feature_extraction.text import TfidfVectorizer

from app.encoder.lazy import LazyEncoder
from app.skills.weights import worth

SEED = 20240601
OUT = ROOT / "docs" / "evaluation"
HEADER = (
    "| data | ranking | R@1 (95 %) | R@5 | R@10 | MRR | R@1, ties in the answer's order"
    " |\n| --- | --- | --- | --- | --- | --- | --- |"
)

Method = Callable[[ev.Dataset], Iterator[tuple[ev.Scores, ev.Scores]]]
Result = tuple[str, str, ev.Quality]


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    folder = os.environ.get("REAL_DATA_DIR")
    if not folder:
        print("evaluate: set REAL_DATA_DIR, see tests/README.md.", file=sys.stderr)
        return 2
    encoder = ev.RememberingEncoder(LazyEncoder(args.model_dir), args.cache)
    lines, results = [HEADER], []
    for data in _datasets(Path(folder), args):
        skills = ev.best_skills(data, encoder)
        for name, method in _methods(
            encoder, skills, whole_text=args.whole_text
        ).items():
            if name.startswith("choosing") != data.name.endswith("for choosing"):
                continue
            found = ev.quality(method(data), data.answers, seed=SEED)
            lines.append(_line(data.name, name, found))
            print(lines[-1], flush=True)
            results.append((data.name, name, found))
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "table.md").write_text("\n".join(lines) + "\n")
    _plot(results, OUT / "recall.png")
    return 0


def _datasets(folder: Path, args: argparse.Namespace) -> Iterator[ev.Dataset]:
    yield ev.esco(folder, "alt_5", held_out=False, seed=SEED)
    yield ev.esco(folder, "alt_5", held_out=True, seed=SEED)
    yield ev.esco(folder, "exact_5", held_out=True, seed=SEED)
    for name in ("onet_eval", "rome_fr_eval"):
        if args.drawn:
            yield ev.drawn(folder / f"{name}.csv", count=args.drawn, seed=SEED)


def _methods(
    encoder: ev.RememberingEncoder,
    skills: Sequence[ev.BestSkills],
    *,
    whole_text: bool,
) -> dict[str, Method]:
    methods: dict[str, Method] = {
        f"choosing: skills, floor {floor}": _by_skills(skills, floor)
        for floor in (0.0, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7)
    }
    methods["words, TF-IDF"] = _by_words
    if whole_text:
        methods["whole text, cosine (`similarity`)"] = lambda data: ev.rank_by_vectors(
            encoder.encode(data.rows), encoder.encode(data.queries)
        )
    methods["skill by skill, mean of the best cosines"] = _by_skills(skills, 0.0)
    methods["skill by skill (`skills`)"] = lambda _: ev.rank_by_skills(skills, worth)
    return methods


def _by_skills(skills: Sequence[ev.BestSkills], floor: float) -> Method:
    return lambda _: ev.rank_by_skills(
        skills, lambda s: np.clip((s - floor) / (1 - floor), 0, 1)
    )


def _by_words(data: ev.Dataset) -> Iterator[tuple[ev.Scores, ev.Scores]]:
    vectorizer = TfidfVectorizer()
    rows = vectorizer.fit_transform(data.rows)
    for query in vectorizer.transform(data.queries):
        scores = (rows @ query.T).toarray()[:, 0]
        yield scores, np.zeros(len(scores))


def _line(data: str, name: str, found: ev.Quality) -> str:
    return (
        f"| {data} | {name} | {found.r1:.3f} ({found.r1_low:.3f} to"
        f" {found.r1_high:.3f}) | {found.r5:.3f} | {found.r10:.3f} | {found.mrr:.3f}"
        f" | {found.strict_r1:.3f} |"
    )


def _plot(results: Sequence[Result], path: Path) -> None:
    # Imported here: it takes a second, and only the plot needs it.
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    shown = [r for r in results if not r[1].startswith("choosing")]
    figure, axes = plt.subplots(figsize=(9, 0.5 * len(shown) + 1.5))
    labels = [f"{name}\n{data}" for data, name, _ in shown]
    values = [found.r1 for _, _, found in shown]
    errors = [
        [found.r1 - found.r1_low for _, _, found in shown],
        [found.r1_high - found.r1 for _, _, found in shown],
    ]
    axes.barh(labels, values, xerr=errors, color="#4477aa", ecolor="#222222")
    axes.set(xlabel="recall@1, with 95 % of bootstrap samples", xlim=(0, 1))
    axes.tick_params(axis="y", labelsize=7)
    axes.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model-dir", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2"
    )
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "evaluation")
    parser.add_argument(
        "--drawn",
        type=int,
        default=300,
        metavar="ROWS",
        help="occupations of O*NET and ROME; 0 for none (default: %(default)s)",
    )
    parser.add_argument(
        "--whole-text",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also the cosine of whole texts, which take minutes to encode",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
