"""Ranking by skills with counts of jobs: rare skills have more weight."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.storage import skill_counts
from app.storage.connection.database import Database
from tests.integration.skills.test_ranking import insert, some_jobs
from tests.support.encoders import BlendEncoder
from tests.support.queries import job_query, profile_query
from tests.support.ranking import rank, ranking_over
from tests.support.skills import ask, fill, forget_counts

COLUMNS = ("job_counts", "jobs_counted", "counts_stamp", "counted_vocabulary")


def scores(database: Database, folder: Path, text: str) -> Sequence[tuple[int, float]]:
    answer = ask(
        database, BlendEncoder(), folder, profile_query(9, text=text, ranking="skills")
    )[0]
    return [(int(m.id), m.explanation.score) for m in answer.hits if m.explanation]


def test_a_rare_skill_decides_and_without_counts_none_does(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    insert(database, "skill_job1", dict.fromkeys(range(1, 10), "sql") | {10: "cobol"})
    fill(database, BlendEncoder())
    (best, score), (_, second) = scores(database, tmp_path, "sql, cobol")[:2]
    assert (best, score > 0.5 > second) == (10, True)
    assert score + second == pytest.approx(1)
    forget_counts(database)
    alike = scores(database, tmp_path, "sql, cobol")
    assert [id_ for id_, _ in alike] == list(range(1, 10))
    assert {score for _, score in alike} == {0.5}


def test_a_batch_reads_the_counts_only_after_a_change(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    read = skill_counts.read_counts

    def noted(transaction: object) -> skill_counts.SkillCounts:
        reads.append(transaction)
        return read(transaction)  # type: ignore[arg-type]

    monkeypatch.setattr("app.ranking.skills.vocabulary_cache.read_counts", noted)
    encoder = BlendEncoder()
    ranker = ranking_over(database, encoder, name="skills", folder=tmp_path)
    insert(database, "skill_job1", {1: "sql", 2: "sql, go"})
    for expected in (1, 1, 2):
        if expected > len(reads):
            insert(database, "skill_job1", {10 + expected: f"go{expected}, sql"})
            fill(database, encoder)
        rank(ranker, [profile_query(5, text="go, sql", ranking="skills")])
        assert len(reads) == expected


@pytest.mark.parametrize("finds_users", [False, True])
def test_explained_rows_have_the_scores_of_the_ranking_in_any_batch(
    database: Database, tmp_path: Path, finds_users: bool
) -> None:
    encoder, jobs = BlendEncoder(), some_jobs(200, seed=5)
    users = some_jobs(60, seed=6)
    insert(database, "skill_job1", jobs)
    insert(database, "users", users)
    fill(database, encoder, batch_size=64)
    asked = [
        job_query(20, id_, ranking="skills", target="users")
        if finds_users
        else profile_query(20, user_id=id_, ranking="skills")
        for id_ in list(jobs if finds_users else users)[:30]
    ]
    together = ask(database, encoder, tmp_path, *asked)
    only = [
        replace(
            question,
            key=replace(question.key, explain_only=True),
            only=[m.id for m in answer.hits],
        )
        for question, answer in zip(asked, together, strict=True)
    ]
    named = ask(database, encoder, tmp_path, *only)
    for ranked, told, *questions in zip(together, named, asked, only, strict=True):
        assert told.hits == ranked.hits
        for question in questions:
            alone = ask(database, encoder, tmp_path, question)[0]
            assert alone.hits == ranked.hits
