"""Connection strings that name several hosts: a primary and its replicas."""

from psycopg2 import ProgrammingError
from psycopg2.extensions import make_dsn, parse_dsn


def primary(dsn: str) -> str:
    """The same database, but the one host that can be written to.

    libpq asks the hosts in turn. A string with one host stays as it is: a pooler may
    answer there. One that cannot be parsed is left to whoever connects.
    """
    try:
        given = parse_dsn(dsn)
    except ProgrammingError:
        return dsn
    several = "," in given.get("host", "") + given.get("hostaddr", "")
    if not several and "target_session_attrs" not in given:
        return dsn
    return str(
        make_dsn(dsn, target_session_attrs="read-write", load_balance_hosts="disable")
    )
