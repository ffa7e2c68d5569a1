"""The latest views of the replica, shared between requests and the keeper."""

import threading
import time
from collections import deque
from collections.abc import Sequence

from app.ranking.retrieval.replica.view import ReplicaView

# Overlapping requests may have earlier snapshots than the newest view.
KEPT_VIEWS = 4
# A view without changes replaces the last one only after this time: concurrent requests
# share a view.
KEPT_S = 1.0
# The maximum number of changes in memory, 1.5 KB each; from TAKEN_OVER on the keeper
# writes them to the files.
MOST_FRESH = 512
TAKEN_OVER = 64


class ViewStore:
    """The latest views, of one or two generations of files. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._views: deque[ReplicaView] = deque(maxlen=KEPT_VIEWS)
        self._offered_at = 0.0
        self._wake_up = threading.Event()

    def latest(self) -> Sequence[ReplicaView]:
        """The views, newest first; none if the replica is not ready."""
        with self._lock:
            return list(reversed(self._views))

    def publish(self, view: ReplicaView) -> None:
        """Add a view of the keeper's files. Views of earlier files are removed, because
        they would keep these on the disk.
        """
        with self._lock:
            generation = view.manifest.generation
            if any(each.manifest.generation != generation for each in self._views):
                self._views.clear()
            self._views.append(view)

    def offer(self, view: ReplicaView, *, has_changes: bool) -> None:
        """Add a view that a request has brought up to date. The next requests start
        from it, unless it is older than another view or too large.
        """
        if len(view.changed) >= TAKEN_OVER:
            self.wake_keeper()
        with self._lock:
            now = time.monotonic()
            if not self._views or len(view.changed) > MOST_FRESH:
                return
            last = self._views[-1]
            is_behind = (
                not last.newest.is_seen_by(view.newest)
                or last.manifest.generation != view.manifest.generation
                or last.manifest.rows > view.manifest.rows
            )
            if is_behind or not (has_changes or now - self._offered_at > KEPT_S):
                return
            self._views.append(view)
            self._offered_at = now

    def withdraw(self, view: ReplicaView | None = None) -> None:
        """Remove all views, or those of this view's table, which was replaced."""
        with self._lock:
            identity = None if view is None else view.manifest.identity
            kept = [v for v in self._views if view and v.manifest.identity != identity]
            self._views.clear()
            self._views.extend(kept)
        self.wake_keeper()

    def wake_keeper(self) -> None:
        self._wake_up.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until a request needs the keeper; False after the timeout."""
        woken = self._wake_up.wait(timeout_s)
        self._wake_up.clear()
        return woken
