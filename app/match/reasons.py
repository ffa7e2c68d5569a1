"""What is told of a row that fits: the skills in common, how alike the texts are."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.match.asked import Asked
from app.match.questions import Match
from app.scan.best import DECIMALS
from app.skills.explain import Explanation, explain
from app.skills.split import split_skills
from app.skills.vocabulary import Vocabulary
from app.storage.skills import SkilledRow


def matches(
    asked: Asked,
    vectors: Mapping[str, NDArray[np.float32]],  # (384,) by the key of a skill
    text: NDArray[np.float32],  # (384,)
    rows: Sequence[SkilledRow],
    vocabulary: Vocabulary,
    *,
    weights: NDArray[np.float64],  # (k,), of the skills that are asked for
    price: float,
) -> list[Match]:
    """What is told of each row."""
    mine = np.stack([vectors[skill.key] for skill in asked.skills])
    names = [skill.name for skill in asked.skills]
    return [
        Match(
            row.id,
            row.skills,
            cosine(text, row.embedding),
            explanation(names, mine, row, vocabulary, weights=weights, price=price),
            row.columns,
        )
        for row in rows
    ]


def explanation(
    names: Sequence[str],
    vectors: NDArray[np.float32],
    row: SkilledRow,
    vocabulary: Vocabulary,
    *,
    weights: NDArray[np.float64],
    price: float,
) -> Explanation | None:
    """The query's skills against the row's; None while these are still to be split."""
    if row.skill_ids is None:
        return None
    # The ids were made from this text by this splitter, in its order; after a change
    # of the splitter they wait for the backfill.
    others = [skill.name for skill in split_skills(row.skills or "")]
    if len(others) != len(row.skill_ids):
        return None
    mine = vocabulary.vectors(row.skill_ids)
    return explain(names, vectors, others, mine, weights=weights, price=price)


def cosine(a: NDArray[np.float32], b: NDArray[np.float32] | None) -> float | None:
    """As scan.topn scores it; None where it cannot be compared."""
    if b is None:
        return None
    x, y = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        x /= np.linalg.norm(x)
        cosine = float(np.einsum("i,i->", x, y) / np.sqrt(np.einsum("i,i->", y, y)))
    return round(cosine, DECIMALS) if np.isfinite(cosine) else None
