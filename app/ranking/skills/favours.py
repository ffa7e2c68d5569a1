"""Skills of a query that liked jobs list count for more, those of dismissed ones less.

Rocchio's feedback for the skills: it changes the weights of what a user has, and adds
no skill that the user has not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Id
from app.ranking.skills.prepare import SkillQuery
from app.ranking.skills.scoring import match_credit
from app.ranking.skills.vocabulary import Vocabulary
from app.ranking.taste import Pull, grown
from app.storage.skills import SkilledRow

# By how much a skill's weight rises at most if all liked jobs list it, and falls if all
# dismissed ones do, as a share of the weight.
FAVOUR = 1.0
DISFAVOUR = 0.5


def favoured(
    asked: Mapping[int, SkillQuery],
    vectors: Mapping[str, NDArray[np.float32]],  # (dimension,) by the key of a skill
    vocabulary: Vocabulary,
) -> dict[int, SkillQuery]:
    """The queries with the favours of their users' feedback, by number."""
    return {n: _favoured(query, vectors, vocabulary) for n, query in asked.items()}


def favours(
    pull: Pull,
    skills: NDArray[np.float32],  # (k, dimension), unit length
    vocabulary: Vocabulary,
) -> NDArray[np.float64]:
    """(k,) from 1 - DISFAVOUR to 1 + FAVOUR: the factor of each skill's weight."""
    liked = _listed_share(pull.liked_skills, skills, vocabulary)
    disliked = _listed_share(pull.disliked_skills, skills, vocabulary)
    return (
        1
        + grown(FAVOUR, len(pull.liked_skills)) * liked
        - grown(DISFAVOUR, len(pull.disliked_skills)) * disliked
    )


def reasons_of(
    query: SkillQuery,
    rows: Sequence[SkilledRow],
    profile: NDArray[np.float32],  # (dimension,), before the feedback
    *,
    vectors: Mapping[str, NDArray[np.float32]],
    weights: NDArray[np.float64],  # (k,), of the query's skills
    vocabulary: Vocabulary,
    by_text: bool,
) -> Mapping[Id, Id]:
    """As `Pull.reasons`. Where only skills count: of each row whose score the favours
    raised, the liked job with the greatest weight of skills that both list.
    """
    pull, favours_ = query.pull, query.favours
    if pull is None or by_text or query.is_textless:
        return query.reasons(profile, rows)
    if favours_ is None or not pull.liked_skills:
        return {}
    own = np.stack([vectors[skill.key] for skill in query.skills])
    before = weights / favours_
    change = weights / weights.sum() - before / before.sum()
    liked = _credits(pull.liked_skills, own, vocabulary)
    lists = {row.id: row.skill_ids for row in rows if row.skill_ids is not None}
    found = {}
    for id_, credit in _credits(lists, own, vocabulary).items():
        shared = {other: weights @ (its * credit) for other, its in liked.items()}
        best = max(shared, key=shared.__getitem__)
        if change @ credit > 0 and shared[best] > 0:
            found[id_] = best
    return found


def _favoured(
    query: SkillQuery,
    vectors: Mapping[str, NDArray[np.float32]],
    vocabulary: Vocabulary,
) -> SkillQuery:
    # The skills of a user without a text are those of the liked jobs.
    if query.pull is None or query.is_textless:
        return query
    own = np.stack([vectors[skill.key] for skill in query.skills])
    return replace(query, favours=favours(query.pull, own, vocabulary))


def _listed_share(
    lists: Mapping[Id, NDArray[np.int32]],
    skills: NDArray[np.float32],
    vocabulary: Vocabulary,
) -> NDArray[np.float64]:
    """(k,) from 0 to 1: the mean credit of each skill in these jobs; 0 without any."""
    found = list(_credits(lists, skills, vocabulary).values())
    return np.mean(found, axis=0) if found else np.zeros(len(skills))


def _credits(
    lists: Mapping[Id, NDArray[np.int32]],
    skills: NDArray[np.float32],
    vocabulary: Vocabulary,
) -> dict[Id, NDArray[np.float64]]:
    """(k,) from 0 to 1 by job: the credit of each skill in it."""
    return {
        id_: match_credit(_nearest(skill_ids, skills, vocabulary))
        for id_, skill_ids in lists.items()
        if len(skill_ids)
    }


def _nearest(
    skill_ids: NDArray[np.int32],
    skills: NDArray[np.float32],
    vocabulary: Vocabulary,
) -> NDArray[np.float64]:
    """(k,): the similarity of each skill with the nearest one of a job."""
    # Not BLAS: the same digits in any batch.
    exact = np.einsum(
        "ij,kj->ik",
        vocabulary.vectors(skill_ids),
        skills,
        dtype=np.float64,
        optimize=False,
    )
    nearest: NDArray[np.float64] = vocabulary.calibration.skills.of(exact).max(axis=0)
    return nearest
