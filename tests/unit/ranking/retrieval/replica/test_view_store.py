"""Which view the next request starts from, and which are let go."""

from dataclasses import replace

import numpy as np
import pytest

from app.query.ids import IdColumn
from app.ranking.retrieval.replica import view_store as view_store_module
from app.ranking.retrieval.replica.files import ReplicaManifest
from app.ranking.retrieval.replica.view import ReplicaView
from app.ranking.retrieval.replica.view_store import ViewStore
from app.storage.changes import XidSnapshot
from tests.support.mirrored import mirrored, stored_rows

MANIFEST = ReplicaManifest(
    "table", "model", "integer", 8, "3:3:", "3:3:", generation=1, rows=4
)
ROWS = np.eye(4, 384, dtype=np.float32)


def view_at(xid: int, *, rows: int = 4, generation: int = 1) -> ReplicaView:
    stored = stored_rows(mirrored(np.arange(4), ROWS))
    snapshot = XidSnapshot(f"{xid}:{xid}:")
    manifest = replace(MANIFEST, generation=generation, rows=rows)
    return ReplicaView(manifest, stored, snapshot, snapshot)


def changed(view: ReplicaView, xid: int, *ids: int) -> ReplicaView:
    chunk = mirrored(np.array(ids), np.ones((len(ids), 384), np.float32))
    return view.with_changes(
        ids, [chunk], column=IdColumn("integer"), snapshot=XidSnapshot(f"{xid}:{xid}:")
    )


def newest(views: ViewStore) -> str:
    return views.latest()[0].newest.text


def test_a_view_with_changes_is_where_the_next_request_starts() -> None:
    views = ViewStore()
    first = view_at(10)
    views.publish(first)
    views.offer(changed(first, 12, 1, 9), has_changes=True)
    assert newest(views) == "12:12:"
    assert views.latest()[0].jobs == 5
    assert views.latest()[1].jobs == 4


def test_a_view_that_is_behind_is_not_taken() -> None:
    views = ViewStore()
    first = view_at(10)
    views.publish(first)
    views.offer(changed(first, 12, 1), has_changes=True)
    views.offer(changed(first, 11, 2), has_changes=True)
    assert newest(views) == "12:12:"
    # Nor one of files that the keeper has replaced, or added to.
    views.publish(view_at(12, rows=9))
    views.offer(changed(first, 13, 3), has_changes=True)
    assert views.latest()[0].manifest.rows == 9
    views.publish(view_at(12, generation=2))
    views.offer(changed(first, 14, 3), has_changes=True)
    assert [view.manifest.generation for view in views.latest()] == [2]


def test_a_view_without_changes_is_taken_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that requests of one moment share a snapshot that all of them can see."""
    views = ViewStore()
    first = view_at(10)
    views.publish(first)
    views.offer(changed(first, 12, 1), has_changes=True)
    views.offer(changed(first, 13), has_changes=False)
    assert newest(views) == "12:12:"
    monkeypatch.setattr(view_store_module, "KEPT_S", -1.0)
    views.offer(changed(first, 13), has_changes=False)
    assert newest(views) == "13:13:"


def test_many_changes_wake_the_keeper_and_too_many_are_not_kept() -> None:
    views = ViewStore()
    first = view_at(10)
    views.publish(first)
    views.offer(changed(first, 11, *range(63)), has_changes=True)
    assert not views.wait(0)
    views.offer(changed(first, 12, *range(64)), has_changes=True)
    assert views.wait(0)
    assert not views.wait(0)
    views.offer(changed(first, 13, *range(513)), has_changes=True)
    assert newest(views) == "12:12:"
    assert len(views.latest()) == 3


def test_only_a_few_views_are_kept() -> None:
    views = ViewStore()
    view = view_at(10)
    views.publish(view)
    for xid in range(11, 30):
        view = changed(view, xid, xid)
        views.offer(view, has_changes=True)
    assert [view.newest.xmin for view in views.latest()] == [29, 28, 27, 26]


def test_views_of_another_table_are_withdrawn_and_the_keeper_is_woken() -> None:
    views = ViewStore()
    views.publish(view_at(10))
    views.withdraw(view_at(99))
    assert views.latest() == []
    assert views.wait(0)
    views.publish(view_at(10))
    other = view_at(11)
    views.withdraw(replace(other, manifest=replace(MANIFEST, identity="another")))
    assert newest(views) == "10:10:"
    views.withdraw()
    assert views.latest() == []


def test_nothing_is_offered_while_nothing_is_published() -> None:
    views = ViewStore()
    views.offer(changed(view_at(10), 12, 1), has_changes=True)
    assert views.latest() == []


def test_rows_are_replaced_by_their_ids() -> None:
    view = changed(view_at(10), 11, 1, 7)
    assert sorted(view.fresh.ids) == [1, 7]  # type: ignore[union-attr]
    assert view.stored.dead.tolist() == [1]
    again = changed(view, 12, 7, 3)
    assert sorted(again.fresh.ids) == [1, 3, 7]  # type: ignore[union-attr]
    assert again.stored.dead.tolist() == [1, 3]
    gone = again.with_changes(
        [1, 2], [], column=IdColumn("integer"), snapshot=XidSnapshot("13:13:")
    )
    assert sorted(gone.fresh.ids) == [3, 7]  # type: ignore[union-attr]
    assert (gone.stored.dead.tolist(), gone.jobs) == ([1, 2, 3], 3)
    # The views before are as they were.
    assert (view.jobs, again.jobs) == (5, 5)


def test_rows_of_ids_are_kept_unless_two_have_one() -> None:
    view = changed(view_at(10), 11, 1, 7)
    some = view.matching(np.array([0, 7, 99]))
    assert some is not None
    assert (some.jobs, some.stored.dead.tolist()) == (2, [1, 2, 3])
    assert view.matching(np.zeros(0, np.int64)).jobs == 0  # type: ignore[union-attr]
    doubled = changed(view_at(10), 11, 7, 7)
    assert doubled.matching(np.array([0, 7])) is None
    assert doubled.matching(np.array([0, 1])).jobs == 2  # type: ignore[union-attr]
