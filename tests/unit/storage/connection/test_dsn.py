"""F118: errors in connection strings are named, without quoting them."""

import pytest
from psycopg2.extensions import parse_dsn

from app.errors import ConfigError
from app.storage.connection.dsn import EXAMPLE, check_dsn, primary

SOUND = (
    "postgresql://user:hunter2@host:5432/name",
    "postgres://user:hunter2@host/name?sslmode=require&connect_timeout=5",
    "postgresql://user:h%40nter%252@host/name",
    "postgresql://user:hun:ter#2?!$&'()*+,;=~@host/name",
    "postgresql://@/name?host=/var/run/postgresql",
    "postgresql:///name?user=some@one&password=hunter2",
    "postgresql://user:hunter2@[::1]:5432/name",
    "postgresql://user@a:5432,b:5433/name?target_session_attrs=any",
    "postgresql://user@%2Fvar%2Frun/name?options=-csearch_path%3Dhiring",
    "postgresql://postgres.ref:hunter2@aws-0.pooler.supabase.com:6543/postgres",
    "host=localhost user=user password='hunt er2' dbname=name",
    "dbname=name",
    "postgresql://",
)
FAULTS = (
    # Schemes of other programs.
    (
        "postgresql+psycopg2://u:{}@h/n",
        'its scheme is "postgresql+psycopg2://"; replace',
    ),
    ("postgresql+asyncpg://u:{}@h/n", 'its scheme is "postgresql+asyncpg://"; replace'),
    ("postgres+pool://u:{}@h/n", 'its scheme is "postgres+pool://"; replace'),
    ("POSTGRESQL://u:{}@h/n", 'its scheme is "POSTGRESQL://"; replace'),
    ("pgsql://u:{}@h/n", 'its scheme is "pgsql://"; replace'),
    ("mysql://u:{}@h/n", 'its scheme "mysql://" is not that of'),
    ("jdbc:postgresql://h/n?user=u&password={}", "it is a JDBC URL"),
    ("https://u:{}@ref.supabase.co", "the address of a web site"),
    ("u:{}@h:5432/n", "it does not begin with postgresql://"),
    ("//u:{}@h:5432/n", "it does not begin with postgresql://"),
    ("{}", "it does not begin with postgresql://"),
    # Text around the URL.
    ('"postgresql://u:{}@h/n"', "it is in quotes; remove them"),
    ("'postgresql://u:{}@h/n'", "it is in quotes; remove them"),
    ("“postgresql://u:{}@h/n”", "it is in quotes; remove them"),
    ("postgresql://u:{}@h/n'\"", "it is in quotes; remove them"),
    ("psql postgresql://u:{}@h/n", "it begins with the command psql"),
    ("DATABASE_URL=postgresql://u:{}@h/n", "the name of the variable"),
    ("export DB_URL=postgresql://u:{}@h/n", "the name of the variable"),
    ("export DB2_URL=postgresql://u:{}@h/n", "the name of the variable"),
    ("DB2_URL=postgresql://u:{}@h/n", "the name of the variable"),
    ("export  db_url = postgresql://u:{}@h/n", "the name of the variable"),
    ("set DB_URL=postgresql://u:{}@h/n", "the name of the variable"),
    (" postgresql://u:{}@h/n", "a space or a line break; remove it"),
    ("postgresql://u:{}@h/n\n", "a space or a line break; remove it"),
    ("postgresql://u:{}@h\n/n", "a line break or a tab; remove it"),
    # Parameters of other clients.
    (
        "postgresql://u:{}@h/n?pgbouncer=true",
        'know the parameter "pgbouncer"; remove it',
    ),
    (
        "postgresql://u:{}@h/n?sslmode=require&schema=a",
        'the parameter "schema"; remove it, and name',
    ),
    (
        "postgresql://u:{}@h/n?schema=a",
        "name the schema as options=-csearch_path%3DNAME",
    ),
    ("postgresql://u:{}@h/n?connection_limit=1", 'the parameter "connection_limit"'),
    (
        "postgresql://u:{}@h/n?supa=base-pooler.x",
        'know the parameter "supa"; remove it',
    ),
    (
        "postgresql://u:{}@h/n?serverVersion=16",
        'the parameter "serverVersion"; remove it',
    ),
    ("postgresql://u:{}@h/n?sslmode", "a parameter has no value"),
    ("postgresql://u:{}@h/n?options=-csearch_path=a", "write it as %3D"),
    (
        "postgresql://u:{}@h/n?sslmode=no-verify",
        "sslmode must be one of disable, allow",
    ),
    ("postgresql://u:{}@h/n?connect_timeout=5s", "connect_timeout must be a whole"),
    ("host=h user=u password={} sslmode=on", "sslmode must be one of disable, allow"),
    # Characters that are not escaped.
    ("postgresql://u:{}@@h/n", 'contains a "@"; write it as %40'),
    ("postgresql://u:p@{}@h:5432/n", 'contains a "@"; write it as %40'),
    ("postgresql://u:p/{}@h:5432/n", 'contains a "/"; write it as %2F'),
    ("postgresql://u:{}/@h/n", 'contains a "/"; write it as %2F'),
    ("postgresql://u:a@{}/b@h/n", 'contains a "@" and a "/"'),
    ("postgresql://u:100%{}@h/n", 'contains a "%" without an escape; write it as %25'),
    ("postgresql://u:{} x@h/n", "contains a space; write it as %20"),
    ("postgresql://u:[{}]@h/n", "the password is in brackets; remove them"),
    ("postgresql://u:[YOUR-PASSWORD]@h/n", "the password is a placeholder"),
    ("postgresql://u:<password>@h/n", "the password is a placeholder"),
    # The host and its port.
    ("postgresql://u:{}@h:port/n", "the port is not a number from 1 to 65535"),
    ("postgresql://u:{}@h:99999/n", "the port is not a number from 1 to 65535"),
    ("postgresql://u:{}@h:/n", "the port is not a number from 1 to 65535"),
    ("postgresql://u:{}@::1:5432/n", "put it into brackets"),
    ("postgresql://u:{}@[::1/n", "the brackets around an IPv6 address"),
    # As keys and values.
    ("host=h password={} x dbname=n", "it is not a connection string, for example"),
    ("host=h pass={}", "it is not a connection string, for example"),
    ("host=h port=x password={}", "the port is not a number"),
)


@pytest.mark.parametrize("dsn", SOUND)
def test_a_sound_connection_string_is_left_as_it_is(dsn: str) -> None:
    check_dsn(dsn)


@pytest.mark.parametrize(("pattern", "sentence"), FAULTS)
@pytest.mark.parametrize(
    "secret", ["hunter2", "h-u.n_t~er2!", "hunter2://x", "h=unter2"]
)
def test_f118_the_sentence_names_the_part_and_never_the_password(
    pattern: str, sentence: str, secret: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        check_dsn(pattern.replace("{}", secret))
    said = str(raised.value)
    assert "unter" not in said
    assert "n_t~er" not in said
    assert said.startswith("The environment is not usable: DATABASE_URL: ")
    assert said.endswith(".")
    if secret == "hunter2":
        assert sentence in said


PRIMARY = {"target_session_attrs": "read-write", "load_balance_hosts": "disable"}


@pytest.mark.parametrize(
    ("several", "kept"),
    [
        (
            "postgresql://user@a,b/name?load_balance_hosts=random",
            {"user": "user", "dbname": "name", "host": "a,b"},
        ),
        (
            "postgresql:///name?hostaddr=10.0.0.1,10.0.0.2",
            {"dbname": "name", "hostaddr": "10.0.0.1,10.0.0.2"},
        ),
        # One name may resolve to several servers.
        (
            "postgresql://all/name?target_session_attrs=any",
            {"host": "all", "dbname": "name"},
        ),
    ],
)
def test_with_several_hosts_the_primary_is_selected(
    several: str, kept: dict[str, str]
) -> None:
    found = parse_dsn(primary(several))
    found.pop("port", None)  # "," of two hosts
    assert found == kept | PRIMARY


@pytest.mark.parametrize(
    "one",
    [
        "postgresql://user@host/name",
        "postgresql:///name?hostaddr=10.0.0.1",
        "host=host dbname=name",
        "dbname=name",
    ],
)
def test_a_string_with_one_host_is_unchanged(one: str) -> None:
    assert primary(one) == one


WHOLE = (
    (" postgresql://h/n", "it begins or ends with a space or a line break; remove it"),
    ("'postgresql://h/n", "it is in quotes; remove them"),
    (
        "psql postgresql://h/n",
        "it begins with the command psql; remove it",
    ),
    (
        "export MY_URL=postgresql://h/n",
        "it begins with the name of the variable; remove everything up to the =",
    ),
    ("postgresql://h\t/n", "it contains a line break or a tab; remove it"),
    ("jdbc:postgresql://h/n", "it is a JDBC URL; write {example}"),
    ("h/n", "it does not begin with postgresql://, for example {example}"),
    ("u@h/n?a=b", "it does not begin with postgresql://, for example {example}"),
    (
        "Postgres+x://h/n",
        'its scheme is "Postgres+x://"; replace it with postgresql://',
    ),
    (
        "http://h/n",
        (
            "it is the address of a web site; the connection string of the database"
            " begins with postgresql://"
        ),
    ),
    (
        "mysql://h/n",
        'its scheme "mysql://" is not that of Postgres; use postgresql://',
    ),
    ("hunter://h/n", "its scheme is not that of Postgres; use postgresql://"),
    ("postgresql://a/b@h", 'the user or password contains a "/"; write it as %2F'),
    ("postgresql://a@b@h/n", 'the user or password contains a "@"; write it as %40'),
    (
        "postgresql://a@b/c@h/n",
        'the user or password contains a "@" and a "/"; write them as %40 and %2F',
    ),
    (
        "postgresql://a:1%2@h/n",
        'the user or password contains a "%" without an escape; write it as %25',
    ),
    (
        "postgresql://a:<password>@h/n",
        "the password is a placeholder; replace it with the real one",
    ),
    (
        "postgresql://a:[hunter]@h/n",
        "the password is in brackets; remove them, or write [ as %5B and ] as %5D",
    ),
    ("postgresql://a b@h/n", "the user or password contains a space; write it as %20"),
    ("postgresql://[::1/n", "the brackets around an IPv6 address are not closed"),
    (
        "postgresql://a:b:1/n",
        "the host is an IPv6 address; put it into brackets: [::1]",
    ),
    ("postgresql://h:0/n", "the port is not a number from 1 to 65535"),
    ("postgresql://h:65536/n", "the port is not a number from 1 to 65535"),
    ("postgresql://a b/n", "the host contains a space; remove it"),
    ("postgresql://h/1%", 'it contains a "%" without an escape; write it as %25'),
    (
        "postgresql://h/n?user",
        "a parameter has no value; remove it, or write NAME=VALUE",
    ),
    (
        "postgresql://h/n?user=a=b",
        "a parameter's value contains a =; write it as %3D",
    ),
    (
        "postgresql://h/n?Schema=a",
        (
            'Postgres does not know the parameter "Schema"; remove it,'
            " and name the schema as options=-csearch_path%3DNAME"
        ),
    ),
    (
        "postgresql://h/n?pool=a",
        'Postgres does not know the parameter "pool"; remove it',
    ),
    (
        "postgresql://h/n?p-l=a",
        "Postgres does not know a parameter; remove it",
    ),
    ("dbname", "it does not begin with postgresql://, for example {example}"),
    ("dbname=n x", "it is not a connection string, for example {example}"),
    ("dbname=n connect_timeout=x", "connect_timeout must be a whole number"),
    ("dbname=n connect_timeout=X5", "connect_timeout must be a whole number"),
    ("dbname=n port=5432,x", "the port is not a number from 1 to 65535"),
)


@pytest.mark.parametrize(("dsn", "fault"), WHOLE)
def test_the_first_fault_is_said_whole_in_one_sentence(dsn: str, fault: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_dsn(dsn)
    assert str(raised.value) == (
        "The environment is not usable: DATABASE_URL:"
        f" {fault.replace('{example}', EXAMPLE)}."
    )


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://h:1/n",
        "postgresql://h:65535,[::1]:2,c/n",
        "dbname=n port=5432, connect_timeout=-1",
        "dbname=n sslmode=prefer target_session_attrs=any",
        "application_name=u@h",
    ],
)
def test_what_libpq_takes_has_no_fault(dsn: str) -> None:
    check_dsn(dsn)
