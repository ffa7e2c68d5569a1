"""Ranking by skills in Postgres, compared with one in memory."""

import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from psycopg2.sql import SQL

from app.deadline import Deadline
from app.errors import JobNotFoundError, UserNotFoundError
from app.ranking.skills.prose import MAX_QUERY_SKILLS
from app.storage.connection.database import Database
from tests.support.encoders import BlendEncoder
from tests.support.naive import naive_ranking
from tests.support.queries import job_query, profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.skills import ask, fill, forget_counts

WORDS = [f"word{n}" for n in range(40)]


def some_jobs(count: int, seed: int) -> dict[int, str]:
    """Texts of one to six skills of one to three words: many similar, some equal."""
    rng = random.Random(seed)
    return {
        id_: ", ".join(
            " ".join(rng.sample(WORDS, rng.randint(1, 3)))
            for _ in range(rng.randint(1, 6))
        )
        for id_ in rng.sample(range(10_000), count)
    }


def insert(database: Database, table: str, rows: Mapping[Any, str | None]) -> None:
    key = {"skill_job1": "job_id", "users": "user_id"}[table]
    with database.write(Deadline.after(30)) as transaction:
        for id_, skills in rows.items():
            transaction.execute(
                SQL(f"INSERT INTO {table} ({key}, skills) VALUES (%(id)s, %(skills)s)"),
                {"id": id_, "skills": skills},
            )


def test_the_ranking_equals_the_naive_one_in_any_batch(
    database: Database, tmp_path: Path
) -> None:
    encoder, jobs = BlendEncoder(), some_jobs(400, seed=1)
    insert(database, "skill_job1", jobs)
    fill(database, encoder, batch_size=64)
    texts = list(some_jobs(30, seed=2).values())
    questions = [
        profile_query(n % 12 + 1, text=t, ranking="skills") for n, t in enumerate(texts)
    ]

    together = ask(database, encoder, tmp_path, *questions)

    for question, answer in zip(questions, together, strict=True):
        got = [(m.id, m.explanation.score) for m in answer.hits if m.explanation]
        assert question.text is not None
        expected = naive_ranking(encoder, question.text, jobs, size=question.top_k)
        assert [id_ for id_, _ in got] == [id_ for id_, _ in expected]
        assert [s for _, s in got] == pytest.approx([s for _, s in expected], abs=2e-6)
        assert answer.analyzed == len(jobs)
        alone = ask(database, encoder, tmp_path, question)[0]
        assert alone.hits == answer.hits


def test_a_query_uses_only_the_first_skills_of_a_long_text(
    database: Database, tmp_path: Path
) -> None:
    encoder = BlendEncoder()
    insert(database, "skill_job1", {1: "a0", 2: f"a{MAX_QUERY_SKILLS}"})
    fill(database, encoder)
    text = ", ".join(f"a{n}" for n in range(MAX_QUERY_SKILLS + 1))
    answer = ask(
        database, encoder, tmp_path, profile_query(5, text=text, ranking="skills")
    )[0]
    scores = {m.id: m.explanation.score for m in answer.hits if m.explanation}
    # Of 64 skills that one job lists or none: one is less rare than the others.
    least, other = math.log(1 + 2 / 2) ** 0.5, math.log(1 + 2 / 1) ** 0.5
    share = least / (least + (MAX_QUERY_SKILLS - 1) * other)
    assert scores == {1: pytest.approx(share, abs=2e-5)}


def test_each_hit_has_matched_close_and_missing_skills(
    database: Database, tmp_path: Path
) -> None:
    encoder = BlendEncoder()
    insert(database, "skill_job1", {1: "Python; data base; oil"})
    fill(database, encoder)
    question = profile_query(1, text="python, base, Ski-ing", ranking="skills")
    match = ask(database, encoder, tmp_path, question)[0].hits[0]
    assert match.explanation is not None
    why = match.explanation
    assert [(p.skill, p.other, p.similarity) for p in why.matched] == [
        ("python", "Python", 1.0)
    ]
    assert [(p.skill, p.other) for p in why.close] == [("base", "data base")]
    assert why.missing == ["Ski-ing"]
    assert match.text == "Python; data base; oil"


def test_users_are_found_by_id_and_those_without_skills_get_a_remark(
    database: Database, tmp_path: Path
) -> None:
    encoder = BlendEncoder()
    insert(database, "skill_job1", {1: "oil", 2: "gas"})
    insert(database, "users", {7: "gas", 8: None})
    fill(database, encoder)
    ranker = ranking_over(database, encoder, name="skills", folder=tmp_path)
    *ranked, unknown = rank(
        ranker, [profile_query(1, user_id=id_, ranking="skills") for id_ in (7, 8, 9)]
    )
    found, blank = results(ranked)
    assert [m.id for m in found.hits] == [2]
    assert (blank.hits, blank.message) == ((), "This user has no skills to match.")
    assert isinstance(unknown, UserNotFoundError)


def test_users_are_ranked_for_a_job_by_the_same_machinery(
    database: Database, tmp_path: Path
) -> None:
    encoder, users = BlendEncoder(), some_jobs(60, seed=3)
    insert(database, "users", users)
    insert(database, "skill_job1", {5: "word1 word2, word3, word4"})
    fill(database, encoder)
    ranker = ranking_over(database, encoder, name="skills", folder=tmp_path)
    found, unknown = rank(
        ranker,
        [job_query(10, id_, ranking="skills", target="users") for id_ in (5, 6)],
    )
    (found,) = results([found])
    expected = naive_ranking(
        encoder,
        "word1 word2, word3, word4",
        users,
        size=10,
        length_penalty=0,
        jobs={5: "word1 word2, word3, word4"},
    )
    assert [m.id for m in found.hits] == [id_ for id_, _ in expected]
    assert isinstance(unknown, JobNotFoundError)


def test_named_jobs_are_explained_without_a_ranking(
    database: Database, tmp_path: Path
) -> None:
    encoder = BlendEncoder()
    insert(database, "skill_job1", {1: "oil", 2: "gas", 3: "gas"})
    fill(database, encoder)
    insert(database, "skill_job1", {4: "gas"})  # not split yet
    question = profile_query(10, text="gas", ranking="skills", only=(3, 1, 4, 99))
    matches = ask(database, encoder, tmp_path, question)[0].hits
    scores = [(m.id, m.explanation and m.explanation.score) for m in matches]
    assert scores == [(3, 1.0), (1, 0.0), (4, None)]


def test_a_job_that_has_nothing_of_what_is_asked_for_is_not_recommended(
    database: Database, tmp_path: Path
) -> None:
    insert(database, "skill_job1", {1: "gas", 2: "tar", 3: "oil"})
    fill(database, BlendEncoder())
    some, none = ask(
        database,
        BlendEncoder(),
        tmp_path,
        profile_query(2, text="gas", ranking="skills"),
        profile_query(3, text="ship", ranking="skills"),
    )
    assert [hit.id for hit in some.hits] == [1]
    assert some.next_cursor is None
    assert (none.hits, none.analyzed) == ([], 3)


def test_equal_scores_are_ordered_by_coverage_then_by_id(
    database: Database, tmp_path: Path
) -> None:
    encoder = BlendEncoder()
    insert(database, "skill_job1", {1: "gas, tar", 3: "gas", 2: "gas", 4: "tar"})
    fill(database, encoder)
    forget_counts(database)
    answer = ask(
        database, encoder, tmp_path, profile_query(4, text="gas, oil", ranking="skills")
    )[0]
    found = [(m.id, m.explanation.score) for m in answer.hits if m.explanation]
    assert found == [(2, 0.5), (3, 0.5), (1, 0.5)]


def test_a_job_with_only_the_requested_skills_beats_one_that_lists_everything(
    database: Database, tmp_path: Path
) -> None:
    encoder = BlendEncoder()
    everything = ", ".join(["gas", "oil", *(f"other{n}" for n in range(120))])
    insert(database, "skill_job1", {1: everything, 2: "gas", 3: "tar"})
    insert(database, "users", {7: everything, 8: "gas"})
    fill(database, encoder)
    forget_counts(database)
    ranker = ranking_over(database, encoder, name="skills", folder=tmp_path)
    (jobs,) = results(
        rank(ranker, [profile_query(3, text="gas, oil", ranking="skills")])
    )
    found = [(m.id, m.explanation.score) for m in jobs.hits if m.explanation]
    # 120 skills more than asked for: 1 / (1 + 0.15 * log2(121)).
    assert found == [(2, 0.5), (1, 0.490718)]
    # What a user has beyond the job's skills costs nothing.
    (users,) = results(
        rank(ranker, [job_query(3, 2, ranking="skills", target="users")])
    )
    found = [(m.id, m.explanation.score) for m in users.hits if m.explanation]
    assert found == [(8, 1.0), (7, 1.0)]


def test_a_skill_that_the_vocabulary_lost_counts_nothing(
    database: Database, tmp_path: Path
) -> None:
    encoder = BlendEncoder()
    insert(database, "skill_job1", {1: "gas, oil", 2: "oil"})
    fill(database, encoder)
    with database.write(Deadline.after(30)) as transaction:
        transaction.execute(SQL("DELETE FROM recommender.skill WHERE skill = 'gas'"))
    query = profile_query(2, text="gas, oil", ranking="skills")
    answer = ask(database, encoder, tmp_path, query)[0]
    scores = [(m.id, m.explanation and m.explanation.score) for m in answer.hits]
    assert scores == [(2, 0.5), (1, 0.5)]
