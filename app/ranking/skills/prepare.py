"""What the questions of a pass look for, and how they are grouped into scans."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.encoder import Encoder
from app.errors import AppError, InvalidInputError, JobNotFoundError, UserNotFoundError
from app.query import cursor
from app.query.query import SkillQuestion
from app.ranking.skills.idf import from_bytes
from app.ranking.skills.parse import Skill, split_skills
from app.ranking.skills.scoring import LENGTH_PENALTY
from app.ranking.skills.vocabulary import Vocabulary
from app.storage.connection.transaction import Transaction
from app.storage.skills import SkilledRow, known_skills

# Different skills that share a scan: 4 bytes of each skill of the vocabulary a piece.
ROUND_SKILLS = 32


@dataclass(frozen=True)
class Asked:
    """What one question looks for."""

    text: str
    skills: Sequence[Skill]
    embedding: NDArray[np.float32] | None  # (384,), of the text, where it is stored
    query_hash: bytes  # of the question's cursors
    # How much each skill counted on the page before: new counts must not reorder what
    # is half read.
    weights: NDArray[np.float64] | None = None


def asked_by(
    question: SkillQuestion, row: SkilledRow | None, *, version: str
) -> Asked | AppError | None:
    """What the question looks for; the error if its row is absent, or its cursor that
    of another question; None if it has no skills.
    """
    if question.skills is not None:
        text, embedding = question.skills, None
    elif row is not None:
        text, embedding = row.skills or "", row.embedding
    elif question.job_id is not None:
        return JobNotFoundError("No job has this job_id.")
    else:
        return UserNotFoundError("No user has this user_id.")
    skills = query_skills(text)
    if not skills:
        return None
    constraints, id_ = question.constraints, None if row is None else row.id
    query_hash = cursor.query_hash("skills", version, id_, text, constraints.scan_key)
    weights = None
    if constraints.after is not None:
        try:
            cursor.check(constraints.after, query_hash)
        except InvalidInputError as error:
            return error
        weights = from_bytes(constraints.after.ranking_state, len(skills))
        if weights is None:
            return cursor.foreign()
    return Asked(text, skills, embedding, query_hash, weights)


@dataclass(frozen=True)
class Found:
    """What was found, by the number of the question: the rows, best first, and (k,)
    float64 how much each skill counts that was looked for; how many rows were compared,
    and the cursors of the next pages.
    """

    rows: dict[int, list[SkilledRow]]
    weights: dict[int, NDArray[np.float64]]
    total: int = 0
    cursors: Mapping[int, str | None] = field(default_factory=dict)


def no_skills(question: SkillQuestion) -> str:
    """The remark for a question whose row has no skills."""
    who = "job" if question.job_id is not None else "user"
    return f"This {who} has no skills to match."


def rounds(asked: dict[int, Asked]) -> Iterator[list[int]]:
    """Questions in groups of at most ROUND_SKILLS different skills: what a pass
    needs of memory is bounded, and a larger one reads the stream again.
    """
    group: list[int] = []
    keys: set[str] = set()
    for number, one in asked.items():
        own = {skill.key for skill in one.skills}
        if group and len(keys | own) > ROUND_SKILLS:
            yield group
            group, keys = [], set()
        group.append(number)
        keys |= own
    if group:
        yield group


def wanted_by(
    group: Sequence[int],
    asked: dict[int, Asked],
    vectors: dict[str, NDArray[np.float32]],
) -> tuple[NDArray[np.float32], list[NDArray[np.intp]]]:
    """(k, 384), each different skill of these questions once, and for each question
    which of them are its own.
    """
    keys = list(dict.fromkeys(s.key for n in group for s in asked[n].skills))
    column = {key: at for at, key in enumerate(keys)}
    columns = [np.array([column[s.key] for s in asked[n].skills]) for n in group]
    return np.stack([vectors[key] for key in keys]), columns


def length_penalty_of(question: SkillQuestion) -> float:
    """What a job asks for beyond a user's skills is a gap; what a user has beyond a
    job's is none.
    """
    return LENGTH_PENALTY if question.job_id is None else 0.0


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
