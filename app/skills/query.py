"""The skills of those who ask, and their vectors: stored ones where there are some."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.encoder import Encoder
from app.skills.split import Skill, split_skills
from app.skills.vocabulary import Vocabulary
from app.storage.connection.transaction import Transaction
from app.storage.skills import known_skills

# Each costs 4 bytes per skill of the vocabulary while a pass runs.
MAX_QUERY_SKILLS = 64


def query_skills(text: str) -> list[Skill]:
    """The skills of a text that are looked for: the first MAX_QUERY_SKILLS."""
    return split_skills(text)[:MAX_QUERY_SKILLS]


def skill_vectors(
    transaction: Transaction,
    keys: Sequence[str],
    *,
    vocabulary: Vocabulary,
    encoder: Encoder,
) -> NDArray[np.float32]:
    """(len(keys), 384) float32, unit length: from the vocabulary, else encoded."""
    known = known_skills(transaction, keys, version=encoder.version)
    ids = np.array([known.get(key, -1) for key in keys], np.int32)
    vectors = vocabulary.vectors(ids)
    missing = np.flatnonzero(~vectors.any(axis=1))
    if len(missing):
        vectors[missing] = encoder.encode([keys[n] for n in missing.tolist()])
    return vectors
