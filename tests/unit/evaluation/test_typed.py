"""The typed queries: well-formed, answerable, split into halves."""

import re
from collections import Counter

from evaluation.datasets import read
from evaluation.halves import is_held_out
from evaluation.typed import HERE, SAMPLE, typed

QUESTIONS = read(HERE / "typed_questions.csv")
POSTINGS = read(HERE / "typed_questions_postings.csv")


def test_each_query_occurs_once_and_its_jobs_are_in_the_sample() -> None:
    ids = {job["job_id"] for job in read(SAMPLE)}
    texts = [row["question"] for row in QUESTIONS + POSTINGS]
    assert len(texts) == len(set(texts)) >= 110
    for row in QUESTIONS:
        assert set(row["right_jobs"].split()) <= ids, row["question"]
        assert row["right_jobs"], row["question"]


def test_every_kind_has_queries_in_both_halves() -> None:
    halves = Counter((row["kind"], is_held_out(row["question"])) for row in QUESTIONS)
    kinds = {"abbreviations", "casual", "sentences", "typos", "mixed", "language"}
    assert {kind for kind, _ in halves} == kinds
    assert min(halves.values()) >= 10


def test_the_halves_are_disjoint_and_complete() -> None:
    parts = [
        typed(held_out=held_out, foreign=foreign).queries
        for held_out in (False, True)
        for foreign in (False, True)
    ]
    together = [question for part in parts for question in part]
    assert sorted(together) == sorted(row["question"] for row in QUESTIONS)


def test_the_patterns_of_titles_compile() -> None:
    for row in POSTINGS:
        assert re.compile(row["right_titles"]).search("") is None, row["question"]
