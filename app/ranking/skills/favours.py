"""Skills of a query that liked jobs list count for more, those of dismissed ones less.

Rocchio's feedback for the skills: it changes the weights of what a user has, and adds
no skill that the user has not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.prepare import SkillQuery
from app.ranking.skills.scoring import match_credit
from app.ranking.skills.vocabulary import Vocabulary
from app.ranking.taste import Pull, grown

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
    lists: Sequence[NDArray[np.int32]],
    skills: NDArray[np.float32],
    vocabulary: Vocabulary,
) -> NDArray[np.float64]:
    """(k,) from 0 to 1: the mean credit of each skill in these jobs; 0 without any."""
    found = [
        match_credit(_nearest(skill_ids, skills, vocabulary)) for skill_ids in lists
    ]
    return np.mean(found, axis=0) if found else np.zeros(len(skills))


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
    nearest: NDArray[np.float64] = vocabulary.calibration.of(exact).max(axis=0)
    return nearest
