"""`python -m benchmarks.scans`: the replica's scan beside FAISS's, in memory alone.

Each finds the ten nearest rows of one query, and of 64, with one thread: fastest of
some rounds in turn. FAISS's flat index compares float32, its scalar quantizer 8 bits;
the replica's codes are 8 bits with a bound of the error, and the rows within it are
compared exactly.

Two kinds of rows: those of the other benchmarks (postings, and sums of two) and
normalised noise around 256 centres, which has no directions that say more than others.
Queries are users' texts, and noise around the same centres.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from itertools import product

import faiss
import numpy as np
from numpy.typing import NDArray

from app.encoder.lazy import LazyEncoder
from app.ranking.retrieval.replica.codes_top_k import CodesTopK
from app.ranking.retrieval.replica.filling import BASIS_ROWS
from app.ranking.retrieval.replica.records import COMPARABLE, ENTRY_ROW
from app.ranking.retrieval.replica.view import StoredRows
from app.ranking.top_k.codes import coded, integer_dots
from app.ranking.top_k.heads import basis_of, headed
from benchmarks.servers import MODEL_DIR
from benchmarks.tables import real_texts, real_vectors

DIMENSION = 384
CENTRES = 256
TOP_N = 10
QUERIES = 64
BLOCK_ROWS = 16_384


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    faiss.omp_set_num_threads(1)
    print("| rows of | jobs | queries | replica ms | FAISS SQ8 ms | FAISS flat ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for rows, kind in product(args.rows, KINDS):
        vectors, asked = KINDS[kind](rows)
        ways = {
            "replica": _replica(vectors),
            "sq8": _faiss(
                faiss.IndexScalarQuantizer(
                    DIMENSION,
                    faiss.ScalarQuantizer.QT_8bit,
                    faiss.METRIC_INNER_PRODUCT,
                ),
                vectors,
            ),
            "flat": _faiss(faiss.IndexFlatIP(DIMENSION), vectors),
        }
        for count in (1, QUERIES):
            best = dict.fromkeys(ways, np.inf)
            for _ in range(args.rounds):
                for name, find in ways.items():
                    start = time.perf_counter()
                    find(asked[:count])
                    spent = 1000 * (time.perf_counter() - start)
                    best[name] = min(best[name], spent)
            figures = " | ".join(f"{best[name]:.1f}" for name in ways)
            print(f"| {kind} | {rows:,} | {count} | {figures} |", flush=True)
    return 0


Find = Callable[[NDArray[np.float32]], object]


def _postings(rows: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    asked = LazyEncoder(MODEL_DIR).encode(real_texts("users", QUERIES))
    return real_vectors(rows), asked


def _noise(rows: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return _vectors(rows), _vectors(QUERIES, seed=2)


KINDS = {"postings": _postings, "noise": _noise}


def _vectors(rows: int, *, seed: int = 1) -> NDArray[np.float32]:
    """(rows, DIMENSION), unit length."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((CENTRES, DIMENSION))
    found = np.empty((rows, DIMENSION), np.float32)
    for start in range(0, rows, BLOCK_ROWS):
        part = found[start : start + BLOCK_ROWS]
        noise = random.standard_normal(part.shape)
        part[:] = centres[random.integers(0, CENTRES, len(part))] + noise
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return found


def _replica(vectors: NDArray[np.float32]) -> Find:
    blocks = [
        vectors[start : start + BLOCK_ROWS]
        for start in range(0, len(vectors), BLOCK_ROWS)
    ]
    parts = [coded(block) for block in blocks]
    basis = basis_of(vectors[:BASIS_ROWS])
    heads = [headed(block, basis) for block in blocks]
    entries = np.zeros(len(vectors), ENTRY_ROW)
    entries["flags"] = COMPARABLE
    none = np.zeros(0, np.int32)
    stored = StoredRows(
        ids=np.arange(len(vectors)),
        heads=np.concatenate([part.integers for part in heads]),
        lengths=np.concatenate([part.scales for part in heads]),
        basis=basis,
        codes=np.concatenate([part.integers for part in parts]),
        scales=np.concatenate([part.scales for part in parts]),
        exact=vectors,
        entries=entries,
        skills=none,
        dead=none,
    )

    def find(asked: NDArray[np.float32]) -> object:
        top = CodesTopK(asked, [TOP_N] * len(asked))
        top.take_stored(stored, lambda: None)
        return [top.result(n) for n in range(len(asked))]

    return find


def _faiss(index: "faiss.Index", vectors: NDArray[np.float32]) -> Find:
    index.train(vectors[: 10 * BLOCK_ROWS])
    index.add(vectors)

    def find(asked: NDArray[np.float32]) -> object:
        return index.search(asked, TOP_N)

    return find


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=15)
    return parser.parse_args(argv)


if __name__ == "__main__":
    print("simsimd" if integer_dots() else "NumPy")
    raise SystemExit(main())
