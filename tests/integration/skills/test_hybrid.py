"""The hybrid ranking through Postgres, compared with the reference implementation."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg2.sql import SQL

from app.commands.migrate import migrate
from app.deadline import Deadline
from app.errors import InvalidInputError, UserNotFoundError
from app.query.constraints import Constraints
from app.query.cursor import from_text
from app.query.query import Query
from app.query.result import Result
from app.storage.connection.database import Database
from tests.integration.skills.test_ranking import insert
from tests.support.encoders import BlendEncoder
from tests.support.naive_hybrid import NaiveHybrid, NaiveRow
from tests.support.postgres import run
from tests.support.queries import job_query, profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.skills import fill, forget_counts

WORDS = [f"{letter}word{n}" for letter in "abc" for n in range(12)]
# float32 leaves the last digits of a similarity to its rounding.
MAX_ERROR = 2e-6


def texts(count: int, *, seed: int) -> dict[int, str]:
    """One to six skills of one to three words: many alike, some equal."""
    rng = random.Random(seed)
    return {
        id_: ", ".join(
            " ".join(rng.sample(WORDS, rng.randint(1, 3)))
            for _ in range(rng.randint(1, 6))
        )
        for id_ in rng.sample(range(10_000), count)
    }


def ask(database: Database, folder: Path, *queries: Query) -> list[Result]:
    ranking = ranking_over(database, BlendEncoder(), name="hybrid", folder=folder)
    return results(rank(ranking, queries))


def question(top_k: int, text: str, **more: object) -> Query:
    return profile_query(top_k, text=text, ranking="hybrid", **more)  # type: ignore[arg-type]


def scores_of(result: Result) -> list[tuple[Any, Any]]:
    assert all(hit.match_score is not None for hit in result.hits)
    return [(hit.id, hit.match_score or 0.0) for hit in result.hits]


def assert_equal(
    got: Sequence[tuple[object, float]], expected: Sequence[tuple[int, float]]
) -> None:
    assert [s for _, s in got] == pytest.approx([s for _, s in expected], abs=MAX_ERROR)
    # Neighbours nearer than the rounding may change places.
    clear = [
        id_
        for n, (id_, score) in enumerate(expected)
        if all(
            abs(score - other) > MAX_ERROR or score == other
            for _, other in expected[max(0, n - 1) : n + 2]
        )
    ]
    assert [id_ for id_, _ in got if id_ in clear] == clear


def write(database: Database, statement: str) -> None:
    with database.write(Deadline.after(30)) as transaction:
        transaction.execute(SQL(statement))


def test_the_ranking_equals_the_naive_one_whoever_shares_the_batch(
    database: Database, tmp_path: Path
) -> None:
    jobs = texts(300, seed=1)
    insert(database, "skill_job1", jobs)
    insert(database, "users", texts(20, seed=5))
    fill(database, BlendEncoder(), batch_size=64)
    naive = NaiveHybrid(
        BlendEncoder(), {id_: NaiveRow(text) for id_, text in jobs.items()}
    )
    # Words that no job has leave a share of the query open.
    asked = [*texts(20, seed=2).values(), "aword1 unheard, of", "unheard of this board"]
    queries = [question(n % 12 + 3, text) for n, text in enumerate(asked)]

    together = ask(database, tmp_path, *queries)

    for query, result in zip(queries, together, strict=True):
        assert query.text is not None
        assert_equal(scores_of(result), naive.best(query.text, size=query.top_k))
        assert result.analyzed == len(jobs)
        for hit in result.hits:
            assert hit.parts is not None
            parts = (hit.parts.text, hit.parts.skills, hit.parts.words)
            assert sum(parts) == pytest.approx(hit.match_score, abs=2e-6)
            assert min(parts) >= 0
        assert ask(database, tmp_path, query)[0].hits == result.hits


def test_pages_go_on_where_they_ended_though_the_board_changes(
    database: Database, tmp_path: Path
) -> None:
    insert(database, "skill_job1", texts(120, seed=3))
    fill(database, BlendEncoder(), batch_size=64)
    text = "aword1 aword2, bword3, unheard"
    (whole,) = ask(database, tmp_path, question(120, text))
    first = question(7, text)
    found, page = [], ask(database, tmp_path, first)[0]
    while True:
        found += scores_of(page)
        if page.next_cursor is None:
            break
        after = from_text(page.next_cursor)
        # Other jobs make other weights, shares, mean length and open share.
        insert(database, "skill_job1", {20_000 + len(found): f"unheard, x{len(found)}"})
        fill(database, BlendEncoder())
        (page,) = ask(
            database, tmp_path, replace(first, constraints=Constraints(after=after))
        )
    old = [pair for pair in found if int(str(pair[0])) < 20_000]
    assert old == scores_of(whole)


def test_a_cursor_is_refused_with_another_state_and_by_another_ranking(
    database: Database, tmp_path: Path
) -> None:
    insert(database, "skill_job1", {1: "oil", 2: "gas"})
    fill(database, BlendEncoder())
    (page,) = ask(database, tmp_path, question(1, "oil, gas"))
    assert page.next_cursor is not None
    after = from_text(page.next_cursor)
    other = profile_query(
        1, text="oil, gas", ranking="skills", constraints=Constraints(after=after)
    )
    ranking = ranking_over(database, BlendEncoder(), name="skills", folder=tmp_path)
    (refused,) = rank(ranking, [other])
    assert isinstance(refused, InvalidInputError)


def test_rows_that_are_not_whole_yet_are_ranked_by_what_they_have(
    database: Database, tmp_path: Path
) -> None:
    rows = {
        1: NaiveRow("oil, gas"),
        2: NaiveRow("oil rig", is_split=False),
        3: NaiveRow("gas, tar", is_embedded=False),
        4: NaiveRow("oil", is_embedded=False, is_split=False),
    }
    insert(database, "skill_job1", {id_: row.text for id_, row in rows.items()})
    fill(database, BlendEncoder())
    write(
        database,
        "UPDATE recommender.job_state SET skill_ids = NULL WHERE job_id IN (2, 4)",
    )
    write(database, "UPDATE skill_job1 SET embedding = NULL WHERE job_id IN (3, 4)")
    write(
        database,
        "UPDATE recommender.job_state SET skill_ids = ("
        "SELECT skill_ids FROM recommender.job_state WHERE job_id = 1"
        ") WHERE job_id = 3",
    )
    rows[3] = NaiveRow("oil, gas", is_embedded=False)
    counted = {1: NaiveRow("oil, gas"), 2: NaiveRow("oil rig"), 4: NaiveRow("oil")}
    naive = NaiveHybrid(BlendEncoder(), rows, jobs={**counted, 3: NaiveRow("gas, tar")})
    (result,) = ask(database, tmp_path, question(9, "oil rig, ship"))
    assert_equal(scores_of(result), naive.best("oil rig, ship", size=9))
    assert result.analyzed == 3
    assert {hit.id: hit.similarity_score is None for hit in result.hits} == {
        1: False,
        2: False,
        3: True,
    }
    assert {hit.id for hit in result.hits if hit.explanation is None} == {2}
    parts = {hit.id: hit.parts for hit in result.hits}
    assert parts[2] is not None
    assert (parts[2].skills, parts[2].words) == (0, 0)
    assert parts[3] is not None
    assert parts[3].text == 0 < min(parts[3].skills, parts[3].words)


def test_without_any_skill_the_whole_texts_alone_are_ranked(
    database: Database, tmp_path: Path
) -> None:
    jobs = {1: "oil rig", 2: "gas ship", 3: "tar"}
    insert(database, "skill_job1", jobs)
    fill(database, BlendEncoder())
    write(database, "UPDATE recommender.job_state SET skill_ids = NULL")
    write(database, "DELETE FROM recommender.skill")
    (result,) = ask(database, tmp_path, question(3, "gas, ship"))
    by_text = ranking_over(database, BlendEncoder(), folder=tmp_path)
    (whole,) = results(rank(by_text, [profile_query(3, text="gas, ship")]))
    assert [hit.id for hit in result.hits] == [hit.id for hit in whole.hits]
    assert scores_of(result) == [
        (hit.id, pytest.approx(max(0, hit.similarity_score or 0) / 4, abs=1e-6))
        for hit in whole.hits
    ]


def test_without_counts_all_skills_and_words_count_alike(
    database: Database, tmp_path: Path
) -> None:
    insert(database, "skill_job1", {1: "oil", 2: "gas", 3: "gas"})
    fill(database, BlendEncoder())
    forget_counts(database)
    (result,) = ask(database, tmp_path, question(3, "oil, gas"))
    # Half of the skills, and of the words one of two by k1 of 1.2.
    expected = (2 * 0.5 + 0.5 / 2.2) / 3
    assert scores_of(result) == [
        (n, pytest.approx(expected, abs=1e-6)) for n in (1, 2, 3)
    ]


def test_users_without_skills_get_a_remark_and_unknown_ones_an_error(
    database: Database, tmp_path: Path
) -> None:
    insert(database, "skill_job1", {1: "oil"})
    insert(database, "users", {7: None, 8: "n/a", 9: "oil"})
    fill(database, BlendEncoder())
    ranking = ranking_over(database, BlendEncoder(), name="hybrid", folder=tmp_path)
    queries = [profile_query(3, user_id=n, ranking="hybrid") for n in (7, 8, 9, 10)]
    *some, unknown = rank(ranking, queries)
    none, blank, found = results(some)
    assert none.message == blank.message == "This user has no skills to match."
    assert scores_of(found) == [(1, pytest.approx((2 + 1 / 2.2) / 3, abs=1e-6))]
    assert isinstance(unknown, UserNotFoundError)


def test_a_stored_user_is_ranked_as_the_same_text(
    database: Database, tmp_path: Path
) -> None:
    """Skills that only users have are not among those of the jobs."""
    insert(database, "skill_job1", texts(40, seed=8))
    insert(database, "users", {7: "aword1 unheard, of bword2"})
    fill(database, BlendEncoder())
    stored, typed = ask(
        database,
        tmp_path,
        profile_query(9, user_id=7, ranking="hybrid"),
        question(9, "aword1 unheard, of bword2"),
    )
    assert stored.hits == typed.hits


def test_users_are_ranked_for_a_job(database: Database, tmp_path: Path) -> None:
    people, jobs = texts(60, seed=4), {5: "aword1 aword2, odd one", 6: "bword1"}
    insert(database, "users", people)
    insert(database, "skill_job1", jobs)
    fill(database, BlendEncoder())
    (result,) = ask(
        database, tmp_path, job_query(9, 5, ranking="hybrid", target="users")
    )
    naive = NaiveHybrid(
        BlendEncoder(),
        {id_: NaiveRow(text) for id_, text in people.items()},
        jobs={id_: NaiveRow(text) for id_, text in jobs.items()},
        listed_by=2,
        length_penalty=0,
    )
    assert_equal(scores_of(result), naive.best(jobs[5], size=9))


def test_exclusions_and_a_least_score_leave_rows_out(
    database: Database, tmp_path: Path
) -> None:
    insert(database, "skill_job1", texts(50, seed=6))
    fill(database, BlendEncoder())
    query = question(50, "aword1, bword2")
    (whole,) = ask(database, tmp_path, query)
    pairs = scores_of(whole)
    gone, least = frozenset(str(id_) for id_, _ in pairs[1:3]), pairs[9][1]
    constraints = Constraints(exclude=gone, min_score=least)
    (some,) = ask(database, tmp_path, replace(query, constraints=constraints))
    assert scores_of(some) == [
        pair for pair in pairs if str(pair[0]) not in gone and pair[1] >= least
    ]


@pytest.mark.parametrize("kind", ["uuid", "text"])
def test_other_kinds_of_ids_give_the_same_scores(
    database: Database, database_url: str, tmp_path: Path, kind: str
) -> None:
    run(
        database_url,
        "ALTER TABLE skill_job1 ALTER job_id DROP IDENTITY IF EXISTS;"
        f" ALTER TABLE skill_job1 ALTER job_id TYPE {kind} USING NULL::{kind}",
    )
    list(migrate(database_url))  # the state has the new type, too
    jobs = texts(30, seed=9)
    names: Mapping[int, str] = {
        id_: str(UUID(int=id_ << 64)) if kind == "uuid" else f"job-{id_:05}é"
        for id_ in jobs
    }
    insert(database, "skill_job1", {names[id_]: text for id_, text in jobs.items()})
    fill(database, BlendEncoder())
    text = "aword1, bword2, unheard"
    (result,) = ask(database, tmp_path, question(30, text))
    rows = {id_: NaiveRow(own) for id_, own in jobs.items()}
    numbers = {name: id_ for id_, name in names.items()}
    assert_equal(
        [(numbers[name], score) for name, score in scores_of(result)],
        NaiveHybrid(BlendEncoder(), rows).best(text, size=30),
    )
