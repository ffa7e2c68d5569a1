"""Connection strings: validation, and selection of the primary host."""

import re
from collections.abc import Callable, Iterator

from psycopg2 import ProgrammingError
from psycopg2.extensions import make_dsn, parse_dsn

from app.errors import ConfigError

# Values of key=value strings may end with an apostrophe.
QUOTES = ("'", '"', "`", "“", "”", "‘", "’")  # noqa: RUF001
EXAMPLE = "postgresql://user:password@host:5432/name"
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
OWN_SCHEMES = ("postgresql", "postgres", "pgsql", "postgis", "psql", "pg")
OTHER_SCHEMES = ("mysql", "mariadb", "sqlite", "mongodb", "redis", "mssql", "oracle",
                 "cockroachdb", "prisma", "file")  # fmt: skip
# As in libpq: up to the first @, unless a / comes before.
USER_INFO = re.compile(r"[^@/]*@")
QUERY = re.compile(r"\?(?=[^@/]*=)")
# libpq's own keywords are in small letters.
VARIABLE = re.compile(r"(?:(?:export|set)\s+\w+|[A-Z_][A-Z0-9_]*)\s*=")
ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
PLACEHOLDER = re.compile(
    r"\[?(?:YOUR[-_ ]?PASSWORD|PASSWORD)\]|<[^<>]*password[^<>]*>", re.IGNORECASE
)
# Other programs' parameters for the schema; libpq has `options` for it.
SCHEMAS = ("schema", "currentschema", "search_path", "searchpath")
CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "target_session_attrs": (
        "any", "read-write", "read-only", "primary", "standby", "prefer-standby",
    ),
    "load_balance_hosts": ("disable", "random"),
}  # fmt: skip
NUMBERS = ("connect_timeout", "keepalives_idle", "keepalives_interval",
           "keepalives_count", "tcp_user_timeout")  # fmt: skip


def primary(dsn: str) -> str:
    """A connection string that connects only to the writable host.

    libpq tries the hosts in turn. A string with one host is returned unchanged: it may
    be a pooler's. Raises ConfigError as `check_dsn` does.
    """
    check_dsn(dsn)
    parameters = parse_dsn(dsn)
    several = "," in parameters.get("host", "") + parameters.get("hostaddr", "")
    if not several and "target_session_attrs" not in parameters:
        return dsn
    return str(
        make_dsn(dsn, target_session_attrs="read-write", load_balance_hosts="disable")
    )


def check_dsn(dsn: str) -> None:
    """Raises ConfigError, whose message names the wrong part and the fix.

    The message quotes nothing that may be part of a password, as libpq's errors do.
    """
    fault = next(_faults(dsn), None)
    if fault is not None:
        raise ConfigError(f"The environment is not usable: DATABASE_URL: {fault}.")


def _faults(dsn: str) -> Iterator[str]:
    yield from _wrapping(dsn)
    if not dsn.startswith(("postgresql://", "postgres://")):
        yield from _scheme(dsn)
    else:
        for check in URL_CHECKS:
            yield from check(dsn.partition("://")[2])
    try:
        parameters = parse_dsn(dsn)
    except ProgrammingError:
        yield f"it is not a connection string, for example {EXAMPLE}"
        return
    yield from _values(parameters)


def _wrapping(dsn: str) -> Iterator[str]:
    if dsn != dsn.strip():
        yield "it begins or ends with a space or a line break; remove it"
    if dsn.startswith(QUOTES) or dsn.endswith(QUOTES[1:]):
        yield "it is in quotes; remove them"
    if dsn.startswith("psql "):
        yield "it begins with the command psql; remove it"
    if VARIABLE.match(dsn):
        yield "it begins with the name of the variable; remove everything up to the ="
    if any(sign in dsn for sign in "\n\r\t\0"):
        yield "it contains a line break or a tab; remove it"


def _scheme(dsn: str) -> Iterator[str]:
    if dsn.startswith("jdbc:"):
        yield f"it is a JDBC URL; write {EXAMPLE}"
    found = SCHEME.match(dsn)
    if found is None:
        if "=" not in dsn or "@" in dsn.partition("=")[0]:
            yield f"it does not begin with postgresql://, for example {EXAMPLE}"
        return
    base = found[1].lower().partition("+")[0]
    if base in OWN_SCHEMES:
        yield f'its scheme is "{found[0]}"; replace it with postgresql://'
    elif base in ("http", "https"):
        yield (
            "it is the address of a web site; the connection string of the database"
            " begins with postgresql://"
        )
    else:
        # An unknown scheme may be the start of a password.
        named = f' "{found[0]}"' if base in OTHER_SCHEMES else ""
        yield f"its scheme{named} is not that of Postgres; use postgresql://"


def _user_info(rest: str) -> Iterator[str]:
    main = QUERY.split(rest)[0]
    found = USER_INFO.match(rest)
    host = rest[found.end() :] if found else main
    if found is None and "@" in main:
        yield 'the user or password contains a "/"; write it as %2F'
    if found and "@" in re.split(r"[/?]", host)[0]:
        yield 'the user or password contains a "@"; write it as %40'
    if found and "@" in QUERY.split(host)[0]:
        yield 'the user or password contains a "@" and a "/"; write them as %40 and %2F'
    info = found[0][:-1] if found else ""
    if ESCAPE.search(info):
        yield 'the user or password contains a "%" without an escape; write it as %25'
    if PLACEHOLDER.search(info):
        yield "the password is a placeholder; replace it with the real one"
    password = info.partition(":")[2]
    if password.startswith(("[", "<")) and password.endswith(("]", ">")):
        yield "the password is in brackets; remove them, or write [ as %5B and ] as %5D"
    if " " in info:
        yield "the user or password contains a space; write it as %20"


def _place(rest: str) -> Iterator[str]:
    found = USER_INFO.match(rest)
    hosts = re.split(r"[/?]", rest[found.end() :] if found else rest)[0]
    for host in hosts.split(","):
        if host.startswith("[") != ("]" in host):
            yield "the brackets around an IPv6 address are not closed"
        name, colon, port = re.sub(r"^\[[^\]]*\]", "", host).partition(":")
        if ":" in port:
            yield "the host is an IPv6 address; put it into brackets: [::1]"
        elif colon and not (port.isdecimal() and 0 < int(port) < 65536):  # noqa: PLR2004
            yield "the port is not a number from 1 to 65535"
        if " " in name:
            yield "the host contains a space; remove it"
    if ESCAPE.search(rest):
        yield 'it contains a "%" without an escape; write it as %25'


def _parameters(rest: str) -> Iterator[str]:
    found = USER_INFO.match(rest)
    query = rest[found.end() if found else 0 :].partition("?")[2]
    for pair in query.split("&") if query else ():
        key, equals, value = pair.partition("=")
        if not equals:
            yield "a parameter has no value; remove it, or write NAME=VALUE"
        elif "=" in value:
            yield "a parameter's value contains a =; write it as %3D"
        elif not _is_known(key):
            named = f'the parameter "{key}"' if key.isidentifier() else "a parameter"
            fix = (
                "remove it, and name the schema as options=-csearch_path%3DNAME"
                if key.lower() in SCHEMAS
                else "remove it"
            )
            yield f"Postgres does not know {named}; {fix}"


def _is_known(key: str) -> bool:
    try:
        parse_dsn(f"postgresql:///?{key}=1")
    except ProgrammingError:
        return False
    return True


URL_CHECKS: tuple[Callable[[str], Iterator[str]], ...] = (
    _user_info,
    _place,
    _parameters,
)


def _values(parameters: dict[str, str]) -> Iterator[str]:
    """Errors that libpq would report only when it connects."""
    for key, allowed in CHOICES.items():
        if parameters.get(key, allowed[0]) not in allowed:
            yield f"{key} must be one of {', '.join(allowed)}"
    for key in NUMBERS:
        if not parameters.get(key, "0").strip().lstrip("-").isdecimal():
            yield f"{key} must be a whole number"
    ports = parameters.get("port", "").split(",")
    if not all(port.isdecimal() or not port for port in ports):
        yield "the port is not a number from 1 to 65535"
