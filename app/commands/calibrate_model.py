"""Calibrate a model: what its similarities and scores are worth, stored with it.

The thresholds of the rankings were chosen for the guide's model. Similarities of
another model are mapped to its scale on pairs of your own skills and texts, so that
each floor lets through as many pairs as before. With --labels, labels say from which
score on a hit is possible and strong. switch_model.py does the same before it switches;
run this after the board has changed much, or with new labels.

Exit status: 0 when done, 2 for an error.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

import app.commands.blas_threads  # noqa: F401  (before NumPy)
from app.backfill.switching import written
from app.commands.calibration.intervals import interval
from app.commands.calibration.labels import Question, ndcg, read_labels, recall
from app.commands.calibration.rankings import ModelRankings
from app.commands.calibration.scales import (
    GUIDES_SKILLS,
    GUIDES_TEXTS,
    fit_scale,
    quantiles,
    skill_cosines,
    text_cosines,
)
from app.commands.calibration.thresholds import labelled_thresholds, shared_thresholds
from app.commands.embed_options import model_name
from app.commands.embed_work import encoders_of
from app.config import ScriptSettings, read_settings
from app.encoder import Encoder
from app.errors import AppError, ConfigError, command_line
from app.query.numbers import counted
from app.query.result import Hit, Thresholds
from app.ranking.registry import RANKINGS
from app.ranking.skills.calibration import Calibration
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.dsn import primary
from app.storage.connection.transaction import Transaction
from app.storage.entity import UNNAMED_VERSION
from app.storage.models import calibrate, calibration_of, model_in_use, some_users

SAMPLED_QUESTIONS = 100
SEED = 0

Measure = Callable[[Sequence[str], Mapping[str, float]], float]


@dataclass(frozen=True)
class ComparedModels:
    """A model, and the one whose scale it takes; `other` is None without one."""

    version: str
    other: str | None
    labels: Sequence[Question] = ()


@dataclass(frozen=True)
class ComparedHits:
    """The ten best jobs of each question, by a model and by the other one."""

    own: Sequence[Sequence[Hit]]
    others: Sequence[Sequence[Hit]] | None


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    try:
        settings = read_settings(ScriptSettings)
        labels = read_labels(args.labels) if args.labels else ()
        dsn = primary(settings.database_url.get_secret_value())
        with closing(Database(dsn, pool_size=1)) as database:
            in_use = written(database, model_in_use)
            if in_use is None:
                raise ConfigError(
                    f"No row is embedded yet; run `{command_line('embed')}`."
                )
            version = args.name or in_use
            other = UNNAMED_VERSION if version == in_use else in_use
            models = ComparedModels(
                version, None if other == version else other, labels
            )
            for line in calibrate_model(database, encoders_of(settings), models):
                print(line, flush=True)
    except AppError as error:
        print(f"calibrate_model: {error}", file=sys.stderr)
        return 2
    return 0


def calibrate_model(
    database: Database, encoder_of: Callable[[str], Encoder], models: ComparedModels
) -> Iterator[str]:
    """Store the calibration of a model whose embeddings are there: what was found, line
    by line. What cannot be told keeps the values of the guide's model.
    """
    found = Calibration()
    if models.version != UNNAMED_VERSION:
        found = written(database, lambda tx: _scales(tx, models))
        _store(database, models.version, found)
        yield _described(found)
    elif not models.labels:
        return
    questions = models.labels or written(database, _some_questions)
    thresholds: dict[str, Thresholds] = {}
    with TemporaryDirectory() as folder:
        own, others = (
            ModelRankings(database, encoder_of(version), Path(folder) / version)
            if version
            else None
            for version in (models.version, models.other)
        )
        for name, entry in RANKINGS.items():
            hits = ComparedHits(
                own.hits(name, questions) if own else (),
                others.hits(name, questions) if others else None,
            )
            if models.labels:
                yield from _measured(name, models, hits)
            least = entry.thresholds
            if least is not None:
                least = _thresholds(database, name, models, hits, default=least)
            if least is not None:
                thresholds[name] = least
                yield (
                    f"{name}: a hit is possible from {least.possible:.3f} and strong"
                    f" from {least.strong:.3f} on."
                )
    _store(database, models.version, replace(found, thresholds=thresholds))


def _described(found: Calibration) -> str:
    scales = (("skills", found.skills), ("texts", found.texts))
    shown = "; ".join(f"{name} {_shown(s.own, s.guides)}" for name, s in scales)
    return f"Similarities are read on the scale of {UNNAMED_VERSION}: {shown}."


def _scales(transaction: Transaction, models: ComparedModels) -> Calibration:
    catalogue = Catalogue.read(transaction)
    skills, texts = _cosines(transaction, catalogue, models.version)
    guides: list[Sequence[float]] = [GUIDES_SKILLS, GUIDES_TEXTS]
    if models.other is not None:
        stored = Calibration.of_json(calibration_of(transaction, models.other))
        scales = stored.skills, stored.texts
        cosines = _cosines(transaction, catalogue, models.other)
        guides = [
            quantiles(some, scale) or default
            for some, scale, default in zip(cosines, scales, guides, strict=True)
        ]
    return Calibration(fit_scale(skills, guides[0]), fit_scale(texts, guides[1]))


def _cosines(
    transaction: Transaction, catalogue: Catalogue, version: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    skills = skill_cosines(transaction, version)
    return skills, text_cosines(transaction, catalogue, version)


def _some_questions(transaction: Transaction) -> Sequence[Question]:
    users = Catalogue.read(transaction).users
    ids = some_users(transaction, users, limit=SAMPLED_QUESTIONS)
    return [Question({}, user_id=str(id_)) for id_ in ids]


def _thresholds(
    database: Database,
    name: str,
    models: ComparedModels,
    hits: ComparedHits,
    *,
    default: Thresholds,
) -> Thresholds | None:
    if models.labels:
        judged = [
            (hit.match_score, question.relevance[str(hit.id)] > 0)
            for question, found in zip(models.labels, hits.own, strict=True)
            for hit in found
            if str(hit.id) in question.relevance and hit.match_score is not None
        ]
        labelled = labelled_thresholds(
            np.array([score for score, _ in judged]),
            np.array([is_right for _, is_right in judged], bool),
        )
        if labelled is not None:
            return labelled
    if hits.others is None or models.other is None:
        return None
    other = models.other
    stored = Calibration.of_json(
        written(database, lambda tx: calibration_of(tx, other))
    )
    return shared_thresholds(
        _scores(hits.own), _scores(hits.others), stored.thresholds.get(name, default)
    )


def _scores(hits: Sequence[Sequence[Hit]]) -> NDArray[np.float64]:
    return np.array(
        [
            hit.match_score
            for found in hits
            for hit in found
            if hit.match_score is not None
        ]
    )


def _measured(name: str, models: ComparedModels, hits: ComparedHits) -> Iterator[str]:
    """R@10 and nDCG@10 of both models, and the difference, with intervals."""
    for metric, measure in (("R@10", recall), ("nDCG@10", ndcg)):

        def values(
            found: Sequence[Sequence[Hit]], measure: Measure = measure
        ) -> NDArray[np.float64]:
            ids = ([str(hit.id) for hit in some] for some in found)
            relevance = (question.relevance for question in models.labels)
            return np.array(list(map(measure, ids, relevance)))

        own = values(hits.own)
        line = f"{name}: {metric} {interval(own, seed=SEED)} by {models.version}"
        if hits.others is not None:
            others = values(hits.others)
            line += (
                f", {interval(others, seed=SEED)} by {models.other}, difference"
                f" {interval(own - others, seed=SEED)}"
            )
        yield f"{line}; {counted(len(own), 'questions')}."


def _store(database: Database, version: str, found: Calibration) -> None:
    written(database, lambda tx: calibrate(tx, version, found.to_json()))


def _shown(own: Sequence[float], guides: Sequence[float]) -> str:
    if not own:
        return "as they are"
    return ", ".join(
        f"{a:.2f} as {b:.2f}" for a, b in zip(own[:-1], guides[:-1], strict=True)
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        type=model_name,
        help="a model that has embedded all rows (default: the model in use)",
    )
    add_labels(parser)
    return parser.parse_args(argv)


def add_labels(parser: argparse.ArgumentParser) -> None:
    """Add the file of labels."""
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="a CSV file with user_id or query, job_id and relevance (0: wrong)",
    )


if __name__ == "__main__":
    sys.exit(main())
