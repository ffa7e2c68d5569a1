"""A model's name is stored with each embedding: the team's column must hold it."""

from contextlib import closing

import pytest

from app.errors import ConfigError
from app.storage.connection.database import Database
from tests.support.doctor import MODEL_DIR, findings
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.rows import add_pending_jobs, add_user
from tests.support.skills import all_work

LONGEST = "a" * 20
TOO_LONG = ["multi-qa-MiniLM-L6-cos-v1", "a" * 21, "é" * 21]
STATE = (
    "SELECT (SELECT embedding_version FROM recommender.identity),"
    " (SELECT count(*) FROM recommender.skill),"
    " (SELECT count(*) FROM recommender.failure),"
    " (SELECT array_agg(state::text) FROM recommender.job_state),"
    " (SELECT array_agg(state::text) FROM recommender.user_state)"
)


class NamedEncoder(HashEncoder):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.version = name


def embed(url: str, name: str) -> None:
    with closing(Database(url, pool_size=1)) as database:
        for _ in all_work(database, NamedEncoder(name)).run():
            pass


@pytest.fixture(autouse=True)
def _rows(database_url: str) -> None:
    add_pending_jobs(database_url, ["python", "sql, go"])
    add_user(database_url, 1, "go")


@pytest.mark.parametrize("name", TOO_LONG)
def test_a_name_that_does_not_fit_is_refused_before_anything_is_written(
    database_url: str, name: str
) -> None:
    before = run(database_url, STATE)
    with pytest.raises(ConfigError) as caught:
        embed(database_url, name)
    assert run(database_url, STATE) == before
    sentence, _, statement = str(caught.value).partition(": ")
    assert sentence == (
        f"The name of the model {name} has {len(name)} characters, and"
        " embedding_version of skill_job1 takes 20; widen it, which rewrites no row"
    )
    run(database_url, statement)
    embed(database_url, name)
    query = "SELECT DISTINCT embedding_version FROM skill_job1"
    assert run(database_url, query) == [(name,)]


@pytest.mark.parametrize("type_", ["varchar(20)", "varchar", "text", "varchar(200)"])
def test_a_name_that_fits_is_stored(database_url: str, type_: str) -> None:
    run(database_url, f"ALTER TABLE skill_job1 ALTER embedding_version TYPE {type_}")
    embed(database_url, LONGEST)
    query = "SELECT DISTINCT embedding_version FROM skill_job1"
    assert run(database_url, query) == [(LONGEST,)]


def test_the_doctor_says_it_before_anybody_embeds(
    capsys: pytest.CaptureFixture[str],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_DIR", MODEL_DIR)
    monkeypatch.setenv("MODEL", TOO_LONG[0])
    found = findings(capsys)
    (problem,) = [one for one in found if "has 25 characters" in one]
    run(database_url, found[problem])
    assert not [one for one in findings(capsys) if "characters" in one]
