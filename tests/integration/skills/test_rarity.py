"""Ranking by skills with counts of jobs: rare skills decide, for everyone alike."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg2.sql import SQL

from app.query.query import SkillQuestion
from app.ranking.skills.ranker import SkillRanker
from app.storage import skill_counts
from app.storage.connection.database import Database
from tests.integration.skills.test_ranking import insert, some_jobs
from tests.support.encoders import BlendEncoder
from tests.support.postgres import run
from tests.support.skills import ask, fill, forget_counts, scope

COLUMNS = ("job_counts", "jobs_counted", "counts_stamp", "counted_vocabulary")


def scores(database: Database, folder: Path, text: str) -> Sequence[tuple[int, float]]:
    answer = ask(database, BlendEncoder(), folder, SkillQuestion(9, skills=text))[0]
    return [(int(m.id), m.explanation.score) for m in answer.matches if m.explanation]


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
    # A deployment whose migrations wait.
    for column in COLUMNS:
        run(database_url, SQL(f"ALTER TABLE skill_vocabulary DROP COLUMN {column}"))
    insert(database, "skill_job1", {11: "ada"})
    fill(database, BlendEncoder())
    assert scores(database, tmp_path, "sql, cobol") == alike


def test_a_pass_reads_the_counts_when_they_are_new_and_only_then(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    read = skill_counts.read_counts

    def noted(transaction: object) -> skill_counts.SkillCounts:
        reads.append(transaction)
        return read(transaction)  # type: ignore[arg-type]

    monkeypatch.setattr("app.ranking.skills.vocabulary_cache.read_counts", noted)
    encoder = BlendEncoder()
    ranker = SkillRanker(database, encoder, cache_folder=tmp_path)
    insert(database, "skill_job1", {1: "sql", 2: "sql, go"})
    for expected in (1, 1, 2):
        if expected > len(reads):
            insert(database, "skill_job1", {10 + expected: f"go{expected}, sql"})
            fill(database, encoder)
        ranker.answer_all([SkillQuestion(5, skills="go, sql")], scope())
        assert len(reads) == expected


@pytest.mark.parametrize("finds_users", [False, True])
def test_named_rows_have_the_scores_of_the_ranking_whoever_shares_the_pass(
    database: Database, tmp_path: Path, finds_users: bool
) -> None:
    encoder, jobs = BlendEncoder(), some_jobs(200, seed=5)
    users = some_jobs(60, seed=6)
    insert(database, "skill_job1", jobs)
    insert(database, "users", users)
    fill(database, encoder, page_rows=64)
    asked = [
        SkillQuestion(20, job_id=id_) if finds_users else SkillQuestion(20, user_id=id_)
        for id_ in list(jobs if finds_users else users)[:30]
    ]
    together = ask(database, encoder, tmp_path, *asked)
    only = [
        replace(question, only=[m.id for m in answer.matches])
        for question, answer in zip(asked, together, strict=True)
    ]
    named = ask(database, encoder, tmp_path, *only)
    for ranked, told, *questions in zip(together, named, asked, only, strict=True):
        assert told.matches == ranked.matches
        for question in questions:
            alone = ask(database, encoder, tmp_path, question)[0]
            assert alone.matches == ranked.matches
