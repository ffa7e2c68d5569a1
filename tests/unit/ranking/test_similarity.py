"""Ranking by similarity: comparisons, errors, texts, observer."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from app.errors import (
    ConnectionLostError,
    JobNotFoundError,
    UserNotFoundError,
)
from app.query.ids import Id
from app.query.result import Hit, Outcome, Timings, Volume
from app.ranking.item_to_item import NO_EMBEDDING
from app.ranking.profiles import NO_SKILLS
from app.storage.users import User
from tests.support.encoders import HashEncoder, direction
from tests.support.queries import job_query, profile_query, results
from tests.support.ranking import SCOPE, rank
from tests.support.tables_in_memory import (
    PENDING,
    TEXTS,
    Observer,
    TablesInMemory,
    by_hand,
    shown,
    similarity_ranking,
)

# --- what is compared --------------------------------------------------------


def test_each_query_gets_its_own_answer_in_its_own_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = TablesInMemory(
        users={
            1: User("stored", direction("another text")),
            2: User("to encode", None),
            3: User(" \n", None),
            4: User(None, direction("left over")),
        }
    )
    encoder = HashEncoder()
    asked = [
        profile_query(2, user_id=3),
        profile_query(2, text="typed"),
        profile_query(3, user_id=9),
        profile_query(3, user_id="1"),
        profile_query(1, user_id="no id"),
        profile_query(4, user_id=2),
        profile_query(4, user_id=4),
    ]
    found = rank(similarity_ranking(tables, monkeypatch, encoder=encoder), asked)
    assert encoder.seen == ["typed", "to encode"]
    for place in (2, 4):
        assert isinstance(found[place], UserNotFoundError)
        assert str(found[place]) == "No user has this user_id."
    for place, vector, top_k in (
        (1, direction("typed"), 2),
        (3, direction("another text"), 3),
        (5, direction("to encode"), 4),
    ):
        (result,) = results([found[place]])
        assert shown(result) == by_hand(vector, tables)[:top_k]
        assert (result.analyzed, result.pending) == (len(TEXTS), PENDING)
        assert result.message is None
        assert result.hits[0] == Hit(
            result.hits[0].id,
            TEXTS[int(result.hits[0].id)],
            result.hits[0].similarity_score,
            columns={"place": result.hits[0].id},
        )
    for place in (0, 6):
        (nothing,) = results([found[place]])
        assert (nothing.hits, nothing.message) == ((), NO_SKILLS)
        assert (nothing.analyzed, nothing.pending) == (0, PENDING)
        assert nothing.next_cursor is None


def test_without_a_text_the_encoder_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NoEncoder(HashEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            raise AssertionError(texts)

    tables = TablesInMemory(users={1: User("stored", direction("stored"))})
    asked = [profile_query(1, user_id=1), profile_query(1, user_id=2)]
    found = rank(similarity_ranking(tables, monkeypatch, encoder=NoEncoder()), asked)
    assert shown(results(found[:1])[0]) == by_hand(direction("stored"), tables)[:1]
    nobody = rank(
        similarity_ranking(tables, monkeypatch, encoder=NoEncoder()), asked[1:]
    )
    assert isinstance(nobody[0], UserNotFoundError)
    assert len(tables.searches) == 1


def test_fewer_hits_than_top_k_have_no_next_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = TablesInMemory()
    for top_k, has_next in ((11, True), (12, False), (99, False)):
        query = profile_query(top_k, text="any")
        (result,) = results(rank(similarity_ranking(tables, monkeypatch), [query]))
        assert shown(result) == by_hand(direction("any"), tables)[:top_k]
        assert (result.next_cursor is not None) == has_next


# --- texts -------------------------------------------------------------------


def test_the_texts_of_all_hits_are_looked_up_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = TablesInMemory()
    asked = [profile_query(3, text="a"), profile_query(2, text="b")]
    found = results(rank(similarity_ranking(tables, monkeypatch), asked))
    assert [len(result.hits) for result in found] == [3, 2]
    assert tables.looked_up == [{hit.id for result in found for hit in result.hits}]


def test_a_job_whose_id_another_one_has_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    best = [n for n, _ in by_hand(direction("a"), TablesInMemory())]
    tables = TablesInMemory(doubled=best[1:2])
    (result,) = results(
        rank(similarity_ranking(tables, monkeypatch), [profile_query(3, text="a")])
    )
    assert [hit.id for hit in result.hits] == [best[0], best[2]]


# --- from a job --------------------------------------------------------------


def test_jobs_like_a_job_are_the_others_with_their_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = TablesInMemory()
    outcomes = rank(
        similarity_ranking(tables, monkeypatch),
        [job_query(3, 4), job_query(2, "999"), job_query(2, "7"), job_query(2, "x")],
    )
    for place, number, top_k in ((0, 4, 3), (2, 7, 2)):
        (result,) = results(outcomes[place : place + 1])
        others = [
            row
            for row in by_hand(tables.embeddings[number], tables)
            if row[0] != number
        ]
        assert shown(result) == others[:top_k]
        # No pending rows are counted for a page without a next one either.
        assert (result.pending, result.next_cursor) == (0, None)
        assert result.analyzed == len(TEXTS)
    for place in (1, 3):
        assert isinstance(outcomes[place], JobNotFoundError)
        assert str(outcomes[place]) == "No job has this job_id."
    assert tables.counted == 0


@pytest.mark.parametrize("number", [100, 101], ids=["none", "points nowhere"])
def test_a_job_without_a_sound_embedding_says_so(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    found = rank(
        similarity_ranking(TablesInMemory(), monkeypatch),
        [job_query(3, number), job_query(1, 2)],
    )
    none, other = results(found)
    assert (none.hits, none.message) == ((), NO_EMBEDDING)
    assert len(other.hits) == 1


def test_users_for_a_job_are_shown_with_their_texts_and_no_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The users' embeddings are those of the jobs here: user 4 fits job 4 best.
    users: Mapping[Id, User] = {n: User(f"user {n}", None) for n in range(12)}
    tables = TablesInMemory(users=dict(users))
    query = job_query(2, 4, target="users")
    (result,) = results(rank(similarity_ranking(tables, monkeypatch), [query]))
    expected = by_hand(tables.embeddings[4], tables)[:2]
    assert shown(result) == expected
    assert expected[0][0] == 4
    assert [hit.text for hit in result.hits] == [f"user {n}" for n, _ in expected]
    assert [hit.columns for hit in result.hits] == [None, None]


# --- beside the answers ------------------------------------------------------


def test_the_observer_gets_the_timings_of_a_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each stage takes a second longer than the one before.
    moments = iter([0.0, 1.0, 10.0, 12.0])
    ranked = similarity_ranking(
        TablesInMemory(), monkeypatch, observer=(observer := Observer())
    )
    with monkeypatch.context() as patch:
        patch.setattr(time, "perf_counter", lambda: next(moments))
        (result,) = results(rank(ranked, [profile_query(1, text="a")]))
    timings = Timings(encode_ms=1000.0, scan_ms=2000.0)
    assert result.timings == timings
    assert observer.batches == [(1, Volume(len(TEXTS), 1000), timings)]


def test_the_catalogue_and_the_pending_rows_are_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = TablesInMemory()
    ranked = similarity_ranking(tables, monkeypatch)
    for _ in range(3):
        rank(ranked, [profile_query(1, text="a")])
    assert tables.catalogues_read == tables.counted == 1


def test_a_lost_connection_is_replaced_once_and_the_catalogue_read_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = TablesInMemory(losses=1)
    ranked = similarity_ranking(tables, monkeypatch)
    query = profile_query(2, text="a")

    def answer() -> Sequence[Outcome]:
        return ranked.rank(query.key, [query], SCOPE)

    assert shown(results(answer())[0]) == by_hand(direction("a"), tables)[:2]
    tables.losses = 2
    with pytest.raises(ConnectionLostError):
        answer()
    reads = tables.catalogues_read
    assert shown(results(answer())[0]) == by_hand(direction("a"), tables)[:2]
    assert tables.catalogues_read == reads + 1
