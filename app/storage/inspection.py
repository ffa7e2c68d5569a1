"""What a look at a deployment asks the database: triggers, grants, limits."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2.sql import SQL

from app.storage.connection.transaction import Transaction

TRIGGER = "zz_forget_embedding"
INDEXES = ("skill_job1_unembedded_idx", "users_unembedded_idx")
OUR_TABLES = (
    "skill_job1",
    "users",
    "embedding_claim",
    "embedding_failure",
    "embedding_lease",
)

# tgenabled: O fires for everyone, A always; D and R are off for an editor.
GUARDED_TABLES = SQL(
    "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
    " WHERE tgname = %(trigger)s AND tgenabled IN ('O', 'A')"
    " AND c.oid = to_regclass(quote_ident(c.relname))"
)
PRESENT = SQL(
    "SELECT name FROM unnest(%(names)s::text[]) AS name"
    " WHERE to_regclass(quote_ident(name)) IS NOT NULL"
)
# `public` is everyone; the other two are the roles of Supabase's public REST API.
EXPOSED = SQL(
    "SELECT c.relname, reader FROM pg_class c,"
    " (SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated')"
    " UNION ALL SELECT 'public') AS readers (reader)"
    " WHERE c.oid IN (SELECT to_regclass(quote_ident(name))"
    " FROM unnest(%(names)s::text[]) AS name)"
    " AND NOT c.relrowsecurity"
    " AND (has_table_privilege(reader, c.oid, 'SELECT')"
    " OR has_any_column_privilege(reader, c.oid, 'SELECT'))"
    " ORDER BY c.relname, reader"
)
LIMITS = SQL(
    "SELECT current_setting('max_connections')::int"
    " - current_setting('superuser_reserved_connections')::int,"
    " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
    " rolname, rolsuper FROM pg_roles WHERE rolname = current_user"
)
TEXT_BYTES = SQL(
    "SELECT coalesce(avg(octet_length(skills)), 0)::int FROM"
    " (SELECT skills FROM skill_job1 LIMIT 1000) AS sample"
)


@dataclass(frozen=True)
class Exposure:
    """A table that a role can read though no row-level security restrains it."""

    table: str
    role: str


@dataclass(frozen=True)
class Limits:
    """Connections that the server lends to ordinary roles, those in use, and ours."""

    connections: int
    connections_in_use: int
    role: str
    is_superuser: bool


def tables_without_trigger(transaction: Transaction) -> list[str]:
    """The tables whose edits leave stale embeddings behind."""
    rows = transaction.rows(GUARDED_TABLES, {"trigger": TRIGGER})
    return sorted({"skill_job1", "users"} - {name for (name,) in rows})


def absent(transaction: Transaction, names: Sequence[str]) -> list[str]:
    """Those of these tables and indexes that the database does not have."""
    present = {row[0] for row in transaction.rows(PRESENT, {"names": list(names)})}
    return [name for name in names if name not in present]


def exposures(transaction: Transaction) -> list[Exposure]:
    """Our tables that the outside can read."""
    rows = transaction.rows(EXPOSED, {"names": list(OUR_TABLES)})
    return [Exposure(*row) for row in rows]


def limits(transaction: Transaction) -> Limits:
    """What the server allows, and whom it takes us for."""
    return Limits(*transaction.rows(LIMITS)[0])


def typical_text_bytes(transaction: Transaction) -> int:
    """The average length of a job's text, from a thousand of them."""
    count: int = transaction.rows(TEXT_BYTES)[0][0]
    return count
