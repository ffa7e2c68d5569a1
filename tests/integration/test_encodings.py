"""Databases of any encoding, texts and values that one cannot hold."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path

import psycopg2
import pytest

from app.commands.import_csv import command as import_csv
from app.commands.migrate import main as migrate
from app.errors import SchemaError, UserNotFoundError
from app.storage.connection.database import Database
from tests.support.encoders import HashEncoder
from tests.support.postgres import Server, copied, run
from tests.support.queries import profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.service import running_service
from tests.support.skills import all_work, ask, skills_of

# What each of them can hold: a skill whose key is written otherwise (µ becomes μ, which
# LATIN1 lacks), and letters of its own.
TEXTS = {
    "LATIN1": ("µC, café", ["\\u03bcc", "café"]),
    "LATIN9": ("€uro", ["€uro"]),
    "WIN1251": ("работа, Go", ["работа", "go"]),
    "EUC_JP": ("日本語, sql", ["日本語", "sql"]),
    "SQL_ASCII": ("naïve", ["naïve"]),
    "UTF8": ("日本語, µC", ["日本語", "μc"]),
}
FOREIGN = ["日本 Ω ☃", "работа µ", "\U0001f680", "é", "\u202eabc"]


@pytest.fixture(params=TEXTS)
def encoding(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def filled(postgres: Server) -> Iterator[Callable[[str], str]]:
    """By encoding, what each test gets a copy of: made once."""
    with ExitStack() as stack:

        @cache
        def of(encoding: str) -> str:
            template = f"in_{encoding.lower()}"
            create = f"CREATE DATABASE {template} TEMPLATE template0"
            run(postgres.url(), f"{create} ENCODING '{encoding}' LOCALE 'C'")
            drop = f"DROP DATABASE {template} WITH (FORCE)"
            stack.callback(run, postgres.url(), drop)
            url = postgres.url(template)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("DATABASE_URL", url)
                patch.delenv("PGCLIENTENCODING", raising=False)
                make(url, encoding)
            return url

        yield of


def make(url: str, encoding: str) -> None:
    """A migrated and filled database with text as ids."""
    run(
        url,
        "CREATE TABLE skill_job1 (job_id text PRIMARY KEY, skills text, town text);"
        "CREATE TABLE users (user_id text PRIMARY KEY, skills text);"
        "INSERT INTO skill_job1 VALUES ('a', 'python', 'x'), ('b', %s, 'y');"
        "INSERT INTO users VALUES ('u', 'python')",
        (TEXTS[encoding][0],),
    )
    assert migrate([]) == 0
    fill_all(url)


@pytest.fixture
def url(
    postgres: Server,
    filled: Callable[[str], str],
    encoding: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    with copied(postgres, filled(encoding)) as copy:
        monkeypatch.setenv("DATABASE_URL", copy)
        monkeypatch.delenv("PGCLIENTENCODING", raising=False)
        yield copy


def fill_all(url: str) -> None:
    with closing(Database(url, pool_size=1)) as database:
        for _ in all_work(database, HashEncoder()).run():
            pass


def test_f87_texts_of_any_encoding_are_embedded_split_and_found(
    url: str, encoding: str, tmp_path: Path
) -> None:
    text, keys = TEXTS[encoding]
    assert skills_of(url) == [["python"], keys]
    with closing(Database(url, pool_size=1)) as database:
        for name in ("similarity", "skills"):
            question = profile_query(1, text=text, ranking=name)
            (found,) = ask(database, HashEncoder(), tmp_path, question)
            assert [(hit.id, hit.text) for hit in found.hits] == [("b", text)]


@pytest.mark.parametrize("name", ["similarity", "skills"])
@pytest.mark.parametrize("foreign", FOREIGN)
def test_f87_what_an_encoding_lacks_finds_nothing_and_harms_no_other_question(
    url: str, tmp_path: Path, name: str, foreign: str
) -> None:
    with closing(Database(url, pool_size=1)) as database:
        ranking = ranking_over(database, HashEncoder(), name=name, folder=tmp_path)
        unknown, known, text = rank(
            ranking,
            [
                profile_query(2, user_id=foreign, ranking=name),
                profile_query(2, user_id="u", ranking=name),
                profile_query(2, text=f"{foreign}, python", ranking=name),
            ],
        )
        assert isinstance(unknown, UserNotFoundError)
        first, second = results([known, text])
        assert first.hits[0].id == "a"
        assert second.hits


def test_f87_every_question_over_http_is_an_answer_or_a_4xx(
    url: str, tmp_path: Path
) -> None:
    with running_service(
        url, tmp_path / "log", JOB_COLUMNS="town", SKILL_CACHE_DIR=str(tmp_path)
    ) as service:
        for value in [*FOREIGN, "\x00", "x" * 300]:
            for body in (
                {"user_id": value},
                {"skills": f"{value}, sql"},
                {"skills": f"{value}, sql", "rank_by": "skills"},
                {"skills": "sql", "filters": {"town": value}},
                {"skills": "sql", "exclude_job_ids": [value]},
            ):
                answer = service.recommend(**body)
                assert answer.status_code in (200, 404, 422), (body, answer.text)
                if answer.status_code == 200 and "filters" in body:
                    assert answer.json()["recommendations"] == []
        assert service.recommend(user_id="u").status_code == 200
        assert "Traceback" not in service.log


def test_f87_an_import_that_does_not_fit_is_refused_with_a_sentence(
    capsys: pytest.CaptureFixture[str], url: str, encoding: str, tmp_path: Path
) -> None:
    file = tmp_path / "jobs.csv"
    file.write_text("job_id,skills\nc,☃\n", encoding="utf-8")
    status = import_csv.main(["jobs", str(file)])
    holds = encoding in ("UTF8", "SQL_ASCII")
    assert status == (0 if holds else 1)
    assert run(url, "SELECT count(*) FROM skill_job1") == [(3 if holds else 2,)]
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1"])
@pytest.mark.parametrize("wanted", ["LATIN1", "SQL_ASCII", "WIN1251"])
def test_f87_an_encoding_in_the_connection_string_is_not_ours(
    url: str, encoding: str, wanted: str, tmp_path: Path
) -> None:
    text, keys = TEXTS[encoding]
    run(url, "UPDATE recommender.job_state SET state = 'pending', skill_ids = NULL")
    theirs = f"{url}&client_encoding={wanted}"
    fill_all(theirs)
    assert skills_of(url) == [["python"], keys]
    with closing(Database(theirs, pool_size=1)) as database:
        question = profile_query(1, text=text, ranking="skills")
        (found,) = ask(database, HashEncoder(), tmp_path, question)
        assert [(hit.id, hit.text) for hit in found.hits] == [("b", text)]


@pytest.mark.parametrize("encoding", ["SQL_ASCII"])
def test_f87_bytes_that_are_no_text_are_said(url: str) -> None:
    run(url, "INSERT INTO skill_job1 VALUES ('c', 'caf\\351')".replace("'caf", "E'caf"))
    with pytest.raises(SchemaError, match="a text that is not UTF-8"):
        fill_all(url)


def test_f87_migrations_are_ascii() -> None:
    """Or no other encoding than UTF-8 takes them."""
    folder = Path(__file__).parents[2] / "migrations"
    for file in folder.rglob("*.sql"):
        assert file.read_text(encoding="utf-8").isascii(), file


def test_f87_psycopg2_knows_the_encodings_of_these_tests() -> None:
    assert set(TEXTS) <= set(psycopg2.extensions.encodings)
