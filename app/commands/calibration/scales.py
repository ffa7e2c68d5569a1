"""Fits the similarities of a model to the scale of the guide's, on pairs of texts.

Quantiles are matched: equal shares of the pairs exceed equal similarities by both
models. So a floor lets through the same share of pairs as before.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.calibration import UNSCALED, Scale
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.models import some_skill_vectors, some_text_vectors

# The floors of docs/decisions/0011 and 0012 are exceeded by 1 in 4 to 1 in 5,000 pairs.
QUANTILES = (0.5, 0.9, 0.99, 0.999, 0.9998)
# Those of all-MiniLM-L6-v2: 600 skills of samples/jobs.csv, and its 160 texts.
GUIDES_SKILLS = (0.0978, 0.2205, 0.3721, 0.5638, 0.6994)
GUIDES_TEXTS = (0.2045, 0.3547, 0.5107, 0.639, 0.6891)
# At least this many pairs lie above a knot.
FEWEST_ABOVE = 20
# Beyond it the digits of float32 would decide, and nearer ones are one knot.
GREATEST_KNOT = 0.99
LEAST_STEP = 0.005

SAMPLED_SKILLS = 1000
SAMPLED_JOBS = 500
SAMPLED_USERS = 200
FEWEST_TEXTS = 30

PairCosines = NDArray[np.float64]


def fit_scale(own: PairCosines, guides: Sequence[float]) -> Scale:
    """The scale of a model with the cosines `own` of pairs. `guides`: the QUANTILES of
    the guide's model.
    """
    knots: list[tuple[float, float]] = []
    for quantile, guide in zip(QUANTILES, guides, strict=True):
        if (1 - quantile) * len(own) < FEWEST_ABOVE:
            break
        knot = float(np.quantile(own, quantile)), float(guide)
        if max(knot) > GREATEST_KNOT:
            break
        if not knots or min(np.subtract(knot, knots[-1])) >= LEAST_STEP:
            knots.append(knot)
    if not knots:
        return UNSCALED
    owns, theirs = zip(*knots, (1.0, 1.0), strict=True)
    return Scale(owns, theirs)


def quantiles(cosines: PairCosines, scale: Scale) -> Sequence[float] | None:
    """The QUANTILES of a model that has `scale`, on that; None of too few."""
    if len(cosines) < FEWEST_TEXTS:
        return None
    found: Sequence[float] = scale.of(np.quantile(cosines, QUANTILES)).tolist()
    return found


def skill_cosines(transaction: Transaction, version: str) -> PairCosines:
    """(n,): of all pairs of some skills."""
    return pairs(some_skill_vectors(transaction, version, limit=SAMPLED_SKILLS))


def text_cosines(
    transaction: Transaction, catalogue: Catalogue, version: str
) -> PairCosines:
    """(n,): of pairs of a user and a job; of two jobs where there are few users."""
    users, jobs = (
        some_text_vectors(transaction, table, version, limit=limit)
        for table, limit in (
            (catalogue.users, SAMPLED_USERS),
            (catalogue.jobs, SAMPLED_JOBS),
        )
    )
    if len(users) < FEWEST_TEXTS:
        return pairs(jobs)
    products: PairCosines = _units(users) @ _units(jobs).T
    return products.ravel()


def pairs(vectors: Sequence[NDArray[np.float32]]) -> PairCosines:
    """(n,): of all pairs of these vectors."""
    if len(vectors) < FEWEST_TEXTS:
        return np.zeros(0)
    units = _units(vectors)
    found: PairCosines = (units @ units.T)[np.triu_indices(len(units), 1)]
    return found


def _units(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    exact = np.stack(vectors).astype(np.float64)
    with np.errstate(all="ignore"):
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    # A text that could not be encoded is a zero vector.
    return exact[np.isfinite(exact).all(axis=1)]
