"""Codes only choose: answers are those of the full scan, whatever the vectors are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.ranking.retrieval.replica import codes_top_k
from app.ranking.retrieval.replica.codes_top_k import CodesTopK
from app.ranking.retrieval.replica.files import ReplicaFiles, ReplicaManifest
from app.ranking.retrieval.replica.records import MirroredRows
from app.ranking.retrieval.replica.view import ReplicaView
from app.ranking.top_k import codes
from app.ranking.top_k.bounds import Bounds, Scored
from app.ranking.top_k.codes import coded
from app.ranking.top_k.cosine import CosineTopK
from app.storage.changes import XidSnapshot
from app.storage.copy.embeddings import EmbeddingChunk
from tests.support.mirrored import NOTHING_DEAD, mirrored, stored_rows

MANIFEST = ReplicaManifest("table", "model", "integer", 8, "3:3:", "3:3:")


def view_of(
    rows: NDArray[np.float32],
    *,
    ids: NDArray[np.int64] | None = None,
    dead: NDArray[np.int32] = NOTHING_DEAD,
    fresh: MirroredRows | None = None,
) -> ReplicaView:
    numbers = np.arange(len(rows)) if ids is None else ids
    stored = stored_rows(mirrored(numbers, rows), dead=dead)
    snapshot = XidSnapshot("3:3:")
    return ReplicaView(MANIFEST, stored, snapshot, snapshot, frozenset(), fresh)


def random_rows(count: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, 384), np.float32)


def spiky(count: int) -> NDArray[np.float32]:
    """One large component, and others that codes round by half a step or to zero."""
    rows = np.full((count, 384), 0.5 / 127, np.float32)
    rows *= np.random.default_rng(0).choice([-1, 1, 0.99, 1.01], (count, 384))
    rows[np.arange(count), np.arange(count) % 384] = 1
    return rows


def nearly_equal(count: int) -> NDArray[np.float32]:
    """Closer to one another than codes can tell."""
    return random_rows(1) + random_rows(count) * np.float32(1e-5)


def of_any_length(count: int) -> NDArray[np.float32]:
    lengths = 10.0 ** np.random.default_rng(1).uniform(-14, 17, (count, 1))
    return (random_rows(count) * lengths / 20).astype(np.float32)


def tied(count: int) -> NDArray[np.float32]:
    return random_rows(7)[np.arange(count) % 7] * np.float32(3)


def along_errors(count: int) -> NDArray[np.float32]:
    """As far off their codes, in the direction of a query, as a bound allows."""
    rows = coded(random_rows(count))
    scale = rows.scales["scale"][:, None]
    steps = scale * 0.499 * np.sign(random_rows(1))
    return (scale * rows.integers + steps).astype(np.float32)


Kind = Callable[[int], NDArray[np.float32]]
KINDS: list[Kind] = [
    random_rows,
    spiky,
    nearly_equal,
    of_any_length,
    tied,
    along_errors,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_cosine_is_further_from_its_code_than_its_error(kind: Kind) -> None:
    vectors = kind(500).astype(np.float64)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = coded(kind(500))
    lost = units - rows.scales["scale"][:, None].astype(np.float64) * rows.integers
    error = rows.scales["error"]
    # The worst query is the error itself.
    worst = np.linalg.norm(lost, axis=1)
    assert (worst <= error).all()
    assert (worst >= error * (1 - 1e-5) - 1e-12).all()
    assert (error < 0.08).all()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("most_coded", [0, 64])
@pytest.mark.parametrize("queries", [1, 3, 64])
def test_answers_are_those_of_the_full_scan(
    monkeypatch: pytest.MonkeyPatch,
    kind: Kind,
    queries: int,
    most_coded: int,
) -> None:
    # Several parts, of several blocks each.
    monkeypatch.setattr(codes, "WIDENED_ROWS", 64)
    monkeypatch.setattr(codes, "INTEGER_ROWS", 64)
    monkeypatch.setattr(codes, "MOST_CODED_QUERIES", most_coded)
    monkeypatch.setattr(codes_top_k, "LEAST_COMPARED_ROWS", 200)
    monkeypatch.setattr(codes_top_k, "COMPARED_SCORES", 200)
    monkeypatch.setattr(codes_top_k, "FIRST_ROWS", 70)
    rows = kind(1500)
    asked = np.concatenate([random_rows(queries - queries // 3), kind(queries // 3)])
    sizes = [(1, 10, 100, 2000)[n % 4] for n in range(queries)]
    first = compare(asked, sizes, rows, [Bounds()] * queries)
    # A page each that goes on from the middle of the one before, with other bounds.
    bounds = [
        Bounds(
            least=-np.inf if n % 2 else found[-1].score - 0.01,
            after=found[len(found) // 2],
            excluded=tuple(range(0, 1500, 2 + n % 5)),
        )
        for n, found in enumerate(first)
    ]
    compare(asked, sizes, rows, bounds)


def compare(
    asked: NDArray[np.float32],
    sizes: list[int],
    rows: NDArray[np.float32],
    bounds: list[Bounds],
) -> list[list[Scored]]:
    random = np.random.default_rng(4)
    dead = np.sort(random.choice(1500, 200, replace=False)).astype(np.int32)
    fresh = EmbeddingChunk(np.arange(2000, 2100), random_rows(100, seed=5))
    top = CodesTopK(asked, sizes, bounds=bounds)
    mirror = mirrored(fresh.ids, fresh.embeddings)
    top.take(view_of(rows, dead=dead, fresh=mirror), lambda: None)
    scan = CosineTopK(asked, sizes, bounds=bounds)
    alive = np.setdiff1d(np.arange(1500), dead)
    scan.update(EmbeddingChunk(alive, rows[alive]))
    scan.update(fresh)
    found = [top.result(n) for n in range(len(asked))]
    assert found == [scan.result(n) for n in range(len(asked))]
    assert top.analyzed == scan.analyzed == 1400
    return found


def test_a_search_asks_before_each_part_whether_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(codes_top_k, "LEAST_COMPARED_ROWS", 64)
    monkeypatch.setattr(codes_top_k, "COMPARED_SCORES", 64)
    calls: list[int] = []
    top = CodesTopK(random_rows(1), [3])
    top.take(view_of(random_rows(640)), lambda: calls.append(1))
    assert len(calls) == 10


def test_an_empty_replica_has_no_rows(tmp_path: Path) -> None:
    for view in (
        view_of(random_rows(0)),
        ReplicaView.of(ReplicaFiles(tmp_path), MANIFEST),
    ):
        top = CodesTopK(random_rows(2), [3, 3])
        top.take(view, lambda: None)
        assert (top.result(0), top.analyzed) == ([], 0)
