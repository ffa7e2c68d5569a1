"""Bounds of cosines by the heads of rows: their components in a basis of few vectors.

A unit vector is the sum of its head, within the span of the basis, and a rest. So a
cosine is the product of two heads plus that of two rests, which is at most that of
their lengths (Cauchy and Schwarz). In the basis of the greatest variance (principal
components) rests are short, and a quarter of the components refuses most rows. The
bound holds for any basis of orthogonal unit vectors.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.ranking.top_k.codes import greatest_error, products_of
from app.storage.codec import points_somewhere, squared_norms

# Among 200,000 postings 64, 96 and 128 components refuse all but 1.1, 0.35 and 0.2 %.
HEAD_WIDTH = 96
# The head is off by at most `greatest_error` of its scale. `rest`: the length.
HEAD_SCALE = np.dtype([("scale", "<f4"), ("rest", "<f4")])
# Rounding in float32, of the basis as well; and the least length of a query's head.
HEAD_ROUNDING = 2e-5
SHORTEST_HEAD = 1e-3


@dataclass(frozen=True, eq=False)
class Heads:
    """The heads of n rows, with k components."""

    integers: NDArray[np.int8]  # (n, k)
    scales: NDArray[Any]  # (n,) HEAD_SCALE

    def __len__(self) -> int:
        return len(self.integers)

    def __getitem__(self, rows: slice) -> "Heads":
        return Heads(self.integers[rows], self.scales[rows])


def head_width(dimension: int) -> int:
    """The number of components of a head."""
    return min(HEAD_WIDTH, dimension)


def basis_of(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """(k, dimension): the directions of the greatest variance of these rows."""
    units = _units(embeddings)
    _, vectors = np.linalg.eigh(units.T @ units)
    width = head_width(embeddings.shape[1])
    return np.ascontiguousarray(vectors[:, ::-1].T[:width]).astype(np.float32)


def headed(embeddings: NDArray[np.float32], basis: NDArray[np.float32]) -> Heads:
    """The heads of (n, dimension) vectors; zeros for a vector without a direction."""
    inside, rest = _split(_units(embeddings), basis)
    scales = np.zeros(len(inside), HEAD_SCALE)
    scales["scale"] = np.abs(inside).max(axis=1, initial=0.0) / 127
    scales["rest"] = rest
    step = np.where(scales["scale"] > 0, scales["scale"], np.float32(1))
    return Heads(np.rint(inside / step[:, None]).astype(np.int8), scales)


class HeadCosines:
    """Bounds of cosines, by the heads of rows."""

    def __init__(
        self, queries: NDArray[np.float32], basis: NDArray[np.float32]
    ) -> None:
        """`queries`: (q, dimension) of unit length."""
        inside, rest = _split(queries.astype(np.float64), basis)
        length = np.linalg.norm(inside, axis=1)
        # The heads of rows tell nothing about such a query.
        self._is_short = length < SHORTEST_HEAD
        inside[self._is_short], length[self._is_short] = np.eye(1, inside.shape[1]), 1
        self._products = products_of((inside / length[:, None]).astype(np.float32))
        self._length = length[:, None].astype(np.float32)
        self._rest = rest[:, None].astype(np.float32) / self._length

    def reaching(self, rows: Heads, floor: NDArray[np.float32]) -> NDArray[np.intp]:
        """The places, (m,), of the rows whose cosine with a query may reach its floor.

        `floor`: (q, 1).
        """
        units, step = self._products.units, self._products.rows
        least = (floor - np.float32(HEAD_ROUNDING)) / self._length
        least = (least - self._products.error) / units
        least[self._is_short] = -np.inf
        rest = self._rest / units
        error = greatest_error(rows.integers.shape[1]) / units
        most = np.empty((2, len(floor), min(step, len(rows))), np.float32)
        places = [np.zeros(0, np.intp)]
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            here, beside = most[:, :, : len(part)]
            products = self._products(part.integers)
            np.add(products, error, out=here, casting="same_kind")
            here *= part.scales["scale"]
            np.multiply(rest, part.scales["rest"], out=beside)
            here += beside
            reached = here >= least
            found = np.flatnonzero(reached if len(floor) == 1 else reached.any(axis=0))
            places.append(start + found)
        return np.concatenate(places)


def _units(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """The unit vectors; zeros for a vector without a direction."""
    usable = points_somewhere(squared_norms(embeddings))
    exact = np.where(usable[:, None], embeddings, np.float32(0)).astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    units: NDArray[np.float64] = exact / np.where(lengths > 0, lengths, 1)
    return units


def _split(
    units: NDArray[np.float64], basis: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The heads, (n, k), and slightly more than the lengths of the rests, (n,)."""
    exact = basis.astype(np.float64)
    inside = units @ exact.T
    return inside, np.linalg.norm(units - inside @ exact, axis=1) * (1 + 1e-6)
