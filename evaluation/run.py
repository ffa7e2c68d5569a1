"""How often each way of ranking finds what is right: `make eval`.

Reads the real data that REAL_DATA_DIR names and writes a page and a plot of each half
to docs/evaluation/. Weights are chosen on the development halves; `--half development`
looks at nothing else. A look at the held-out halves belongs into
docs/evaluation/looks.md. Embeddings are kept in .data/evaluation, so that only the
first run takes long.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from evaluation import external
from evaluation.datasets import Dataset, drawn, esco, surveyed
from evaluation.encoding import RememberingEncoder
from evaluation.measures import quality
from evaluation.options import OUT, SEED, Parsed, parse, parser_of
from evaluation.rankings import Contest
from evaluation.report import AHEAD_HEADER, Measured, page, plot
from evaluation.typed import typed, typed_postings

DRAWN = 300
HALVES = {
    "both": (False, True),
    "development": (False,),
    "held-out": (True,),
}
NAMES = {False: "development", True: "held-out"}


def main(argv: Sequence[str] | None = None) -> int:
    args, folder, encoder = _parse(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    for held_out in HALVES[args.half]:
        measured = []
        for data in datasets(folder, held_out=held_out):
            measured.append(measure(data, encoder))
            print("\n".join(measured[-1].lines(seed=SEED)), flush=True)
        _write(measured, args.out, NAMES[held_out])
    return 0


def datasets(folder: Path, *, held_out: bool) -> Iterator[Dataset]:
    """All that are measured; the held-out half has O*NET and ROME, too."""
    for variant in ("alt_5", "exact_5"):
        yield esco(folder, variant, held_out=held_out, seed=SEED)
    yield surveyed(folder, held_out=held_out, seed=SEED)
    if held_out:
        for file, name in (("onet_eval", "O*NET"), ("rome_fr_eval", "ROME (French)")):
            yield drawn(folder / f"{file}.csv", name, count=DRAWN, seed=SEED)
    yield external.prose(folder, held_out=held_out)
    for language in external.LANGUAGES:
        yield external.job_titles(folder, language, held_out=held_out)
    yield external.sentences(folder, held_out=held_out)
    for foreign in (False, True):
        yield typed(held_out=held_out, foreign=foreign)
    yield typed_postings(folder, held_out=held_out, seed=SEED)


def measure(data: Dataset, encoder: RememberingEncoder) -> Measured:
    """Every ranking on one dataset."""
    contest = Contest(data, encoder)
    return Measured(
        data.name,
        NAMES[data.held_out],
        data.metric,
        {
            name: quality(ranked(), data.right)
            for name, ranked in contest.methods().items()
        },
    )


def _write(measured: Sequence[Measured], out: Path, half: str) -> None:
    (out / f"{half}.md").write_text(page(measured, half, seed=SEED))
    plot(measured, out / f"{half}.png", seed=SEED)
    print("\n".join([AHEAD_HEADER, *(one.ahead(seed=SEED) for one in measured)]))


def _parse(argv: Sequence[str] | None) -> Parsed:
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="where the tables go")
    parser.add_argument(
        "--half",
        choices=sorted(HALVES),
        default="both",
        help="which half of the questions (default: %(default)s)",
    )
    return parse(parser, argv)


if __name__ == "__main__":
    sys.exit(main())
