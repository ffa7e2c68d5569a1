"""Sentences are searched for the board's own skills, through Postgres."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.query.constraints import Constraints
from app.query.cursor import from_text
from app.query.result import Result
from app.storage.connection.database import Database
from tests.integration.skills.test_hybrid import (
    ask,
    assert_equal,
    question,
    scores_of,
    write,
)
from tests.integration.skills.test_ranking import insert
from tests.support.encoders import BlendEncoder
from tests.support.naive_hybrid import NaiveHybrid, NaiveRow
from tests.support.queries import profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.skills import fill

JOBS = {
    1: "truck driving, loading trucks",
    2: "cooking soup, baking bread",
    3: "Kubernetes, Docker",
    4: "driving lessons",
    5: "bread, butter",
}
TEXT = (
    "I am driving heavy trucks. At home I was often baking breads, for my neighbours."
)
CLAUSES = (
    "i am driving heavy trucks. at home i was often baking breads",
    "for two years",
)


def pairs_of(result: Result, id_: int) -> dict[str, str]:
    """The skills of one hit that match, by the words of the query."""
    (why,) = [hit.explanation for hit in result.hits if hit.id == id_]
    assert why is not None
    return {pair.skill: pair.other for pair in why.matched}


def test_prose_is_ranked_by_its_clauses_and_the_skills_it_mentions(
    database: Database, tmp_path: Path
) -> None:
    insert(database, "skill_job1", JOBS)
    fill(database, BlendEncoder())
    naive = NaiveHybrid(
        BlendEncoder(), {id_: NaiveRow(text) for id_, text in JOBS.items()}
    )
    (result,) = ask(database, tmp_path, question(5, TEXT))
    mentioned = ("truck driving", "baking bread")
    expected = naive.best(TEXT, size=5, prose=(CLAUSES, mentioned))
    assert_equal(scores_of(result), expected)
    assert pairs_of(result, 1)["driving heavy trucks"] == "truck driving"
    assert pairs_of(result, 2) == {"baking breads": "baking bread"}


def test_pages_of_prose_go_on_though_the_board_learns_more_of_its_skills(
    database: Database, tmp_path: Path
) -> None:
    insert(database, "skill_job1", JOBS)
    fill(database, BlendEncoder())
    (whole,) = ask(database, tmp_path, question(5, TEXT))
    first = question(1, TEXT)
    (page,) = ask(database, tmp_path, first)
    found = scores_of(page)
    insert(database, "skill_job1", {9: "home, two years, driving heavy trucks"})
    fill(database, BlendEncoder())
    while page.next_cursor is not None:
        after = from_text(page.next_cursor)
        (page,) = ask(
            database, tmp_path, replace(first, constraints=Constraints(after=after))
        )
        found += scores_of(page)
    assert [pair for pair in found if pair[0] != 9] == scores_of(whole)


@pytest.mark.parametrize("name", ["hybrid", "skills"])
def test_another_form_of_a_skill_is_found_in_a_sentence(
    name: str, database: Database, tmp_path: Path
) -> None:
    insert(database, "skill_job1", JOBS)
    write(
        database,
        "INSERT INTO recommender.synonym (form, canonical) VALUES ('loaf', 'bread')",
    )
    fill(database, BlendEncoder())
    text = "For years I have been running (K8s) and slicing a loaf."
    ranking = ranking_over(database, BlendEncoder(), name=name, folder=tmp_path)
    query = profile_query(5, text=text, ranking=name)
    (result,) = results(rank(ranking, [query]))
    assert pairs_of(result, 3) == {"K8s": "Kubernetes"}
    assert pairs_of(result, 5) == {"loaf": "bread"}


def test_a_long_text_is_read_to_its_end(database: Database, tmp_path: Path) -> None:
    insert(database, "skill_job1", JOBS)
    fill(database, BlendEncoder())
    rest = "Nothing of this is of any use here. " * 1800
    (result,) = ask(database, tmp_path, question(1, rest + "I was baking bread."))
    assert [hit.id for hit in result.hits] == [2]
    assert pairs_of(result, 2) == {"baking bread": "baking bread"}
