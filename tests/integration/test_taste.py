"""Feedback moves the rankings of a real database, and answers say why."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.query.constraints import Constraints
from app.query.cursor import from_text
from app.query.feedback import EventName, FeedbackChange
from app.query.ids import Id
from app.query.query import Query
from app.query.result import Result
from app.ranking.base import RankingContext
from app.ranking.dispatch import Dispatcher
from app.ranking.registry import RANKINGS, build_rankings
from app.ranking.retrieval.full_scan import FullScan
from app.ranking.taste import AWAY, TOWARDS
from app.storage.connection.database import Database
from tests.integration.skills.test_hybrid import texts
from tests.integration.skills.test_ranking import insert
from tests.integration.test_feedback import record
from tests.support.encoders import BlendEncoder
from tests.support.postgres import run
from tests.support.queries import profile_query, results
from tests.support.ranking import SCOPE
from tests.support.rows import add_user
from tests.support.skills import fill

JOBS = texts(120, seed=4)
TEXT = "aword1 bword2, cword3, aword4 cword5"
NAMES = ("similarity", "skills", "hybrid")


@pytest.fixture
def dispatcher(database: Database, database_url: str, tmp_path: Path) -> Dispatcher:
    """All rankings, over jobs, two users with the same text and one without."""
    insert(database, "skill_job1", JOBS)
    for user, text in ((1, TEXT), (2, TEXT), (3, None)):
        add_user(database_url, user, text)
    fill(database, BlendEncoder())
    scan = FullScan(version=BlendEncoder.version, scan_chunk_rows=16)
    context = RankingContext(database, BlendEncoder(), scan, tmp_path)
    return Dispatcher(build_rankings(context))


def ask(dispatcher: Dispatcher, *queries: Query) -> list[Result]:
    return results(dispatcher.run(queries, SCOPE))


def ids_of(result: Result) -> list[Id]:
    return [hit.id for hit in result.hits]


def give(database: Database, user: Id, event: EventName, *jobs: Id) -> None:
    changes = [FeedbackChange(user, job, event) for job in jobs]
    assert record(database, *changes) == [None] * len(changes)


def unit(text: str) -> NDArray[np.float64]:
    vector = BlendEncoder().encode([text])[0].astype(np.float64)
    direction: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return direction


def cosine(text: str, direction: NDArray[np.float64]) -> float:
    return float(np.dot(unit(text), direction))


def test_scores_are_cosines_with_the_moved_profile(
    dispatcher: Dispatcher, database: Database
) -> None:
    liked, disliked = list(JOBS)[:3], list(JOBS)[3:5]
    give(database, 1, "saved", *liked)
    give(database, 1, "dismissed", *disliked)
    moved = (
        unit(TEXT)
        + TOWARDS * 3 / 4 * np.mean([unit(JOBS[id_]) for id_ in liked], axis=0)
        - AWAY * 2 / 3 * np.mean([unit(JOBS[id_]) for id_ in disliked], axis=0)
    )
    moved /= np.linalg.norm(moved)
    plain = {id_: cosine(text, unit(TEXT)) for id_, text in JOBS.items()}
    expected = {
        id_: cosine(text, moved) for id_, text in JOBS.items() if id_ not in disliked
    }
    mine, other = ask(
        dispatcher,
        profile_query(len(JOBS), user_id=1),
        profile_query(len(JOBS), user_id=2),
    )
    for result, scores in ((mine, expected), (other, plain)):
        found = {hit.id: hit.similarity_score for hit in result.hits}
        assert found == pytest.approx(scores, abs=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_does_not_depend_on_its_batch(
    dispatcher: Dispatcher, database: Database, name: str
) -> None:
    give(database, 1, "saved", *list(JOBS)[:3])
    give(database, 3, "applied", *list(JOBS)[5:7])
    queries = [profile_query(9, user_id=user, ranking=name) for user in (1, 2, 3)]
    together = ask(dispatcher, *queries)
    for query, result in zip(queries, together, strict=True):
        (alone,) = ask(dispatcher, query)
        assert alone.hits == result.hits


@pytest.mark.parametrize("name", ["similarity", "hybrid"])
def test_a_job_that_rose_names_the_saved_job_that_it_is_like(
    dispatcher: Dispatcher, database: Database, name: str
) -> None:
    query = profile_query(len(JOBS), user_id=1, ranking=name)
    (before,) = ask(dispatcher, query)
    assert all(hit.because is None for hit in before.hits)
    saved = ids_of(before)[-1]
    give(database, 1, "saved", saved)
    (after,) = ask(dispatcher, query)
    assert ids_of(after).index(saved) < ids_of(before).index(saved)
    reasons = {hit.because for hit in after.hits}
    assert reasons == {None, saved}
    assert next(h for h in after.hits if h.id == saved).because == saved


def test_by_skills_what_rose_names_the_saved_job_that_lists_the_same(
    dispatcher: Dispatcher, database: Database
) -> None:
    query = profile_query(len(JOBS), user_id=1, ranking="skills")
    (before,) = ask(dispatcher, query)
    assert all(hit.because is None for hit in before.hits)
    give(database, 1, "saved", ids_of(before)[20])
    (after,) = ask(dispatcher, query)
    scores = {hit.id: hit.match_score or 0.0 for hit in before.hits}
    rose = {hit.id for hit in after.hits if (hit.match_score or 0.0) > scores[hit.id]}
    assert 0 < len(rose) < len(JOBS)
    assert {hit.id for hit in after.hits if hit.because is not None} == rose
    assert {hit.because for hit in after.hits} == {None, ids_of(before)[20]}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_user_without_a_text_saved_is_the_profile(
    dispatcher: Dispatcher, database: Database, name: str
) -> None:
    query = profile_query(5, user_id=3, ranking=name)
    (nothing,) = ask(dispatcher, query)
    assert not nothing.hits
    assert nothing.message == "This user has no skills to match."
    saved = next(iter(JOBS))
    give(database, 3, "dismissed", list(JOBS)[1])
    assert not ask(dispatcher, query)[0].hits
    give(database, 3, "saved", saved)
    (found,) = ask(dispatcher, query)
    assert found.hits[0].id == saved
    assert all(hit.because == saved for hit in found.hits)
    assert list(JOBS)[1] not in ids_of(found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("user", [1, 3])
def test_feedback_between_pages_changes_no_order(
    dispatcher: Dispatcher, database: Database, name: str, user: int
) -> None:
    give(database, user, "saved", *list(JOBS)[:2])
    query = profile_query(len(JOBS), user_id=user, ranking=name)
    (whole,) = ask(dispatcher, query)
    expected, seen = list(whole.hits), list[Id]()
    scores = {hit.id: hit.match_score or hit.similarity_score for hit in whole.hits}
    cursor: str | None = None
    while True:
        after = None if cursor is None else from_text(cursor)
        page_query = replace(query, top_k=9, constraints=Constraints(after=after))
        (page,) = ask(dispatcher, page_query)
        seen += ids_of(page)
        for hit in page.hits:
            assert (hit.match_score or hit.similarity_score) == scores[hit.id]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
        give(database, user, "saved", seen[-1], seen[-4])
        if len(seen) + 2 < len(expected):
            give(database, user, "dismissed", expected[len(seen) + 2].id)
            del expected[len(seen) + 2]
    assert seen == [hit.id for hit in expected]
    (anew,) = ask(dispatcher, query)
    assert ids_of(anew) != seen


@pytest.mark.parametrize("name", ["skills", "hybrid"])
@pytest.mark.parametrize("user", [1, 3])
def test_labels_need_more_of_a_score_the_more_jobs_are_liked(
    dispatcher: Dispatcher, database: Database, name: str, user: int
) -> None:
    entry = RANKINGS[name]
    assert entry.thresholds is not None
    assert entry.rise
    query = profile_query(len(JOBS), user_id=user, ranking=name)
    # One that is dismissed as well is not liked, and one without a row counts nothing.
    give(database, user, "saved", *list(JOBS)[10:12])
    give(database, user, "dismissed", list(JOBS)[11])
    for liked, job in enumerate(list(JOBS)[:4], start=2):
        give(database, user, "saved", job)
        own = entry.thresholds.times(1 + entry.rise * liked / (liked + 1))
        (whole,) = ask(dispatcher, query)
        assert whole.liked == liked
        labels = {
            hit.id: own.relevance(hit.match_score)
            for hit in whole.hits
            if hit.match_score is not None
        }
        assert {hit.id: hit.relevance for hit in whole.hits} == labels
        assert len(set(labels.values())) > 1
        (page,) = ask(dispatcher, replace(query, top_k=9))
        assert page.next_cursor is not None
        # What is liked between two pages changes no label, either.
        give(database, user, "saved", list(JOBS)[20 + liked])
        after = from_text(page.next_cursor)
        (other,) = ask(dispatcher, replace(query, constraints=Constraints(after=after)))
        shown = {hit.id: hit.relevance for hit in (*page.hits, *other.hits)}
        assert shown == labels
        changes = [FeedbackChange(user, list(JOBS)[20 + liked], "saved", undo=True)]
        assert record(database, *changes) == [None]


def test_a_deleted_job_pulls_no_longer(
    dispatcher: Dispatcher, database: Database, database_url: str
) -> None:
    query = profile_query(20, user_id=1)
    saved = next(iter(JOBS))
    (before,) = ask(dispatcher, query)
    give(database, 1, "saved", saved)
    assert ask(dispatcher, query)[0].hits != before.hits
    run(database_url, f"DELETE FROM skill_job1 WHERE job_id = {saved}")
    (after,) = ask(dispatcher, query)
    kept = [hit for hit in before.hits if hit.id != saved]
    assert list(after.hits)[: len(kept)] == kept
