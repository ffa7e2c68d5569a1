"""Team-draft interleaving: turns, coins, pages and what an answer tells."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from app.errors import DatabaseUnavailableError
from app.query import cursor
from app.query.constraints import Constraints
from app.query.ids import Id
from app.query.result import Explanation, Hit, Result, Timings
from app.query.variety import NO_VARIETY, Variety
from app.ranking.interleaving import MAX_INTERLEAVED, NO_MORE, Draft, draft
from app.ranking.skills.choice import NO_TRAITS, Caps
from tests.support.queries import profile_query

TIMINGS = Timings(1.0, 2.0)


def drafted(
    a: Sequence[Id], b: Sequence[Id], size: int, *, a_first: Sequence[bool]
) -> str:
    """The ids with the teams that picked them."""
    caps = Caps(NO_VARIETY, NO_TRAITS, ())
    picks = draft(a, b, size=size, caps=caps, coin=lambda turn: a_first[turn])
    return " ".join(f"{id_}{team}" for id_, team in picks)


@pytest.mark.parametrize(
    ("a", "b", "a_first", "expected"),
    [
        ([1, 2, 3, 4], [5, 6, 7, 8], [True, True], "1A 5B 2A 6B"),
        ([1, 2, 3, 4], [5, 6, 7, 8], [False, True], "5B 1A 2A 6B"),
        # What one has picked the other does not pick again.
        ([1, 2, 3, 4], [2, 1, 4, 3], [True, False], "1A 2B 4B 3A"),
        ([1, 2], [1, 2], [True, True], "1A 2B"),
        # Without a competitor no team gets credit.
        ([1], [5, 6, 7], [True, True], "1A 5B 6- 7-"),
        ([], [5, 6], [False, True], "5- 6-"),
        ([1], [1, 5], [True, True], "1A 5B"),
        ([], [], [True], ""),
    ],
)
def test_both_rankings_pick_in_turns(
    a: Sequence[Id], b: Sequence[Id], a_first: Sequence[bool], expected: str
) -> None:
    assert drafted(a, b, 4, a_first=a_first) == expected


def result(*ids: int, company: str = "") -> Result:
    hits = [Hit(n, f"text {n}", 0.5, columns={"company": company}) for n in ids]
    return Result(hits, 100, TIMINGS, pending=3)


def draft_for(
    user: Id = 7,
    *,
    after: str | None = None,
    top_k: int = 4,
    variety: Variety = NO_VARIETY,
) -> Draft | None:
    position = None if after is None else cursor.from_text(after)
    ours, other = (
        profile_query(
            top_k,
            user_id=user,
            ranking=ranking,
            constraints=Constraints(after=position),
            variety=variety,
        )
        for ranking in ("hybrid", "similarity")
    )
    return Draft.of(ours, other)


def page(
    drafted: Draft | None, a: Result, b: Result
) -> tuple[list[Id], str, str | None]:
    """The ids, the teams and the cursor."""
    assert drafted is not None
    outcome, teams = drafted.page(a, b)
    assert isinstance(outcome, Result)
    assert (outcome.analyzed, outcome.pending) == (a.analyzed, a.pending)
    return [hit.id for hit in outcome.hits], teams, outcome.next_cursor


A, B = range(1, 21), range(40, 10, -1)


def test_pages_repeat_nothing_and_leave_nothing_out() -> None:
    seen: list[Id] = []
    after = None
    for _ in range(20):
        found, teams, after = page(draft_for(after=after), result(*A), result(*B))
        assert abs(teams.count("A") - teams.count("B")) <= 2
        seen += found
        if after is None:
            break
    assert sorted(map(int, seen)) == list(range(1, 41))


def test_a_repeated_request_gets_the_same_page_and_users_get_different_ones() -> None:
    pages = [page(draft_for(user), result(*A), result(*B)) for user in range(40)]
    assert pages == [
        page(draft_for(user), result(*A), result(*B)) for user in range(40)
    ]
    firsts = [teams[0] for _, teams, _ in pages]
    assert 8 < firsts.count("A") < 32
    # An id in a URL is a text.
    assert page(draft_for("7"), result(*A), result(*B)) == pages[7]


def test_no_job_is_skipped_when_one_of_a_page_before_is_gone() -> None:
    first, _, after = page(draft_for(), result(*A), result(*B))
    gone = int(first[0])
    left_a, left_b = (result(*(n for n in ids if n != gone)) for ids in (A, B))
    second, _, _ = page(draft_for(after=after), left_a, left_b)
    assert second == page(draft_for(after=after), result(*A), result(*B))[0]


def test_the_rankings_are_asked_for_enough_jobs_from_the_start() -> None:
    _, _, after = page(draft_for(), result(*A), result(*B))
    second = draft_for(after=after)
    assert second is not None
    for query, ranking in zip(second.queries(), ("hybrid", "similarity"), strict=True):
        assert (query.top_k, query.key.ranking) == (9, ranking)
        assert query.constraints.after is None
    limited = draft_for(variety=Variety((("company", 2),)))
    assert limited is not None
    assert [query.top_k for query in limited.queries()] == [9, 9]


def test_both_together_keep_the_limit_per_value() -> None:
    limited = draft_for(variety=Variety((("company", 2),)))
    a = [*result(1, 2, company="x").hits, *result(3, company="y").hits]
    b = [*result(4, 5, company="x").hits, *result(6, company="z").hits]
    ids, _, _ = page(limited, replace(result(), hits=a), replace(result(), hits=b))
    assert len(ids) == 4
    assert len({1, 2, 4, 5} & set(ids)) == 2


@pytest.mark.parametrize(
    "query",
    [
        profile_query(4, text="python"),
        profile_query(MAX_INTERLEAVED + 1, user_id=7),
    ],
)
def test_a_text_and_too_many_jobs_are_not_interleaved(query: object) -> None:
    assert Draft.of(query, query) is None  # type: ignore[arg-type]


def test_a_page_after_one_that_was_not_interleaved_is_not_either() -> None:
    query = profile_query(4, user_id=7)
    plain = cursor.to_text(
        replace(cursor.from_text(page(draft_for(), result(*A), result(*B))[2] or "")),
        cursor.query_hash("another"),
    )
    after = Constraints(after=cursor.from_text(plain))
    assert Draft.of(replace(query, constraints=after), query) is None


def test_the_pages_end_before_they_cost_too_much() -> None:
    many = result(*range(1, 2 * MAX_INTERLEAVED))
    few = result(*range(1, MAX_INTERLEAVED + 1))
    for jobs, message in ((many, NO_MORE), (few, None)):
        after, count = None, 0
        while count == 0 or after is not None:
            drafted = draft_for(after=after, top_k=50)
            assert drafted is not None
            outcome, _ = drafted.page(jobs, jobs)
            assert isinstance(outcome, Result)
            count += len(outcome.hits)
            after = outcome.next_cursor
            assert outcome.message == (None if after else message)
        assert count == MAX_INTERLEAVED


def test_jobs_of_two_rankings_look_alike() -> None:
    why = Explanation(0.5, 0.5)
    a = Result([Hit(1, "x", 0.9, why, match_score=0.7, repeats=(9,))], 1, TIMINGS)
    b = Result([Hit(2, "y", 0.8)], 1, TIMINGS)
    drafted = draft_for()
    assert drafted is not None
    outcome, _ = drafted.page(a, b)
    assert isinstance(outcome, Result)
    assert sorted(outcome.hits, key=lambda hit: str(hit.id)) == [
        Hit(1, "x", 0.9), Hit(2, "y", 0.8),
    ]  # fmt: skip


def test_an_error_of_one_ranking_is_the_answer() -> None:
    away = DatabaseUnavailableError("The database is away.")
    drafted = draft_for()
    assert drafted is not None
    assert drafted.page(result(1), away) == (away, "")
    assert drafted.page(away, result(1)) == (away, "")
