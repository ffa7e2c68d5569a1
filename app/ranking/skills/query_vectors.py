"""The vectors of queries: of their skills, and of their whole texts."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.encoder import Encoder
from app.ranking.skills.prepare import SkillQuery
from app.ranking.skills.prose import mean_vector, pieces_of
from app.ranking.skills.reading import SkillLookup
from app.ranking.skills.vocabulary import Vocabulary


def skill_vectors(
    keys: Sequence[str],
    *,
    lookup: SkillLookup,
    vocabulary: Vocabulary,
    encoder: Encoder,
) -> NDArray[np.float32]:
    """(k, dimension) float32, unit length: from the vocabulary, or else encoded."""
    known = lookup.ids(keys)
    ids = np.array([known.get(key, -1) for key in keys], np.int32)
    vectors = (
        vocabulary.vectors(ids)
        if vocabulary.rows
        else np.zeros((len(ids), encoder.dimension), np.float32)
    )
    missing = np.flatnonzero(~vectors.any(axis=1))
    if len(missing):
        vectors[missing] = encoder.encode([keys[n] for n in missing.tolist()])
    return vectors


def text_vectors(
    asked: Mapping[int, SkillQuery], encoder: Encoder
) -> dict[int, NDArray[np.float32]]:
    """(dimension,) float32 for each whole text, by the number of the query, before it
    is moved by feedback.
    """
    todo = [a.text for a in asked.values() if a.embedding is None]
    encoded = iter(encoder.encode(todo) if todo else ())
    return {
        n: next(encoded) if a.embedding is None else a.embedding
        for n, a in asked.items()
    }


def whole_vectors(
    asked: Mapping[int, SkillQuery],
    texts: Mapping[int, NDArray[np.float32]],
    encoder: Encoder,
) -> dict[int, NDArray[np.float32]]:
    """(dimension,) float32 likewise: of long prose the mean of its pieces."""
    further = {
        n: pieces_of(a.text)[1:]
        for n, a in asked.items()
        if a.read.is_prose and not a.is_textless
    }
    todo = [piece for pieces in further.values() for piece in pieces]
    encoded = iter(encoder.encode(todo) if todo else ())
    return {
        n: mean_vector([first, *(next(encoded) for _ in further.get(n, ()))])
        for n, first in texts.items()
    }
