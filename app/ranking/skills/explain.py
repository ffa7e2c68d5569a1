"""Explanations: matched, close and missing skills of a query."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Id
from app.query.result import Explanation, Hit, Pair, Parts
from app.ranking.skills.calibration import UNSCALED, Scale
from app.ranking.skills.parse import Skill
from app.ranking.skills.prepare import SkillQuery
from app.ranking.skills.scoring import (
    FLOOR,
    LENGTH_PENALTY,
    MATCHED,
    discounts,
    match_credit,
    weighted,
)
from app.ranking.skills.vocabulary import Vocabulary
from app.ranking.top_k.heap import DECIMALS
from app.ranking.top_k.pages import Page
from app.storage.skills import SkilledRow

NO_REASONS: Mapping[Id, Id] = {}


def explain(
    skills: Sequence[str],
    vectors: NDArray[np.float32],  # (k, dimension), of `skills`
    others: Sequence[str],
    other_vectors: NDArray[np.float32],  # (n, dimension), of `others`
    *,
    weights: NDArray[np.float64]
    | None = None,  # (k,), of `skills`; None: equal weights
    length_penalty: float = LENGTH_PENALTY,
    scale: Scale = UNSCALED,
) -> Explanation:
    """Compare the skills of a query and a row, with vectors of unit length."""
    if not skills or not others:
        return Explanation(0.0, 0.0, missing=tuple(skills))
    # Not BLAS: the same digits as in SkillTopK, which scores many rows at once.
    exact = np.einsum(
        "ij,kj->ik", other_vectors, vectors, dtype=np.float64, optimize=False
    )
    similarities = scale.of(exact).astype(np.float32).astype(np.float64)
    best = similarities.max(axis=0)
    pairs = [
        Pair(skill, others[int(at)], round(float(similarity), DECIMALS))
        for skill, at, similarity in zip(
            skills, similarities.argmax(axis=0), best, strict=True
        )
    ]
    if weights is None:
        weights = np.full(len(skills), 1 / len(skills))
    share = weighted(match_credit(best)[None, :], weights)[0]
    left = discounts(len(skills), length_penalty=length_penalty, sizes=len(others))[-1]
    return Explanation(
        score=round(float(share * left), DECIMALS),
        coverage=round(float(match_credit(similarities.max(axis=1)).mean()), DECIMALS),
        matched=[pair for pair in pairs if pair.similarity >= MATCHED],
        close=[pair for pair in pairs if FLOOR <= pair.similarity < MATCHED],
        missing=[pair.skill for pair in pairs if pair.similarity < FLOOR],
    )


def hits(
    query: SkillQuery,
    vectors: Mapping[str, NDArray[np.float32]],  # (dimension,) by the key of a skill
    text: NDArray[np.float32],  # (dimension,)
    rows: Sequence[SkilledRow],
    vocabulary: Vocabulary,
    *,
    written: Mapping[Id, Sequence[Skill]],
    weights: NDArray[np.float64],  # (k,), of the query's skills
    length_penalty: float,
    page: Page | None,
    parts: Sequence[Parts | None],
    reasons: Mapping[Id, Id] = NO_REASONS,
) -> list[Hit]:
    """The hits with explanations. `written`: the skills of each row's text, by id;
    `page`: None if the rows were not ranked; `parts`: of the score of each row;
    `reasons`: as `Pull.reasons`.
    """
    mine = np.stack([vectors[skill.key] for skill in query.skills])
    names = [skill.name for skill in query.skills]
    explained = [
        explanation(
            names,
            mine,
            row,
            vocabulary,
            others=[skill.name for skill in written[row.id]],
            weights=weights,
            length_penalty=length_penalty,
        )
        for row in rows
    ]
    return [
        _hit(
            row,
            cosine(text, row.embedding),
            why,
            page,
            parts=own_parts,
            because=reasons.get(row.id),
        )
        for row, why, own_parts in zip(rows, explained, parts, strict=True)
    ]


def _hit(
    row: SkilledRow,
    similarity: float | None,
    why: Explanation | None,
    page: Page | None,
    *,
    parts: Parts | None,
    because: Id | None,
) -> Hit:
    scores = {} if page is None else page.scores
    return Hit(
        row.id,
        row.skills,
        similarity,
        why,
        row.columns,
        scores.get(row.id, None if why is None else why.score),
        None if page is None else page.repeats.get(row.id),
        parts=parts,
        because=because,
        factor=None if page is None else page.factors.get(row.id),
    )


def explanation(
    names: Sequence[str],
    vectors: NDArray[np.float32],
    row: SkilledRow,
    vocabulary: Vocabulary,
    *,
    others: Sequence[str],
    weights: NDArray[np.float64],
    length_penalty: float,
) -> Explanation | None:
    """The explanation of a row with the skills `others`, as written; None while these
    are pending.
    """
    # The ids belong to the skills of this text, in order. After a change of the
    # splitter or of synonyms the backfill replaces them.
    if row.skill_ids is None or len(others) != len(row.skill_ids):
        return None
    mine = vocabulary.vectors(row.skill_ids)
    return explain(
        names,
        vectors,
        others,
        mine,
        weights=weights,
        length_penalty=length_penalty,
        scale=vocabulary.calibration.skills,
    )


def cosine(a: NDArray[np.float32], b: NDArray[np.float32] | None) -> float | None:
    """The cosine similarity as in `top_k.cosine`; None if it is undefined."""
    if b is None:
        return None
    x, y = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        x /= np.linalg.norm(x)
        cosine = float(np.einsum("i,i->", x, y) / np.sqrt(np.einsum("i,i->", y, y)))
    return round(cosine, DECIMALS) if np.isfinite(cosine) else None
