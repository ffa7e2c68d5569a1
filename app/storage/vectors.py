"""Ranking inside the database: the nearest jobs by their vectors in half precision."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from app.query.ids import Id, IdColumn
from app.storage.catalogue import Catalogue
from app.storage.conditions import EVERY_ROW
from app.storage.connection.transaction import NOTHING, Sink, Transaction
from app.storage.coverage import CachedCount
from app.storage.entity import UNNAMED_VERSION, EntityTable, vector_table
from app.storage.shards import JOBS_PREFIX, SHARDS_SCHEMA, VECTORS_PREFIX
from app.storage.sql import load

QUERIES = load("vectors")

# A half holds 65,504 at most. Queries are sent as integers up to this one: their text
# is written, sent and parsed in a fraction of the time that decimals take.
LARGEST = 60_000

# pgvector's bound of hnsw.ef_search.
MOST_CANDIDATES = 1_000

# Conditions that only some queries have.
NOT_EXCLUDED = SQL(" AND own.own_id <> ALL (asked.excluded)")
ON_A_LATER_PAGE = SQL(
    " AND own.own_vector OPERATOR({vectors}.<#>) asked.query >= asked.beyond"
)

# An index search continues through rows as near as the last one: hundreds of equal
# texts come. If all rows are compared, WITH TIES would sort every one of them.
WITH_TIES = SQL("FETCH FIRST (asked.size) ROWS WITH TIES")
ALL_THEY_NEED = SQL("LIMIT asked.size")

# Filters differ from request to request.
MOST_COUNTS = 100


@dataclass(frozen=True)
class NearestQuery:
    """A search of the index for one query: its `size` nearest rows, without rows that
    cannot be among the best `wanted`, if scores are off by at most `margin`. No row is
    excluded or scores more than `at_most`.
    """

    query: NDArray[np.float64]  # (dimension,), unit length
    wanted: int
    size: int
    margin: float
    excluded: Sequence[Id] = ()
    at_most: float | None = None
    # How often each text occurs; as many times the candidates are needed.
    repeats: int = 1

    @property
    def conditions(self) -> tuple[bool, bool]:
        """Whether rows are excluded, and whether pages went before."""
        return bool(self.excluded), self.at_most is not None


@dataclass(frozen=True)
class HnswParams:
    """How far an index is searched: candidates that it keeps, at least and for each
    wanted row, and the most rows that it visits for a condition.
    """

    ef_search: int
    per_row: int = 0
    # If a condition removes rows, a search continues in steps of this size for each
    # wanted row; shorter steps miss more.
    per_row_of_steps: int = 0
    max_scan_tuples: int = 20_000

    def candidates(self, size: int, *, in_steps: bool) -> int:
        """How many candidates it keeps to find `size` rows."""
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
    # Of partitions on shards, as `Catalogue.vector_parts`.
    parts: Sequence[str] = ()

    @classmethod
    def of(
        cls, catalogue: Catalogue, version: str, matching: Composed | None = None
    ) -> "VectorQuery":
        """Raises SchemaError where migrations/pgvector was not applied."""
        schema = catalogue.require_vectors()
        parts = catalogue.vector_parts if version == UNNAMED_VERSION else ()
        return cls(catalogue.jobs, schema, version, matching, parts)

    @property
    def job_id(self) -> IdColumn:
        return self.jobs.id_column

    @property
    def table(self) -> Identifier:
        """The table of this model's vectors."""
        return Identifier("recommender", vector_table(self.version))

    def format(self, query: str, **parts: Composable) -> Composed:
        """The query of this name, with its conditions filled in."""
        name = "vectorless_in_parts" if self.parts else "vectorless"
        vectorless = self.jobs.format(QUERIES[name], version=self.version)
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

    def in_parts(self, query: str, **values: Composable) -> list[Composed]:
        """A query of one partition, for each of them."""
        jobs = QUERIES["jobs_of_part"]
        return [
            self.format(
                query,
                part=Identifier(SHARDS_SCHEMA, VECTORS_PREFIX + part),
                jobs=NOTHING
                if self.matching is None
                else self.jobs.format(
                    jobs, part=Identifier(SHARDS_SCHEMA, JOBS_PREFIX + part)
                ),
                **values,
            )
            for part in self.parts
        ]


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
    query = nearest_query(rows, asked, hnsw=hnsw)
    settings: Composable = (
        QUERIES["without_index"]
        if hnsw is None
        else _through_index(hnsw, asked[0], may_sort=_may_sort(rows))
    )
    transaction.copy_out(query, sink, settings=settings + SQL("; "))


def nearest_query(
    rows: VectorQuery, asked: Sequence[NearestQuery], *, hnsw: HnswParams | None
) -> Composed:
    """The statement of `stream_nearest`, without its settings."""
    values: dict[str, Composable] = {
        "asked": SQL(", ").join(_values(n, near, rows) for n, near in enumerate(asked)),
        "each": _conditions(asked[0], rows),
        "limited": ALL_THEY_NEED if hnsw is None else WITH_TIES,
    }
    if rows.parts:
        arms = rows.in_parts(
            "nearest_in_part",
            each=values["each"],
            size=Literal(asked[0].size),
            # No index has this order, on whatever server.
            past_index=SQL(" + 0") if hnsw is None else NOTHING,
        )
        values["parts"] = SQL(" UNION ALL ").join(arms)
    nearest = rows.format("nearest_in_parts" if rows.parts else "nearest", **values)
    return rows.format("candidates", nearest=nearest)


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
    with_vectors = rows.format(f"{query}_vectors")
    if rows.parts:
        with_vectors = SQL(" + ").join(rows.in_parts("count_in_part"))
    statement = rows.format(query, with_vectors=with_vectors)
    count: int = transaction.rows(statement)[0][0]
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


def _may_sort(rows: VectorQuery) -> bool:
    """Whether the planner may leave the order of the index: with a filter there may be
    a better way, and what comes from several servers is joined here.
    """
    return rows.matching is not None or bool(rows.parts)


def _through_index(
    hnsw: HnswParams, near: NearestQuery, *, may_sort: bool
) -> Composable:
    has_conditions = may_sort or any(near.conditions)
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
        may_sort=SQL("on" if may_sort else "off"),
    )
