"""Liked jobs pull the vector of a profile towards them, disliked ones push it away.

Rocchio's relevance feedback over embeddings (Manning, Raghavan and Schütze,
Introduction to Information Retrieval, section 9.1.1), with weights that grow with the
number of events up to a bound. docs/feedback.md has the choice of the numbers.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.query.feedback import Taste
from app.query.ids import Id, IdColumn
from app.storage.codec import points_somewhere, squared_norms
from app.storage.skills import SkilledRow

Direction = NDArray[np.float64]  # (dimension,), unit length

# The greatest weights of all liked and of all disliked jobs beside the profile's own,
# which is 1: n jobs have n / (n + 1) of them.
TOWARDS = 1.0
AWAY = 0.5
# The least weight of the whole text in the hybrid score, likewise.
FEEDBACK_SHARE = 1.0


@dataclass(frozen=True)
class Pull:
    """What a taste does to a profile.

    `liked`, `disliked`: the directions of the jobs, by id, newest first. `text`: the
    texts of the liked jobs, the profile of a user without one, where they were read.
    `as_of`: as of `Taste`.
    `liked_skills`, `disliked_skills`: the skill ids of those that have some, by id.
    """

    liked: Mapping[Id, Direction]
    disliked: Mapping[Id, Direction]
    text: str
    as_of: int
    liked_skills: Mapping[Id, NDArray[np.int32]] = field(default_factory=dict)
    disliked_skills: Mapping[Id, NDArray[np.int32]] = field(default_factory=dict)

    @cached_property
    def shift(self) -> Direction:
        """(dimension,): what is added to a profile of unit length."""
        towards = grown(TOWARDS, len(self.liked)) * _mean(self.liked)
        return towards - grown(AWAY, len(self.disliked)) * _mean(self.disliked)

    @cached_property
    def profile(self) -> NDArray[np.float32] | None:
        """(dimension,): that of a user without a text, None without liked jobs."""
        if not self.liked:
            return None
        mean = _mean(self.liked).astype(np.float32)
        return mean if points_somewhere(squared_norms(mean[None]))[0] else None

    @property
    def share(self) -> float:
        """The least open share of the hybrid score."""
        return grown(FEEDBACK_SHARE, len(self.liked))

    @property
    def digest(self) -> bytes:
        """Changes with anything that moves the ranking."""
        return hashlib.blake2b(self.shift.tobytes(), digest_size=16).digest()

    def moved(self, profile: NDArray[np.float32]) -> NDArray[np.float32]:
        """(dimension,) float32: the profile after the feedback, of any length."""
        exact = profile.astype(np.float64)
        moved = (exact / np.linalg.norm(exact) + self.shift).astype(np.float32)
        return moved if points_somewhere(squared_norms(moved[None]))[0] else profile

    def reasons(
        self, profile: NDArray[np.float32] | None, rows: Sequence[SkilledRow]
    ) -> dict[Id, Id]:
        """The most similar liked job of each job whose cosine the feedback raised.

        `profile`: None for a user without a text.
        """
        found = {}
        for id_, direction in _directions(rows).items() if self.liked else ():
            if profile is not None:
                before, after = _direction(profile), _direction(self.moved(profile))
                if direction @ after <= direction @ before:
                    continue
            nearest = {other: own @ direction for other, own in self.liked.items()}
            found[id_] = max(nearest, key=nearest.__getitem__)
        return found


def read_pulls(
    read: Callable[[Sequence[Id]], Mapping[Id, SkilledRow]],
    column: IdColumn,
    tastes: Sequence[Taste],
) -> list[Pull | None]:
    """What each taste does; None if it does nothing.

    `read` reads jobs by id, once. Deleted jobs and those without an embedding do not
    count.
    """
    wanted = {id_ for taste in tastes for id_ in (*taste.liked, *taste.disliked)}
    ids = [id_ for id_ in map(column.parse, sorted(wanted)) if id_ is not None]
    rows = read(ids)
    return [_pull(taste, column, rows) for taste in tastes]


def _pull(taste: Taste, column: IdColumn, rows: Mapping[Id, SkilledRow]) -> Pull | None:
    liked = _rows(taste.liked, column, rows)
    disliked = _rows(taste.disliked, column, rows)
    pull = Pull(
        _directions(liked),
        _directions(disliked),
        ", ".join(row.skills for row in liked if row.skills),
        taste.as_of,
        _skill_ids(liked),
        _skill_ids(disliked),
    )
    return pull if pull.liked or pull.disliked else None


def _rows(
    ids: Sequence[str], column: IdColumn, rows: Mapping[Id, SkilledRow]
) -> list[SkilledRow]:
    keys = [column.parse(id_) for id_ in ids]
    return [rows[key] for key in keys if key is not None and key in rows]


def _directions(rows: Sequence[SkilledRow]) -> dict[Id, Direction]:
    return {
        row.id: _direction(row.embedding)
        for row in rows
        if row.embedding is not None
        and points_somewhere(squared_norms(row.embedding[None]))[0]
    }


def _skill_ids(rows: Sequence[SkilledRow]) -> dict[Id, NDArray[np.int32]]:
    return {
        row.id: row.skill_ids
        for row in rows
        if row.skill_ids is not None and len(row.skill_ids)
    }


def _direction(vector: NDArray[np.float32]) -> Direction:
    exact = vector.astype(np.float64)
    direction: Direction = exact / np.linalg.norm(exact)
    return direction


def _mean(directions: Mapping[Id, Direction]) -> Direction:
    """(dimension,), or a zero without directions."""
    rows = list(directions.values())
    return np.mean(rows, axis=0) if rows else np.zeros(())


def grown(most: float, count: int) -> float:
    """The weight of so many events, below `most`."""
    return most * count / (count + 1)
