"""The same posting again and again takes one place: near-repeats by their skills."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from app.query import cursor
from app.query.ids import Id, IdColumn
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


def first_window(size: int) -> int:
    """How many rows to rank for a page of `size` distinct ones."""
    return 2 * size + SPARE_ROWS


def next_window(window: int) -> int:
    """The next larger one; the same where there is none."""
    return max(window, min(4 * window, MAX_WINDOW))


@dataclass(frozen=True)
class DistinctRequest:
    """What a page of distinct rows is made of.

    `window`: how many rows were ranked. `seen`: rows of pages before that took a place.
    `lists`: the skill ids of all these rows, by id; none of a row that has none.
    """

    size: int
    window: int
    column: IdColumn
    query_hash: bytes
    state: RankingState
    lists: Mapping[Id, Collection[int]]


def distinct_page(ranked: Sequence[Scored], asked: DistinctRequest) -> Page | None:
    """The first rows of which none repeats another one, with their repeats beside them;
    None where a larger window is needed.
    """
    ids = [asked.column.from_stream(row.id) for row in ranked]
    places = _places(ids, asked)
    is_all = len(ranked) < asked.window
    is_enough = len(places) > asked.size
    if not (is_enough or is_all or next_window(asked.window) == asked.window):
        return None
    shown = list(places)[: asked.size]
    page = Page(
        [ids[n] for n in shown],
        [ranked[n] for n in shown],
        None,
        {ids[n]: tuple(ids[m] for m in places[n]) for n in shown},
    )
    if is_all and not is_enough:
        return page
    last = shown[-1] if is_enough else len(ranked) - 1
    seen = replace(asked.state, seen=[*asked.state.seen, *page.ids])
    state = state_bytes(seen, room=cursor.room_for_state(ids[last]))
    after = cursor_after(ranked[last], ids[last], asked.query_hash, state)
    return replace(page, next_cursor=after)


def _places(ids: Sequence[Id], asked: DistinctRequest) -> dict[int, list[int]]:
    """By the number of each row that takes a place, in their order, its repeats."""
    seen = [asked.lists.get(id_, ()) for id_ in asked.state.seen]
    leaders = Leaders(seen)
    numbers: list[int | None] = [None] * len(seen)
    places: dict[int, list[int]] = {}
    for number, id_ in enumerate(ids):
        listed = asked.lists.get(id_, ())
        leader = leaders.first_near(listed)
        if leader is None:
            leaders.add(listed)
            numbers.append(number)
            places[number] = []
        elif (place := numbers[leader]) is not None:
            places[place].append(number)
    return places
