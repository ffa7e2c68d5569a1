"""Vectors of all skills: codes for each batch, exact vectors for rescoring."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.calibration import UNCALIBRATED, Calibration
from app.ranking.skills.skill_texts import NO_TEXTS, SkillTexts
from app.ranking.skills.stems import word_hash
from app.ranking.top_k.distinct import distinct
from app.storage.skill_counts import SkillCounts

# One word of one skill, by `stems.word_hash`; a pair may occur twice.
SKILL_WORD = np.dtype([("skill", "<i4"), ("word", "<u8")])

# The finest grid of queries, 1/4096, and the number of integers that float32 has.
FINEST_GRID = 4096
INTEGERS = 1 << 24

# The rounding error of scaling those products in float32.
SCALING_ERROR = 1e-6

# Codes are converted to float32 in small blocks, 128 rows for 8 skills, so that BLAS
# stays in this thread. On shared processors its other threads would wait for one
# another far longer than they compute (measured: 9 ms, or 130 to 470 ms of processor
# time, for 29,000 skills on two busy cores).
BLOCK_PRODUCTS = 400_000
BLOCK_ROWS = 128


@cache
def code_dtype(dimension: int) -> np.dtype[Any]:
    """One skill's codes: v is about scale * codes. The norm of the difference is at
    most `error`, and so is the error of a similarity with a unit vector (Cauchy and
    Schwarz). `words`: the number of words. The spare fields keep the floats of all rows
    aligned.
    """
    return np.dtype(
        [
            ("codes", "i1", (dimension,)),
            ("filler", "i1", (-dimension % 4,)),
            ("scale", "<f4"),
            ("error", "<f4"),
            ("words", "<u2"),
            ("spare", "<u2"),
        ]
    )


def grid_of(dimension: int) -> int:
    """Queries are rounded to multiples of 1 / grid, a power of two.

    Then each product of the codes is an integer below 2^24 (127 * sqrt(dimension) *
    grid, by Cauchy and Schwarz, and the rounding) in any order of summation, float32
    adds without rounding, and BLAS gives the same digits for any shape of batch.
    """
    grid = FINEST_GRID
    while 127 * dimension**0.5 * (grid + dimension**0.5 / 2) >= INTEGERS:
        grid //= 2
    return grid


def encode_rows(
    vectors: NDArray[np.float32],  # (n, dimension)
) -> tuple[NDArray[np.void], NDArray[np.float32]]:
    """(n,) `code_dtype` and (n, dimension) float32 of unit length.

    Zeros for a zero vector: a skill that is similar to no other.
    """
    exact = vectors.astype(np.float64)
    with np.errstate(all="ignore"):
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    exact[~np.isfinite(exact).all(axis=1)] = 0
    scale = (np.abs(exact).max(axis=1, keepdims=True) / 127).astype(np.float32)
    scale[scale == 0] = 1
    rows = np.zeros(len(vectors), code_dtype(vectors.shape[1]))
    rows["codes"] = np.rint(exact / scale)
    rows["scale"] = scale[:, 0]
    residual = exact - rows["codes"] * scale.astype(np.float64)
    # Slightly more than the norm, so that rounding to float32 keeps the bound.
    rows["error"] = np.linalg.norm(residual, axis=1) * (1 + 1e-6)
    return rows, exact.astype(np.float32)


@dataclass(frozen=True)
class Vocabulary:
    """Vectors by skill id: row n belongs to the skill with the id n.

    An id without a row, or with a row of zeros, is a skill that is similar to no other.
    """

    codes: NDArray[Any]  # (rows,) of code_dtype
    exact: NDArray[np.float32]  # (rows, dimension), unit length or zero
    error: float  # the greatest error of the codes
    counts: SkillCounts | None = None  # None before the backfill has counted
    words: NDArray[Any] = field(  # SKILL_WORD
        default_factory=lambda: np.zeros(0, SKILL_WORD), repr=False
    )
    texts: SkillTexts = field(default=NO_TEXTS, repr=False)
    calibration: Calibration = UNCALIBRATED
    # The cached rarity of queries' skills, by a digest of their vectors. It ends with
    # this object, because a newer vocabulary has other counts.
    rarities: dict[bytes, float] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def rows(self) -> int:
        return len(self.codes)

    def similarity_error(self, queries: NDArray[np.float32]) -> float:
        """The maximum error of `similarities` with these queries."""
        lost = queries.astype(np.float64)
        grid = grid_of(queries.shape[1])
        lost -= np.rint(lost * grid) / grid
        rounding = float(np.linalg.norm(lost, axis=1).max(initial=0.0))
        error = rounding + self.error * (1 + rounding) + SCALING_ERROR
        return error * self.calibration.skills.slope

    def similarities(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Calibrated similarities of every skill and query: (rows + 1, k) float32.

        `queries`: (k, dimension) of unit length. The last row, for unknown ids, is
        zero. The result is independent of the other queries to the last bit.
        """
        table = np.zeros((self.rows + 1, len(queries)), dtype=np.float32)
        dimension = queries.shape[1]
        grid = np.float32(grid_of(dimension))
        fitting = BLOCK_PRODUCTS // (dimension * max(1, len(queries)))
        size = max(1, min(BLOCK_ROWS, fitting))
        wide = np.empty((size, dimension), np.float32)
        codes = self.codes["codes"]
        transposed = np.ascontiguousarray(np.rint(queries * grid).T)
        for start in range(0, self.rows, size):
            block = codes[start : start + size]
            wide[: len(block)] = block
            np.matmul(
                wide[: len(block)], transposed, out=table[start : start + len(block)]
            )
        table[:-1] *= (self.codes["scale"] / grid)[:, None]
        table[:-1] = self.calibration.skills.of(table[:-1])
        return table

    def known(self, skill_ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """The ids, with unknown ones replaced by the last row of `similarities`."""
        beyond = (skill_ids < 0) | (skill_ids >= self.rows)
        return np.where(beyond, np.int32(self.rows), skill_ids)

    def vectors(self, skill_ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """(n, dimension) float32, unit length, or zero for an unknown id."""
        found = np.zeros((len(skill_ids), self.exact.shape[1]), np.float32)
        here = np.flatnonzero(self.known(skill_ids) < self.rows)
        found[here] = self.exact[skill_ids[here]]
        return found

    def holding(
        self, words: Sequence[str]
    ) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """(skill id, index in `words`) of every skill that contains one of the words,
        by skill.
        """
        hashes = np.array([word_hash(word) for word in words], np.uint64)
        order = np.argsort(hashes)
        listed = self.words["word"]
        place = np.searchsorted(hashes, listed, sorter=order)
        here = np.flatnonzero(place < len(words))
        here = here[hashes[order[place[here]]] == listed[here]]
        skill = self.words["skill"][here].astype(np.int64)
        found = distinct(skill * len(words) + order[place[here]])
        skill, column = np.divmod(found[found < self.rows * len(words)], len(words))
        return skill.astype(np.int32), column.astype(np.intp)
