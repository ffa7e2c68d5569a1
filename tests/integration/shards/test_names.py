"""Names and values of any characters: of databases, tables, columns, roles, regions."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.sql import SQL, Identifier, Literal

from app.commands.shards import command
from tests.integration.shards.answers import answers, embed, insert_rows
from tests.support.postgres import run
from tests.support.shards import Databases, Fleet

NAMES = st.text(alphabet="aZ0_ \"'`%{}()[]\\.,;:$€éß漢", min_size=1, max_size=12)
JOBS = 30


@contextmanager
def role(url: str, name: str) -> Iterator[None]:
    run(url, SQL("CREATE ROLE {}").format(Identifier(name)))
    try:
        yield
    finally:
        run(url, SQL("DROP OWNED BY {}").format(Identifier(name)))
        run(url, SQL("DROP ROLE {}").format(Identifier(name)))


def rename(url: str, schema: str, table: str, column: str, values: list[str]) -> None:
    """Give the table of jobs these names; its rows have either value, or NULL."""
    moved = SQL("{}.{}").format(Identifier(schema), Identifier(table))
    change = SQL(
        "CREATE SCHEMA {schema}; ALTER TABLE skill_job1 ADD {column} text;"
        "ALTER TABLE skill_job1 RENAME TO {table};"
        "ALTER TABLE {table} SET SCHEMA {schema};"
        "UPDATE {moved} SET {column} = CASE job_id % 3 WHEN 0 THEN {} WHEN 1 THEN {}"
        " END;"
        "CREATE INDEX ON {moved} ({column});"
        "ALTER TABLE {moved} ADD CHECK ({column} <> 'no such value')"
    )
    run(
        url,
        change.format(
            *map(Literal, values),
            schema=Identifier(schema),
            table=Identifier(table),
            column=Identifier(column),
            moved=moved,
        ),
    )


@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    names=st.lists(NAMES, min_size=5, max_size=5, unique=True),
    values=st.lists(NAMES, min_size=2, max_size=2, unique=True),
)
def test_names_and_values_may_be_any(
    fleet: Fleet, names: list[str], values: list[str]
) -> None:
    suffix, schema, table, column, reader = names
    with (
        fleet.fresh(suffix=suffix) as databases,
        pytest.MonkeyPatch.context() as patch,
        TemporaryDirectory() as folder,
        role(databases.url, f"r{reader}"),
    ):
        patch.setenv("DATABASE_URL", databases.url)
        insert_rows(databases.url, jobs=JOBS)
        run(databases.url, "SELECT recommender.adopt()")
        embed(databases.url)
        wanted = answers(databases.url, Path(folder))
        rename(databases.url, schema, table, column, values)
        check_rights_and_rows(databases, folder, names, values)
        assert answers(databases.url, Path(folder)) == wanted


def check_rights_and_rows(
    databases: Databases, folder: str, names: list[str], values: list[str]
) -> None:
    _, schema, table, column, reader = names
    jobs = SQL("{}.{}").format(Identifier(schema), Identifier(table))
    grant = SQL("GRANT SELECT ({}) ON {} TO {}")
    run(
        databases.url,
        grant.format(Identifier(column), jobs, Identifier(f"r{reader}")),
    )
    rows = SQL("SELECT job_id, skills, {} FROM {} ORDER BY 1")
    read = rows.format(Identifier(column), jobs)
    before = run(databases.url, read)
    placed = {"one": [values[0]], "two": [values[1]]}
    for _ in range(2):
        assert databases.lay_out(Path(folder), column=column, values=placed) == 0
        assert run(databases.url, read) == before
        assert [count_at(databases.shards[name]) for name in placed] == [10, 10]
    may = SQL("SELECT has_column_privilege({}, {}::regclass, {}, 'SELECT')").format(
        Literal(f"r{reader}"), Literal(quoted(schema, table)), Literal(column)
    )
    assert run(databases.url, may) == [(True,)]
    assert databases.lay_out(Path(folder), [], column=column) == 0
    assert run(databases.url, read) == before


def quoted(*names: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def count_at(url: str) -> int:
    (part,) = run(url, "SELECT part FROM recommender_shards.health")[0]
    count = SQL("SELECT count(*) FROM recommender_shards.{}").format(Identifier(part))
    return int(run(url, count)[0][0])


@pytest.mark.parametrize(
    ("type_name", "stored", "listed"),
    [
        ("boolean", "true", "true"),
        ("boolean", "true", '"yes"'),
        ("integer", "7", '"07"'),
        ("numeric(6, 2)", "7.5", "7.5"),
        ("char(4)", "de", '"de"'),
        ("date", "2026-01-31", "2026-01-31"),
        ("text", "", '""'),
    ],
)
def test_a_value_is_the_columns_however_the_file_writes_it(
    databases: Databases, tmp_path: Path, type_name: str, stored: str, listed: str
) -> None:
    insert_rows(databases.url, jobs=JOBS)
    run(databases.url, f"ALTER TABLE skill_job1 ADD kind {type_name}")
    run(databases.url, "UPDATE skill_job1 SET kind = %s WHERE job_id < 4", (stored,))
    file = tmp_path / "shards.toml"
    url = json.dumps(databases.shards["one"])
    file.write_text(f'column = "kind"\n[servers.one]\nurl = {url}\nvalues = [{listed}]')
    for _ in range(2):
        assert command.main([str(file)]) == 0
        assert count_at(databases.shards["one"]) == 3
    assert run(databases.url, "SELECT count(*) FROM skill_job1") == [(JOBS,)]


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (("varchar(2)", '"deu"'), "The value deu does not fit into kind, which is"),
        (("integer", '"de"'), 'invalid input syntax for type integer: "de"'),
        (("integer", '7, "07"'), "The value 7 of kind is listed twice"),
    ],
)
def test_a_value_that_the_column_cannot_hold_is_named(
    databases: Databases, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    case: tuple[str, str], said: str,
) -> None:  # fmt: skip
    type_name, listed = case
    insert_rows(databases.url, jobs=3)
    run(databases.url, f"ALTER TABLE skill_job1 ADD kind {type_name}")
    file = tmp_path / "shards.toml"
    url = json.dumps(databases.shards["one"])
    file.write_text(f'column = "kind"\n[servers.one]\nurl = {url}\nvalues = [{listed}]')
    assert command.main([str(file)]) == 1
    assert said in capsys.readouterr().err
    gone = "SELECT to_regnamespace('recommender_shards')"
    assert run(databases.shards["one"], gone) == [(None,)]
