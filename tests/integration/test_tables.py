"""Supported and unsupported tables; the latter are named before any change."""

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from app.commands import migrate
from app.commands.import_csv import command as import_csv
from app.commands.migration_files import MIGRATIONS_FOLDER
from app.deadline import Deadline
from app.errors import SchemaError
from app.storage.catalogue import Catalogue, ServedTables, check_served
from app.storage.connection.database import Database
from tests.support.encoders import HashEncoder
from tests.support.postgres import Server, fresh_database, run
from tests.support.queries import profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.skills import all_work, ask, skills_of

THE_GUIDES = migrate.MigratedTables()


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    with fresh_database(postgres, template="template1") as fresh:
        yield fresh


def made(url: str, tables: migrate.MigratedTables = THE_GUIDES) -> Database:
    """The database, migrated and backfilled."""
    list(migrate.migrate(url, tables=tables))
    database = Database(url, pool_size=1)
    for _ in all_work(database, HashEncoder()).run():
        pass
    return database


def best(database: Database, skills: str) -> list[tuple[object, str | None]]:
    ranking = ranking_over(database, HashEncoder())
    (found,) = results(rank(ranking, [profile_query(1, text=skills)]))
    return [(job.id, job.text) for job in found.hits]


def refusals(url: str, tables: migrate.MigratedTables = THE_GUIDES) -> list[str]:
    """The reported problems, line by line; nothing may have changed."""
    before = everything(url)
    with pytest.raises(psycopg2.errors.RaiseException) as caught:
        list(migrate.migrate(url, tables=tables))
    assert everything(url) == before
    return str(caught.value.diag.message_primary).splitlines()


def everything(url: str) -> list[tuple[object, ...]]:
    return run(
        url,
        "SELECT oid, relname, relnamespace, relnatts, relhastriggers FROM pg_class"
        " WHERE relnamespace::regnamespace::text NOT LIKE 'pg\\_%'"
        " AND relnamespace <> 'information_schema'::regnamespace ORDER BY oid",
    )


# --- texts of any type ----------------------------------------------------------

LIST = "ARRAY['python', 'sql']"
TEXTS = [
    ("text", "'python, sql'"),
    ("varchar(40)", "'python, sql'"),
    ("char(40)", "'python, sql'"),
    ("text[]", LIST),
    ("varchar(20)[]", LIST),
    ("jsonb", '\'["python", "sql"]\''),
    ("json", '\'["python", "sql"]\''),
    ("jsonb", "'\"python, sql\"'"),
    ("inner_domain", "'python, sql'"),
    ("outer_domain", "'python, sql'"),
    ("list_domain", LIST),
]


@pytest.mark.parametrize(("type_", "value"), TEXTS)
def test_f82_a_text_of_any_type_is_embedded_split_shown_and_follows_edits(
    url: str, tmp_path: Path, type_: str, value: str
) -> None:
    run(
        url,
        "CREATE DOMAIN inner_domain AS varchar(90);"
        " CREATE DOMAIN outer_domain AS inner_domain CHECK (value <> '');"
        " CREATE DOMAIN list_domain AS text[];"
        f"CREATE TABLE skill_job1 (job_id int PRIMARY KEY, skills {type_});"
        f"CREATE TABLE users (user_id uuid PRIMARY KEY, skills {type_});"
        f"INSERT INTO skill_job1 VALUES (1, {value}), (2, NULL);"
        f"INSERT INTO users VALUES (gen_random_uuid(), {value})",
    )
    database = made(url)
    assert skills_of(url) == [["python", "sql"], None]
    assert skills_of(url, "user_state", "user_id") == [["python", "sql"]]
    assert best(database, "python, sql") == [(1, "python, sql")]
    (found,) = ask(
        database,
        HashEncoder(),
        tmp_path,
        profile_query(1, text="sql", ranking="skills"),
    )
    assert [(match.id, match.text) for match in found.hits] == [(1, "python, sql")]
    run(url, f"INSERT INTO skill_job1 VALUES (3, {value.replace('sql', 'go')})")
    run(
        url,
        f"UPDATE skill_job1 SET skills = {value.replace('sql', 'c')} WHERE job_id=1",
    )
    for _ in all_work(database, HashEncoder()).run():
        pass
    assert skills_of(url) == [["python", "c"], None, ["python", "go"]]
    database.close()


LISTS = [
    ("text[]", "'{python,NULL,sql}'", ["python", "sql"]),
    ("text[]", "'{{python,sql},{go,NULL}}'", ["python", "sql", "go"]),
    ("jsonb", "'[\"python\", null, 3]'", ["python", "3"]),
    ("jsonb", '\'[["a", "b"], "c"]\'', ['["a", "b"]', "c"]),
    ("json", '\'[ "python" , "sql" ]\'', ["python", "sql"]),
    ("jsonb", "'null'", None),
    ("jsonb", "'[null]'", None),
    ("jsonb", '\'{"skills": ["python"]}\'', None),
    ("jsonb", "'12'", None),
    ("json", "'null'", None),
]


@pytest.mark.parametrize(("type_", "value", "skills"), LISTS)
def test_f82_lists_with_holes_and_values_of_other_kinds_stop_nothing(
    url: str, type_: str, value: str, skills: list[str] | None
) -> None:
    run(url, f"CREATE TABLE skill_job1 (job_id int PRIMARY KEY, skills {type_})")
    run(url, f"CREATE TABLE users (user_id int PRIMARY KEY, skills {type_})")
    run(url, f"INSERT INTO skill_job1 VALUES (1, {value}), (2, NULL)")
    database = made(url)
    run(url, f"INSERT INTO skill_job1 VALUES (3, {value})")
    run(url, f"UPDATE skill_job1 SET skills = {value} WHERE job_id = 2")
    run(url, f"INSERT INTO users VALUES (1, {value})")
    for _ in all_work(database, HashEncoder()).run():
        pass
    assert skills_of(url) == [skills] * 3
    users = skills_of(url, "user_state", "user_id")
    assert users == ([] if skills is None else [skills])
    database.close()


@pytest.mark.parametrize("empty", ["'{}'", "'{NULL}'", "'{\" \"}'"])
def test_f82_a_list_without_a_word_is_no_text(url: str, empty: str) -> None:
    run(url, "CREATE TABLE skill_job1 (job_id int PRIMARY KEY, skills text[])")
    run(url, f"INSERT INTO skill_job1 VALUES (1, {empty})")
    database = made(url)
    query = "SELECT state::text FROM recommender.job_state"
    assert run(url, query) == [("blank",)]
    database.close()


def test_f81_a_change_of_a_generated_texts_source_deletes_the_derived_data(
    url: str,
) -> None:
    run(
        url,
        "CREATE TABLE skill_job1 (job_id int PRIMARY KEY, title text, needs text,"
        " skills text GENERATED ALWAYS AS (title || ', ' || needs) STORED);"
        "INSERT INTO skill_job1 VALUES (1, 'cook', 'knives'), (2, 'clerk', 'excel')",
    )
    database = made(url)
    assert best(database, "cook, knives") == [(1, "cook, knives")]
    run(url, "UPDATE skill_job1 SET needs = 'ovens' WHERE job_id = 1")
    query = "SELECT embedding IS NULL FROM skill_job1 ORDER BY job_id"
    assert run(url, query) == [(True,), (False,)]
    (done,) = all_work(database, HashEncoder()).run()
    assert (done.embedded, done.split) == (1, 0)
    assert list(all_work(database, HashEncoder()).run()) == []
    assert best(database, "cook, ovens") == [(1, "cook, ovens")]
    database.close()


def test_the_recipe_for_tables_with_other_names(url: str) -> None:
    """The example in docs/tables.md, word for word."""
    run(
        url,
        "CREATE SCHEMA hiring; CREATE TABLE hiring.postings (id bigint PRIMARY KEY,"
        " requirements text[]); CREATE TABLE hiring.people (id uuid PRIMARY KEY,"
        " profile jsonb, password_hash text);"
        "INSERT INTO hiring.postings VALUES (7, '{python,sql}');"
        'INSERT INTO hiring.people VALUES (gen_random_uuid(), \'{"skills": ["sql"]}\')',
    )
    run(url, recipe())
    tables = migrate.MigratedTables(jobs="hiring.postings", users="hiring.people")
    database = made(url, tables)
    assert best(database, "python, sql") == [(7, "python, sql")]
    run(url, "UPDATE hiring.postings SET requirements = '{go}'")
    run(url, 'UPDATE hiring.people SET profile = \'{"skills": ["rust", "c"]}\'')
    for _ in all_work(database, HashEncoder()).run():
        pass
    assert best(database, "go") == [(7, "go")]
    assert skills_of(url, "user_state", "user_id") == [["rust", "c"]]
    indexes = run(
        url, "SELECT indexdef FROM pg_indexes WHERE tablename = 'postings' ORDER BY 1"
    )
    assert [line.split(" USING ")[1] for (line,) in indexes] == [
        "btree (job_id)",
        "btree (id)",
    ]
    database.close()


def test_the_recipe_for_tables_with_many_updates(url: str) -> None:
    """The example in docs/tables.md, and its two terms."""
    made(url).close()
    run(
        url,
        "ALTER TABLE skill_job1 ADD topic text; ALTER TABLE users ADD topic text;"
        "INSERT INTO skill_job1 (skills) VALUES ('python');"
        "INSERT INTO users (skills) VALUES ('sql')",
    )
    run(url, recipe(1))
    database = made(url)
    listed = "SELECT count(*) FROM pg_trigger WHERE tgattr <> ''"
    assert run(url, listed) == [(2,)]
    run(url, "UPDATE skill_job1 SET skills = 'go'; UPDATE users SET skills = 'c'")
    for _ in all_work(database, HashEncoder()).run():
        pass
    assert skills_of(url) == [["go"]]
    assert skills_of(url, "user_state", "user_id") == [["c"]]
    with pytest.raises(
        psycopg2.errors.FeatureNotSupported, match="used in a trigger definition"
    ):
        run(url, "ALTER TABLE users ALTER skills TYPE varchar(90)")
    run(
        url,
        "CREATE FUNCTION derive() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.skills := NEW.topic; RETURN NEW; END $$;"
        "CREATE TRIGGER t BEFORE UPDATE ON skill_job1 FOR EACH ROW"
        " EXECUTE FUNCTION derive();"
        "CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW"
        " EXECUTE FUNCTION derive();"
        "UPDATE skill_job1 SET topic = 'rust'; UPDATE users SET topic = 'rust'",
    )
    assert skills_of(url) == [["go"]]
    list(migrate.migrate(url, again=True))
    for _ in all_work(database, HashEncoder()).run():
        pass
    assert skills_of(url) == [["rust"]]
    assert skills_of(url, "user_state", "user_id") == [["rust"]]
    database.close()


def recipe(number: int = 0) -> str:
    """A block of SQL in docs/tables.md."""
    text = (MIGRATIONS_FOLDER.parent / "docs" / "tables.md").read_text(encoding="utf-8")
    return text.split("```sql\n")[number + 1].split("```", 1)[0]


# --- where the tables are ---------------------------------------------------------


ODD_NAMES = [
    ('Her "own" 100 %', "Jobs.2026 {x}", "leute; --"),
    ("%(x)s", "{table}", "%s"),
    ("s" * 63, "j" * 63, "u" * 63),
    ("имя", "工作", "Ünï"),
    ("  lead", "trail  ", '"'),
    ("it's", "back\\slash", "new\nline"),
    ("select", "user", "order"),
    ("$$", "$1", "/*"),
    ("Recommender", "RECOMMENDER", "recommender.users"),
]


@pytest.mark.parametrize("odd", ODD_NAMES)
def test_f86_names_may_hold_any_character(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: tuple[str, str, str]
) -> None:
    quoted = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in odd]
    names = migrate.MigratedTables(
        f"{quoted[0]}.{quoted[1]}", f"{quoted[0]}.{quoted[2]}"
    )
    run(
        url,
        f"CREATE SCHEMA {quoted[0]};"
        f"CREATE TABLE {names.jobs} (job_id text PRIMARY KEY, skills text);"
        f"CREATE TABLE {names.users} (user_id int PRIMARY KEY, skills text);"
        f"INSERT INTO {names.jobs} VALUES ('a', 'python'), ('ü', 'sql');"
        f"INSERT INTO {names.users} VALUES (1, 'sql')",
    )
    database = made(url, names)
    assert best(database, "sql") == [("ü", "sql")]
    question = profile_query(1, user_id=1, ranking="skills")
    (found,) = ask(database, HashEncoder(), tmp_path, question)
    assert [match.id for match in found.hits] == ["ü"]
    run(url, f"UPDATE {names.jobs} SET skills = 'go' WHERE job_id = 'ü'")
    assert sum(done.embedded for done in all_work(database, HashEncoder()).run()) == 1
    database.close()
    monkeypatch.setenv("DATABASE_URL", url)
    file = tmp_path / "jobs.csv"
    file.write_text("job_id,skills\nb,rust\n", encoding="utf-8")
    assert import_csv.main(["jobs", str(file)]) == 0
    query = f"SELECT skills FROM {names.jobs} WHERE job_id = 'b'"
    assert run(url, query) == [("rust",)]


def test_f84_tables_in_another_schema_are_named_and_never_doubled(url: str) -> None:
    run(
        url,
        "CREATE SCHEMA hiring;"
        " CREATE TABLE hiring.skill_job1 (job_id int PRIMARY KEY, skills text)",
    )
    assert refusals(url) == [
        (
            "There is hiring.skill_job1, which is not on the search path: set"
            " JOBS_TABLE to"
            " the table that is meant, for example JOBS_TABLE=hiring.skill_job1."
        )
    ]
    list(migrate.migrate(url, tables=migrate.MigratedTables(jobs="hiring.skill_job1")))
    assert run(url, "SELECT to_regclass('public.skill_job1')") == [(None,)]


def test_f84_two_of_a_name_on_the_search_path_are_named(url: str) -> None:
    run(
        url,
        "CREATE SCHEMA a; CREATE TABLE a.users (user_id int, skills text);"
        "CREATE TABLE users (user_id int, skills text)",
    )
    name = run(url, "SELECT current_database()")[0][0]
    run(url, f"ALTER DATABASE {name} SET search_path = public, a")
    assert refusals(url) == [
        (
            "There is a.users beside users: set USERS_TABLE to the table that"
            " is meant, for"
            " example USERS_TABLE=a.users."
        )
    ]


def test_f84_supabases_own_users_are_no_second_table(url: str) -> None:
    run(url, "CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY)")
    list(migrate.migrate(url))
    assert run(url, "SELECT to_regclass('public.users')::text") == [("users",)]


def test_a_setting_that_names_no_table_is_reported(url: str) -> None:
    assert refusals(url, migrate.MigratedTables(jobs="nowhere.jobs")) == [
        (
            "JOBS_TABLE names the table nowhere.jobs, which does not exist;"
            " correct it, with"
            " double quotes around a name that has capitals."
        )
    ]


def test_a_changed_table_setting_is_reported_and_can_be_migrated_to(
    url: str,
) -> None:
    database = made(url)
    run(url, "CREATE TABLE other (job_id int PRIMARY KEY, skills text)")
    run(url, "INSERT INTO other VALUES (5, 'sql')")
    with (
        pytest.raises(SchemaError, match="JOBS_TABLE names other"),
        database.snapshot(Deadline.after(30)) as transaction,
    ):
        check_served(transaction, ServedTables(jobs="other"))
    database.close()
    database = made(url, migrate.MigratedTables(jobs="other"))
    with database.snapshot(Deadline.after(30)) as transaction:
        check_served(transaction, ServedTables(jobs="public.other"))
    assert best(database, "sql") == [(5, "sql")]
    run(url, "INSERT INTO skill_job1 (skills) VALUES ('go')")  # let go
    assert run(url, "SELECT job_id FROM recommender.job_state") == [(5,)]
    database.close()


def test_a_table_that_is_renamed_is_followed(url: str) -> None:
    database = made(url)
    run(url, "ALTER TABLE skill_job1 RENAME TO postings")
    run(url, "INSERT INTO postings (job_id, skills) VALUES (1, 'sql')")
    run(url, "UPDATE postings SET skills = 'go', embedding = '\\x00'")
    for _ in all_work(database, HashEncoder()).run():
        pass
    assert best(database, "go") == [(1, "go")]
    database.close()


# --- what cannot be served is named -------------------------------------------------

JOB = "CREATE TABLE skill_job1 ({}); "
REFUSED = {
    "a view": (
        "CREATE VIEW skill_job1 AS SELECT 1 AS job_id, 'x'::text AS skills",
        (
            "skill_job1 (JOBS_TABLE) is a view, whose rows no trigger can"
            " follow; name the"
            " table behind it, and give that one generated columns where its"
            " own have other"
            " names (docs/tables.md)."
        ),
    ),
    "inherited": (
        JOB.format("job_id int, skills text")
        + "CREATE TABLE c () INHERITS (skill_job1)",
        (
            "skill_job1 (JOBS_TABLE) has tables that inherit from it, whose rows its"
            " triggers do not see; partition it (PARTITION BY) instead of INHERITS."
        ),
    ),
    "no text": (
        JOB.format("job_id int"),
        (
            "skill_job1 (JOBS_TABLE) has no column skills; add it: a stored"
            " generated column"
            " can give another one this name (docs/tables.md)."
        ),
    ),
    "a number as text": (
        JOB.format("job_id int, skills int"),
        (
            "skill_job1 (JOBS_TABLE) has a column skills of type integer; it"
            " may be text,"
            " character varying, character, citext, text[], character"
            " varying[], citext[],"
            " jsonb, json."
        ),
    ),
    "a float as id": (
        JOB.format("job_id double precision, skills text"),
        (
            "skill_job1 (JOBS_TABLE) has a column job_id of type double"
            " precision; it may be"
            " smallint, integer, bigint, uuid, text, character varying."
        ),
    ),
    "a numeric as id": (
        JOB.format("job_id numeric(9,0), skills text"),
        (
            "skill_job1 (JOBS_TABLE) has a column job_id of type numeric(9,0);"
            " it may be"
            " smallint, integer, bigint, uuid, text, character varying."
        ),
    ),
    "virtual": (
        JOB.format("job_id int, a text, skills text GENERATED ALWAYS AS (a) VIRTUAL"),
        (
            "skill_job1 (JOBS_TABLE) has a virtual column skills, which no trigger sees"
            " change; make it GENERATED ALWAYS AS (...) STORED."
        ),
    ),
    "an embedding of another type": (
        JOB.format("job_id int, skills text, embedding float4[]"),
        (
            "skill_job1 (JOBS_TABLE) has a column embedding of type real[],"
            " which is not"
            " ours; rename it: this name is needed for a column of type bytea."
        ),
    ),
    "an embedding of another length": (
        JOB.format("job_id int, skills text, embedding bytea")
        + "INSERT INTO skill_job1 VALUES (1, 'x', 'abcd')",
        (
            "skill_job1 (JOBS_TABLE) has a column embedding whose values have 4"
            " bytes and"
            " not 1536, which is not ours; rename it."
        ),
    ),
    "an embedding that must not be absent": (
        JOB.format("job_id int, skills text, embedding bytea NOT NULL"),
        (
            "skill_job1 (JOBS_TABLE) has a column embedding that is NOT NULL, and an"
            " edited text has none until it is embedded; run ALTER TABLE skill_job1"
            " ALTER COLUMN embedding DROP NOT NULL."
        ),
    ),
    "a version that must not be absent": (
        JOB.format(
            "job_id int, skills text, embedding_version text NOT NULL DEFAULT ''"
        ),
        (
            "skill_job1 (JOBS_TABLE) has a column embedding_version that is NOT NULL,"
            " and an edited text has none until it is embedded; run ALTER TABLE"
            " skill_job1 ALTER COLUMN embedding_version DROP NOT NULL."
        ),
    ),
    "an id of another length": (
        JOB.format("job_id char(8), skills text"),
        (
            "skill_job1 (JOBS_TABLE) has a column job_id of type character(8); it may"
            " be smallint, integer, bigint, uuid, text, character varying."
        ),
    ),
    "a list of numbers": (
        JOB.format("job_id int, skills int[]"),
        (
            "skill_job1 (JOBS_TABLE) has a column skills of type integer[]; it may be"
            " text, character varying, character, citext, text[], character varying[],"
            " citext[], jsonb, json."
        ),
    ),
    "a materialized view": (
        "CREATE MATERIALIZED VIEW skill_job1 (job_id, skills) AS SELECT 1, 'x'::text",
        (
            "skill_job1 (JOBS_TABLE) is a view, whose rows no trigger can follow; name"
            " the table behind it, and give that one generated columns where its own"
            " have other names (docs/tables.md)."
        ),
    ),
    "a generated embedding": (
        JOB.format(
            "job_id int, skills text, embedding bytea GENERATED ALWAYS AS ('x') STORED"
        ),
        (
            "skill_job1 (JOBS_TABLE) has a generated column embedding, which is"
            " not ours;"
            " rename it: this name is needed for what is stored."
        ),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_f81_f82_f85_unsupported_tables_are_named_before_anything_is_changed(
    url: str, case: str
) -> None:
    statement, sentence = REFUSED[case]
    run(url, statement)
    assert refusals(url) == [sentence]


def test_all_problems_are_reported_at_once(url: str) -> None:
    run(
        url,
        JOB.format("job_id float4, skills point")
        + "CREATE TABLE users (user_id date, skills text)",
    )
    assert [line.split(";")[0] for line in refusals(url)] == [
        "skill_job1 (JOBS_TABLE) has a column job_id of type real",
        "skill_job1 (JOBS_TABLE) has a column skills of type point",
        "users (USERS_TABLE) has a column user_id of type date",
    ]


# --- partitions, doubled ids --------------------------------------------------------


def test_f82_a_partitioned_table_is_served(url: str) -> None:
    run(
        url,
        "CREATE TABLE skill_job1 (job_id int, region text, skills text,"
        " PRIMARY KEY (job_id, region)) PARTITION BY LIST (region);"
        "CREATE TABLE north PARTITION OF skill_job1 FOR VALUES IN ('north');"
        "CREATE TABLE south PARTITION OF skill_job1 FOR VALUES IN ('south');"
        "INSERT INTO skill_job1 VALUES (1, 'north', 'python'), (2, 'south', 'sql')",
    )
    database = made(url)
    assert best(database, "sql") == [(2, "sql")]
    # To another partition, with another text and the old embedding.
    run(url, "UPDATE skill_job1 SET region = 'north', skills = 'go' WHERE job_id = 2")
    assert run(url, "SELECT embedding FROM skill_job1 WHERE job_id = 2") == [(None,)]
    run(url, "DELETE FROM north WHERE job_id = 1")
    for _ in all_work(database, HashEncoder()).run():
        pass
    assert skills_of(url) == [["go"]]
    assert best(database, "python") == [(2, "go")]
    database.close()


ATTACHED = (
    "CREATE TABLE west AS SELECT 3 AS job_id, 'west' AS region, 'go' AS skills,"
    " NULL::bytea AS embedding, NULL::varchar(20) AS embedding_version;"
    "ALTER TABLE west ALTER job_id SET NOT NULL, ALTER region SET NOT NULL;"
    "ALTER TABLE skill_job1 ATTACH PARTITION west FOR VALUES IN ('west')"
)


@pytest.mark.parametrize(
    ("statement", "texts"),
    [
        ("TRUNCATE south", [["python"]]),
        ("ALTER TABLE skill_job1 DETACH PARTITION south", [["python"]]),
        ("DROP TABLE south", [["python"]]),
        (ATTACHED, [["python"], ["sql"], ["go"]]),
    ],
)
def test_partitions_that_come_and_go_are_noticed_by_the_next_migration(
    url: str, statement: str, texts: list[list[str]]
) -> None:
    run(
        url,
        "CREATE TABLE skill_job1 (job_id int, region text, skills text,"
        " PRIMARY KEY (job_id, region)) PARTITION BY LIST (region);"
        "CREATE TABLE north PARTITION OF skill_job1 FOR VALUES IN ('north');"
        "CREATE TABLE south PARTITION OF skill_job1 FOR VALUES IN ('south');"
        "INSERT INTO skill_job1 VALUES (1, 'north', 'python'), (2, 'south', 'sql')",
    )
    made(url).close()
    run(url, statement)
    made(url).close()
    assert skills_of(url) == texts


def test_f83_an_id_of_two_rows_is_reported_and_answers_show_neither(
    url: str, tmp_path: Path
) -> None:
    run(
        url,
        "CREATE TABLE skill_job1 (job_id int, skills text);"
        "INSERT INTO skill_job1 VALUES (1, 'python, sql'), (1, 'welding'), (2, 'go')",
    )
    said: list[str] = []
    list(migrate.migrate(url, say=said.append))
    assert said[0] == (
        "skill_job1 has more than one row of job_id 1: these rows are left out of all"
        " answers until each id is there once."
    )
    database = made(url)
    assert best(database, "python, sql") in ([], [(2, "go")])
    question = profile_query(5, text="sql, go", ranking="skills")
    (found,) = ask(database, HashEncoder(), tmp_path, question)
    assert [match.id for match in found.hits] == [2]
    with (
        pytest.raises(SchemaError, match="More than one job has the job_id 1"),
        database.snapshot(Deadline.after(30)) as transaction,
    ):
        check_served(transaction)
    run(url, "DELETE FROM skill_job1 WHERE skills = 'welding'")
    for _ in all_work(database, HashEncoder()).run():
        pass
    assert best(database, "python, sql") == [(1, "python, sql")]
    assert skills_of(url) == [["python", "sql"], ["go"]]
    with database.snapshot(Deadline.after(30)) as transaction:
        check_served(transaction)
    # As with a row that appears later.
    run(url, "INSERT INTO skill_job1 VALUES (2, 'rust')")
    assert best(database, "rust") in ([], [(1, "python, sql")])
    database.close()


def test_ids_that_change_their_type_block_no_statement_and_are_reported(
    url: str,
) -> None:
    database = made(url)
    run(url, "ALTER TABLE users ALTER user_id DROP IDENTITY")
    run(url, "ALTER TABLE users ALTER user_id TYPE text")
    run(url, "INSERT INTO users VALUES ('seven', 'sql')")
    run(url, "UPDATE users SET skills = 'go'; DELETE FROM users WHERE skills = ''")
    with (
        pytest.raises(SchemaError, match="type of user_id changed"),
        database.snapshot(Deadline.after(30)) as transaction,
    ):
        check_served(transaction)
    database.close()
    database = made(url)
    assert run(url, "SELECT user_id FROM recommender.user_state") == [("seven",)]
    with database.snapshot(Deadline.after(30)) as transaction:
        check_served(transaction)
        assert Catalogue.read(transaction).user_id.kind == "text"
    database.close()
