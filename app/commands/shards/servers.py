"""The foreign servers of the coordinator, one for each shard."""

import uuid
from collections.abc import Iterator, Mapping, Sequence

from psycopg2.extensions import make_dsn, parse_dsn
from psycopg2.sql import SQL, Composable, Identifier, Literal

from app.commands.shards.layout import ShardServer
from app.commands.shards.session import RunStatement, Session, may_run, place
from app.errors import ConfigError
from app.storage.shards import HEALTH_PREFIX, QUERIES, SHARDS_SCHEMA

SERVER_PREFIX = "recommender_"
ROLES = ("job_recommender", "job_recommender_worker")

# Ends the waits of a connection to a stalled or lost server soon after the request's
# own deadline has.
SHARD_NETWORK = {
    "connect_timeout": "3",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
# - batch_size: rows of 1.6 KB that a move holds at once;
# - async_capable: the shards read at the same time;
# - fdw_startup_cost: a look-up by id is one round trip, not a hundred pages.
SHARD_TUNING = {
    "batch_size": "500",
    "async_capable": "true",
    "fdw_startup_cost": "5",
}
# Rows of 1.6 KB that a session of the coordinator holds while shards are read at the
# same time: of each partition as many as one fetch brings, so that the more partitions
# there are, the fewer that is. More than the most save no time.
ROWS_HELD = 4000
MOST_FETCHED = 1000
LEAST_FETCHED = 10
# Where vectors are: their operators are sent.
SHARD_EXTENSIONS = {"extensions": "vector"}
# - jit: as in each transaction of the service;
# - lock_timeout: no server sees that a wait on another one is a deadlock;
# - hnsw: settings of a transaction stay on the coordinator. Candidates as
#   `search_params.NEAR` has them; a search goes on where conditions take rows away.
SHARD_SESSION = (
    "-c jit=off -c lock_timeout=5s -c hnsw.ef_search=80"
    " -c hnsw.iterative_scan=relaxed_order"
)
OWN_OPTIONS = {
    "fetch_size", *SHARD_NETWORK, *SHARD_TUNING, *SHARD_EXTENSIONS,
}  # fmt: skip
MAPPED: Sequence[str] = ("user", "password", "sslpassword")
NOT_FOREIGN = ("client_encoding", "fallback_application_name")


def fetch_size(partitions: int) -> int:
    """The rows of one partition that come at once; all partitions share ROWS_HELD."""
    return max(LEAST_FETCHED, min(MOST_FETCHED, ROWS_HELD // partitions))


def shard_of(server: str) -> str:
    """The shard's name, of the name of its foreign server."""
    return server.removeprefix(SERVER_PREFIX)


def session_options(dsn: str, token: str) -> str:
    """What a session on a shard begins with; the token opens its tables for writing."""
    given = parse_dsn(dsn).get("options", "")
    return f"{given} {SHARD_SESSION} -c recommender.coordinator={token}".strip()


def token_of(session: Session) -> str:
    """What the shards know this coordinator by; made with the first layout."""
    with session.transaction() as run:
        ((token,),) = run(QUERIES["token"])
        if token is None:
            token = str(uuid.uuid4())
            schema = Identifier(SHARDS_SCHEMA)
            run(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
            run(SQL("COMMENT ON SCHEMA {} IS {}").format(schema, Literal(token)))
            for role in _present(run):
                run(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role))
    return str(token)


def foreign_servers(session: Session) -> Mapping[str, ShardServer]:
    """Those that are there, by name, with connection strings for this program."""
    with session.transaction() as run:
        found = run(QUERIES["servers"])
    return {
        shard_of(name): ShardServer(
            shard_of(name),
            make_dsn(
                **{k: v for k, v in options.items() if k not in OWN_OPTIONS},
                **(mapping or {}),
            ),
        )
        for name, options, mapping in found
    }


def ensure_server(
    session: Session, server: ShardServer, token: str, *, partitions: int
) -> None:
    """Create the foreign server and its mapping, or change what differs.
    `partitions`: how many all servers have together.
    """
    given = {
        k: str(v) for k, v in parse_dsn(server.dsn).items() if k not in NOT_FOREIGN
    }
    mapping = {k: given.pop(k) for k in MAPPED if k in given}
    options = SHARD_NETWORK | SHARD_TUNING | given
    options["options"] = session_options(server.dsn, token)
    options["fetch_size"] = str(fetch_size(partitions))
    name = Identifier(SERVER_PREFIX + server.name)
    with session.transaction() as run:
        _ensure_extension(run)
        if run(QUERIES["vector_table"]):
            options |= SHARD_EXTENSIONS
        had, had_mapping = _known(run, server.name)
        if had is None:
            run(SQL("CREATE SERVER {} FOREIGN DATA WRAPPER postgres_fdw").format(name))
        if had_mapping is None:
            run(SQL("CREATE USER MAPPING FOR PUBLIC SERVER {}").format(name))
        if changed := list(_changes(had or {}, options)):
            alter = SQL("ALTER SERVER {} OPTIONS ({})")
            run(alter.format(name, SQL(", ").join(changed)))
        if changed := list(_changes(had_mapping or {}, mapping)):
            alter = SQL("ALTER USER MAPPING FOR PUBLIC SERVER {} OPTIONS ({})")
            run(alter.format(name, SQL(", ").join(changed)))
        health = place(HEALTH_PREFIX + server.name)
        run(QUERIES["create_health"].format(health=health, server=name))
        for role in _present(run):
            run(SQL("GRANT SELECT ON {} TO {}").format(health, role))


def _ensure_extension(run: RunStatement) -> None:
    """Raises ConfigError with what a superuser is to run, if it takes one."""
    ((has_extension, may_use, role),) = run(QUERIES["wrapper"])
    if may_use:
        return
    if not has_extension:
        schema = Identifier(SHARDS_SCHEMA)
        create = SQL("CREATE EXTENSION postgres_fdw SCHEMA {}").format(schema)
        may_run(run, create)
    ((has_extension, may_use, _),) = run(QUERIES["wrapper"])
    if not may_use:
        missing = "" if has_extension else "CREATE EXTENSION postgres_fdw; "
        raise ConfigError(
            f"{role} may not create foreign servers; let a superuser run once on the"
            f" coordinator: {missing}GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw"
            f" TO {role};"
        )


def drop_server(session: Session, name: str) -> None:
    """Of a shard without partitions."""
    server = Identifier(SERVER_PREFIX + name)
    with session.transaction() as run:
        run(SQL("DROP FOREIGN TABLE IF EXISTS {}").format(place(HEALTH_PREFIX + name)))
        run(SQL("DROP USER MAPPING FOR PUBLIC SERVER {}").format(server))
        run(SQL("DROP SERVER {}").format(server))


def _known(
    run: RunStatement, name: str
) -> tuple[Mapping[str, str] | None, Mapping[str, str] | None]:
    for server, options, mapping in run(QUERIES["servers"]):
        if server == SERVER_PREFIX + name:
            return options, mapping
    return None, None


def _changes(had: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[Composable]:
    """What OPTIONS (…) is to say."""
    for name, value in wanted.items():
        if name not in had:
            yield SQL("ADD {} {}").format(Identifier(name), Literal(value))
        elif had[name] != value:
            yield SQL("SET {} {}").format(Identifier(name), Literal(value))
    for name in had.keys() - wanted.keys():
        yield SQL("DROP {}").format(Identifier(name))


def _present(run: RunStatement) -> Sequence[Identifier]:
    """The roles of migration 0009 that this server has."""
    return [
        Identifier(role)
        for role in ROLES
        if run(SQL("SELECT to_regrole({}) IS NOT NULL").format(Literal(role)))
        == [(True,)]
    ]
