"""Ranking inside the database: the nearest jobs by their vectors in half precision."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from app.query.ids import Id, IdColumn
from app.storage.catalogue import Catalogue
from app.storage.codec import points_somewhere, squared_norms
from app.storage.conditions import EVERY_ROW
from app.storage.connection.transaction import NOTHING, Sink, Transaction
from app.storage.coverage import CachedCount
from app.storage.entity import EntityTable, vector_table
from app.storage.sql import load

QUERIES = load("vectors")

# A half holds 65,504 at most. Queries are sent as integers of this size: their text
# is made, sent and parsed in a fraction of what fractions need.
LARGEST = 60_000

# pgvector's bound of hnsw.ef_search.
MOST_CANDIDATES = 1_000

# What only some questions have.
NOT_EXCLUDED = SQL(" AND own.own_id <> ALL (asked.excluded)")
ON_A_LATER_PAGE = SQL(
    " AND own.own_vector OPERATOR({vectors}.<#>) asked.query >= asked.beyond"
)

# An index goes on through rows as near as the last one: hundreds of equal texts come.
# Where all rows are compared, ties would sort every one of them.
WITH_TIES = SQL("FETCH FIRST (asked.size) ROWS WITH TIES")
ALL_THEY_NEED = SQL("LIMIT asked.size")

# Filters differ from request to request.
MOST_COUNTS = 100


@dataclass(frozen=True)
class NearestQuery:
    """What one question wants of the index: its `size` nearest rows, less those that
    cannot be among the best `wanted`, scores being off by `margin` at most. Of these
    none that is excluded or scores more than `at_most`.
    """

    query: NDArray[np.float64]  # (dimension,), unit length
    wanted: int
    size: int
    margin: float
    excluded: Sequence[Id] = ()
    at_most: float | None = None
    # Each text is there so many times: as many times the candidates are needed.
    repeats: int = 1

    @property
    def conditions(self) -> tuple[bool, bool]:
        """Whether rows are excluded, and whether pages went before."""
        return bool(self.excluded), self.at_most is not None


@dataclass(frozen=True)
class HnswParams:
    """How far an index is searched: candidates that it keeps in mind, at least and for
    each row that is wanted of it, and rows that it visits at most for a condition.
    """

    ef_search: int
    per_row: int = 0
    # Where a condition takes rows away, a search goes on in steps of so many, and
    # short steps miss more.
    per_row_of_steps: int = 0
    max_scan_tuples: int = 20_000

    def candidates(self, size: int, *, in_steps: bool) -> int:
        """How many it keeps in mind to find `size` rows."""
        per_row = self.per_row_of_steps if in_steps else self.per_row
        return min(max(self.ef_search, per_row * size), MOST_CANDIDATES)


@dataclass(frozen=True)
class VectorQuery:
    """Which jobs are looked at, those of one model, with a condition; `schema` is that
    of pgvector.
    """

    jobs: EntityTable
    schema: str
    version: str
    matching: Composed | None = None

    @classmethod
    def of(
        cls, catalogue: Catalogue, version: str, matching: Composed | None = None
    ) -> "VectorQuery":
        """Raises SchemaError where migrations/pgvector was not applied."""
        return cls(catalogue.jobs, catalogue.require_vectors(), version, matching)

    @property
    def job_id(self) -> IdColumn:
        return self.jobs.id_column

    @property
    def table(self) -> Identifier:
        """The table of this model's vectors."""
        return Identifier("recommender", vector_table(self.version))

    def format(self, query: str, **parts: Composable) -> Composed:
        """The query of this name, with its conditions filled in."""
        vectorless = self.jobs.format(QUERIES["vectorless"], version=self.version)
        return self.jobs.format(
            QUERIES[query],
            version=self.version,
            vectors=Identifier(self.schema),
            vector_table=self.table,
            vectorless=vectorless,
            conditions=self.matching or EVERY_ROW,
            matching=self.jobs.matching(self.matching or EVERY_ROW, self.version),
            # As NumPy orders the bytes that come.
            bytewise=SQL(' COLLATE "C"') if self.job_id.kind == "text" else NOTHING,
            **parts,
        )


def stream_nearest(
    transaction: Transaction,
    sink: Sink,
    rows: VectorQuery,
    asked: Sequence[NearestQuery],
    *,
    hnsw: HnswParams | None,
) -> None:
    """Stream the records of a scan, whose spare field says for which of the questions
    each came (`read_spares`): questions of one size, under the same conditions. Without
    a `hnsw` every row is looked at.
    """
    values = SQL(", ").join(_values(n, near, rows) for n, near in enumerate(asked))
    query = rows.format(
        "candidates",
        asked=values,
        each=_conditions(asked[0], rows),
        limited=ALL_THEY_NEED if hnsw is None else WITH_TIES,
    )
    settings: Composable = (
        QUERIES["without_index"]
        if hnsw is None
        else _through_index(hnsw, asked[0], is_filtered=rows.matching is not None)
    )
    transaction.copy_out(query, sink, settings=settings + SQL("; "))


@dataclass(frozen=True)
class Spares:
    """What `stream_nearest` says of some rows, an array each: `question`, the number of
    the one that a row came for, or -1 where it has no vector yet and came for all;
    `is_full`, as many as were asked for came; `is_last`, others beyond them may belong.
    """

    question: NDArray[np.int64]
    is_full: NDArray[np.bool_]
    is_last: NDArray[np.bool_]


def read_spares(spares: NDArray[np.int16]) -> Spares:
    """The mirror of what the query `candidates` writes."""
    return Spares(
        spares.astype(np.int64) >> 2, (spares & 1).astype(bool), (spares & 2) > 0
    )


def count_comparable(transaction: Transaction, rows: VectorQuery) -> int:
    """How many rows a scan would compare; those without a vector yet among them,
    though their embedding may point nowhere.
    """
    is_filtered = rows.matching is not None
    query = "count_comparable_matching" if is_filtered else "count_comparable"
    count: int = transaction.rows(rows.format(query))[0][0]
    return count


class CachedCounts:
    """`count_comparable`, one remembered count for each set of conditions."""

    def __init__(self) -> None:
        self._counts: dict[str, CachedCount] = {}

    def __call__(self, transaction: Transaction, rows: VectorQuery) -> int:
        # Not the rows themselves: composed SQL has no hash.
        key = repr(rows)
        if key not in self._counts and len(self._counts) >= MOST_COUNTS:
            self._counts.clear()
        count = self._counts.setdefault(
            key, CachedCount(partial(count_comparable, rows=rows))
        )
        return count(transaction)


def to_halfvec(embeddings: Sequence[NDArray[np.float32]]) -> list[str | None]:
    """Embeddings, (dimension,) each, as texts of the type halfvec, made unit length.

    None for those that cannot be compared, by the rule of `codec.points_somewhere`.
    """
    if not len(embeddings):
        return []
    rows = np.stack(embeddings)
    exact = rows.astype(np.float64)
    with np.errstate(all="ignore"):
        usable = points_somewhere(squared_norms(rows))
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    halves = np.where(usable[:, None], exact, 0.0).astype(np.float16)
    if len(halves) < MANY:
        texts = [str(row) for row in halves.tolist()]
    else:
        text = _texts_of_halves()
        texts = [
            f"[{','.join(map(text.__getitem__, row))}]"
            for row in halves.view(np.uint16).tolist()
        ]
    return [
        text if is_usable else None
        for text, is_usable in zip(texts, usable.tolist(), strict=True)
    ]


# So many rows at once are converted through a table of all halves, five times as
# fast. It takes 6 MB, which the service must not: there it is one row, or a few.
MANY = 100


@cache
def _texts_of_halves() -> Sequence[str]:
    """The text of each half by its bits."""
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    return [repr(float(half)) for half in every]


def _values(number: int, near: NearestQuery, rows: VectorQuery) -> Composed:
    scale = LARGEST / float(max(near.query.max(), -near.query.min()))
    scaled: list[int] = (near.query * scale).round().astype(int).tolist()
    # The distance is the negative product.
    beyond = -np.inf if near.at_most is None else -scale * (near.at_most + near.margin)
    return SQL("({}, {}::{}, {}, {}, {}::float8, {}::{}[], {}::float8)").format(
        Literal(number),
        Literal(str(scaled)),
        Identifier(rows.schema, "halfvec"),
        Literal(near.size),
        Literal(near.wanted),
        Literal(2 * near.margin * scale),
        Literal(list(near.excluded)),
        SQL(rows.job_id.cast),
        Literal(beyond),
    )


def _conditions(near: NearestQuery, rows: VectorQuery) -> Composed:
    excludes, goes_on = near.conditions
    vectors = Identifier(rows.schema)
    return Composed(
        [
            NOT_EXCLUDED if excludes else NOTHING,
            ON_A_LATER_PAGE.format(vectors=vectors) if goes_on else NOTHING,
        ]
    )


def _through_index(
    hnsw: HnswParams, near: NearestQuery, *, is_filtered: bool
) -> Composable:
    has_conditions = is_filtered or any(near.conditions)
    usual = hnsw.candidates(near.size, in_steps=has_conditions)
    candidates = min(near.repeats * usual, MOST_CANDIDATES)
    # To go on where it stopped, a search keeps every row that it looked at: a fifth
    # of its time. Where no condition takes rows away, twice as many candidates as are
    # wanted do, rows among them that were deleted since.
    goes_on = has_conditions or candidates < 2 * near.size
    return QUERIES["through_index"].format(
        ef_search=Literal(candidates),
        iterative=SQL("relaxed_order" if goes_on else "off"),
        max_scan_tuples=Literal(hnsw.max_scan_tuples),
        # With a filter the planner may find a better way than the index of vectors.
        may_sort=SQL("on" if is_filtered else "off"),
    )
