"""Pages of chosen rows: near-repeats by their skills take one place, and few of the
places are alike.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from app.query import cursor
from app.query.constraints import Constraints, CursorPosition
from app.query.ids import Id, IdColumn
from app.query.query import Query
from app.query.variety import NO_VARIETY, Variety
from app.ranking.skills.choice import DIVERSE_WINDOW, Traits, chosen, id_hash
from app.ranking.skills.ranking_state import RankingState, state_bytes
from app.ranking.top_k.heap import Scored
from app.ranking.top_k.pages import Page, cursor_after

# Two rows are near-repeats from this share on, of the skills that either lists, that
# both list (the Jaccard index).
NEAR_REPEAT = 0.8

# Rows that are looked at for a page of distinct ones, at first and at most: behind so
# many copies of one posting a page may be short, and the next one goes on.
SPARE_ROWS = 20
MAX_WINDOW = 2048


class Leaders:
    """The rows that take a place, by the skills that they list."""

    def __init__(self, lists: Sequence[Collection[int]]) -> None:
        self._by_skill: dict[int, list[int]] = defaultdict(list)
        self._sizes: list[int] = []
        for skill_ids in lists:
            self.add(skill_ids)

    def add(self, skill_ids: Collection[int]) -> None:
        for skill in skill_ids:
            self._by_skill[skill].append(len(self._sizes))
        self._sizes.append(len(skill_ids))

    def first_near(self, skill_ids: Collection[int]) -> int | None:
        """The number of the first leader that these repeat, None if there is none."""
        shared = Counter(
            leader for skill in skill_ids for leader in self._by_skill.get(skill, ())
        )
        near = [
            leader
            for leader, both in shared.items()
            if both >= NEAR_REPEAT * (len(skill_ids) + self._sizes[leader] - both)
        ]
        return min(near, default=None)


# Precedes every row, in a cursor: among these the next page is chosen as well.
START = CursorPosition(1e9, 0.0, "")


def first_window(size: int) -> int:
    """How many rows to rank for a page of `size` chosen ones."""
    return 2 * size + SPARE_ROWS


def window_of(query: Query) -> int:
    """How many rows to rank at first: one more than is shown tells whether there is a
    next page, and chosen ones stand among others.
    """
    if query.variety.diversity:
        return DIVERSE_WINDOW
    is_chosen = query.distinct or query.variety
    return first_window(query.top_k) if is_chosen else query.top_k + 1


def next_window(window: int) -> int:
    """The next larger one; the same where there is none."""
    return max(window, min(4 * window, MAX_WINDOW))


@dataclass(frozen=True)
class DistinctRequest:
    """What a page of chosen rows is made of.

    `window`: how many rows were ranked, after `after`. `traits`: of these rows and of
    those of pages before that the state knows.
    """

    size: int
    window: int
    column: IdColumn
    query_hash: bytes
    state: RankingState
    traits: Traits
    variety: Variety = NO_VARIETY
    is_distinct: bool = True
    after: CursorPosition | None = None
    hour: int = 0


def distinct_page(ranked: Sequence[Scored], asked: DistinctRequest) -> Page | None:
    """The chosen rows, of which none repeats another one, with their repeats beside
    them; None where a larger window is needed.
    """
    ids = [asked.column.from_stream(row.id) for row in ranked]
    places = _places(ids, asked)
    picked = chosen(
        list(places),
        ids,
        [row.score for row in ranked],
        variety=asked.variety,
        traits=asked.traits,
        before=asked.state.seen,
        shown=frozenset(asked.state.shown),
        size=asked.size + 1,
    )
    is_all = len(ranked) < asked.window
    is_enough = len(picked) > asked.size
    is_widest = asked.variety.diversity or next_window(asked.window) == asked.window
    if not (is_enough or is_all or is_widest):
        return None
    shown = picked[: asked.size]
    repeats = {ids[n]: tuple(ids[m] for m in places[n]) for n in shown}
    page = Page(
        [ids[n] for n in shown],
        [ranked[n] for n in shown],
        None,
        repeats if asked.is_distinct else {},
    )
    if is_all and not is_enough:
        return page
    if is_enough and asked.variety.diversity:
        return replace(page, next_cursor=_same_window(page, asked))
    end = shown[-1] if is_enough else len(ranked) - 1
    state = replace(asked.state, seen=[*asked.state.seen, *page.ids], shown=())
    data = state_bytes(state, room=cursor.room_for_state(ids[end]))
    after = cursor_after(ranked[end], ids[end], asked.query_hash, data, hour=asked.hour)
    return replace(page, next_cursor=after)


def _same_window(page: Page, asked: DistinctRequest) -> str:
    """The cursor of a page that is chosen from the same rows: the order is not that of
    the scores.
    """
    start = asked.after or START
    state = replace(
        asked.state,
        seen=[*asked.state.seen, *page.ids],
        shown=[*asked.state.shown, *map(id_hash, page.ids)],
    )
    data = state_bytes(state, room=cursor.room_for_state(start.id))
    position = replace(start, ranking_state=data, checksum=b"", hour=asked.hour)
    return cursor.to_text(position, asked.query_hash)


def constraints_of(query: Query) -> Constraints:
    """The constraints of the rows to rank for a page."""
    after = query.constraints.after
    is_start = after is not None and after.score == START.score
    return replace(query.constraints, after=None) if is_start else query.constraints


def _places(ids: Sequence[Id], asked: DistinctRequest) -> dict[int, list[int]]:
    """By the number of each row that takes a place, in their order, its repeats."""
    lists = asked.traits.lists
    seen: list[Collection[int]] = [lists.get(id_, ()) for id_ in asked.state.seen]
    leaders = Leaders(seen)
    numbers: list[int | None] = [None] * len(seen)
    places: dict[int, list[int]] = {}
    for number, id_ in enumerate(ids):
        listed: Collection[int] = lists.get(id_, ())
        leader = leaders.first_near(listed)
        if leader is None:
            leaders.add(listed)
            numbers.append(number)
            places[number] = []
        elif (place := numbers[leader]) is not None:
            places[place].append(number)
    return places
