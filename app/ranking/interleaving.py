"""Team-draft interleaving: two rankings fill the places of one answer in turns.

Radlinski, Kurup and Joachims (2008), How does clickthrough data reflect retrieval
quality? In each round both rankings pick their best job that has no place yet, and a
coin decides which one picks first. So neither has better places, and the users' choices
tell which ranking they prefer.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from app.errors import AppError, InvalidInputError
from app.query import cursor
from app.query.constraints import CursorPosition
from app.query.ids import Id
from app.query.query import Query
from app.query.result import Hit, Outcome, Result
from app.ranking.skills.choice import Caps, Traits, id_hash

# Jobs on all pages together: each page ranks those of the pages before once more.
MAX_INTERLEAVED = 200

NO_MORE = (
    f"There are more jobs, but pages end after {MAX_INTERLEAVED} while INTERLEAVE"
    " compares two settings."
)

NEITHER = "-"


@dataclass(frozen=True)
class Draft:
    """One page that the rankings `ours`, A, and `other`, B, fill in turns.

    `shown`: hashes of the jobs of the pages before. `query_hash`: of its cursors. The
    coins depend on these and on the user alone: a repeated request gets the same page.
    """

    ours: Query
    other: Query
    shown: tuple[int, ...]
    query_hash: bytes

    @classmethod
    def of(cls, ours: Query, other: Query) -> "Draft | None":
        """None for queries whose answer is not interleaved: a text, a page after one
        that was not, and too many jobs.
        """
        user, after = ours.source_id, ours.constraints.after
        parts = (str(user), ours.order, other.order)
        query_hash = cursor.query_hash("interleaved", *parts)
        try:
            cursor.check(after, query_hash)
        except InvalidInputError:
            return None
        shown = _unpacked(after.ranking_state) if after else ()
        if user is None or len(shown) + ours.top_k > MAX_INTERLEAVED:
            return None
        return cls(ours, other, shown, query_hash)

    @property
    def compares_rankings(self) -> bool:
        return self.ours.key.ranking != self.other.key.ranking

    def queries(self) -> tuple[Query, Query]:
        """What to ask both rankings: enough jobs for the page, and one more. Each place
        may close one value of each limited column to the other ranking.
        """
        size = len(self.shown) + self.ours.top_k
        window = size * (1 + len(self.ours.variety.max_per)) + 1
        ours, other = (
            replace(
                query,
                top_k=window,
                constraints=replace(query.constraints, after=None),
            )
            for query in (self.ours, self.other)
        )
        return ours, other

    def page(self, a: Outcome, b: Outcome) -> tuple[Outcome, str]:
        """The page, and the team of each hit. An error of either is the outcome."""
        for outcome in (a, b):
            if isinstance(outcome, AppError):
                return outcome, ""
        assert isinstance(a, Result) and isinstance(b, Result)  # noqa: S101, PT018
        before = {h.id: h for h in (*a.hits, *b.hits) if id_hash(h.id) in self.shown}
        left_a, left_b = (_left(result.hits, before) for result in (a, b))
        caps = self._caps((*a.hits, *b.hits), before)
        size = self.ours.top_k
        picks = draft(
            [hit.id for hit in left_a],
            [hit.id for hit in left_b],
            size=size + 1,
            caps=caps,
            coin=self._coin,
        )
        every = {hit.id: hit for hit in (*left_b, *left_a)}
        hits = [every[id_] for id_, _ in picks[:size]]
        if self.compares_rankings:
            hits = [_plain(hit) for hit in hits]
        result = replace(a, hits=hits, next_cursor=None)
        if len(picks) > size:
            after = self._cursor(hits)
            message = result.message if after else result.message or NO_MORE
            result = replace(result, next_cursor=after, message=message)
        return result, "".join(team for _, team in picks[:size])

    def _coin(self, turn: int) -> bool:
        """Whether A picks first in this round."""
        parts = (self.query_hash, str(self.ours.source_id), len(self.shown), turn)
        return bool(blake2b(repr(parts).encode()).digest()[0] & 1)

    def _caps(self, hits: Iterable[Hit], before: Iterable[Id]) -> Caps:
        variety = self.ours.variety
        values = {
            hit.id: [(hit.columns or {}).get(name) for name, _ in variety.max_per]
            for hit in hits
        }
        return Caps(variety, Traits(values=values), before)

    def _cursor(self, hits: Sequence[Hit]) -> str | None:
        shown = (*self.shown, *(id_hash(hit.id) for hit in hits))
        if len(shown) + self.ours.top_k > MAX_INTERLEAVED:
            return None
        state = struct.pack(f">{len(shown)}I", *shown)
        hour = self.ours.key.boosts.hour
        position = CursorPosition(0.0, 0.0, "", state, hour=hour)
        return cursor.to_text(position, self.query_hash)


def draft(
    a: Sequence[Id],
    b: Sequence[Id],
    *,
    size: int,
    caps: Caps,
    coin: Callable[[int], bool],
) -> list[tuple[Id, str]]:
    """Up to `size` ids and the team that picked each.

    When one ranking has none left, the jobs of the other count for neither: nothing
    competes with them.
    """
    lists = {"A": a, "B": b}
    picks: list[tuple[Id, str]] = []
    taken: set[Id] = set()
    order = ("A", "B")
    is_alone = False
    while len(picks) < size:
        turn, is_second = divmod(len(picks), 2)
        if not is_second:
            order = ("A", "B") if coin(turn) else ("B", "A")
        team, other = order[is_second], order[1 - is_second]
        best = {name: _best(ids, taken, caps) for name, ids in lists.items()}
        is_alone |= best[team] is None or (not is_second and best[other] is None)
        id_ = best[other] if best[team] is None else best[team]
        if id_ is None:
            break
        caps.add(id_)
        taken.add(id_)
        picks.append((id_, NEITHER if is_alone else team))
    return picks


def _best(ids: Sequence[Id], taken: set[Id], caps: Caps) -> Id | None:
    return next((id_ for id_ in ids if id_ not in taken and caps.allow(id_)), None)


def _left(hits: Sequence[Hit], before: Iterable[Id]) -> list[Hit]:
    return [hit for hit in hits if hit.id not in before]


def _plain(hit: Hit) -> Hit:
    """Without what only one of two rankings knows: it would tell which one it was, and
    its scores cannot be compared.
    """
    return Hit(
        hit.id,
        hit.text,
        hit.similarity_score,
        columns=hit.columns,
        because=hit.because,
        factor=hit.factor,
    )


def _unpacked(state: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(state) // 4}I", state[: len(state) // 4 * 4])
