"""Who may do what: the service's role, and strangers."""

from collections.abc import Iterator

from app.config import Settings
from app.ops.doctor.finding import MIGRATE_COMMAND, Finding
from app.storage import access
from app.storage.access import OpenRelation
from app.storage.connection.transaction import Transaction
from app.storage.inspection import Limits

READER, WORKER = "job_recommender", "job_recommender_worker"

# A deploy runs the old and the new instance side by side.
INSTANCES = 2


def role_findings(
    transaction: Transaction, settings: Settings, role: str
) -> Iterator[Finding]:
    """Rights that the role lacks, as it is called; empty where it has all."""
    group = WORKER if settings.embed_in_service else READER
    if not access.can_look(transaction):
        yield Finding(
            f"The role {role} may not look into the schema recommender.",
            _grant(transaction, group, role),
        )
        return
    lacking = access.lacking_rights(
        transaction,
        columns=settings.filterable_columns,
        writes=settings.embed_in_service,
    )
    if lacking:
        yield Finding(
            f"The role {role} lacks rights: {', '.join(lacking)}.",
            _grant(transaction, group, role),
        )
    for table in access.hidden_tables(transaction):
        yield Finding(
            f"Row-level security of {table} would hide rows from the role {role}.",
            f"ALTER ROLE {role} BYPASSRLS;",
        )


def _grant(transaction: Transaction, group: str, role: str) -> str:
    """Migrations renew what the group may; a member has it then."""
    if access.is_member(transaction, group) is False:
        return f"GRANT {group} TO {role};"
    return MIGRATE_COMMAND


def stranger_findings(transaction: Transaction) -> Iterator[Finding]:
    """What strangers can read."""
    for found in access.open_relations(transaction):
        yield _exposed(found)


def _exposed(found: OpenRelation) -> Finding:
    where, role = found.relation, found.role
    if found.kind == "v":
        return Finding(
            f"The role {role} can read {where}, a view that shows rows of {found.owner}"
            " with the rights of its owner.",
            f"ALTER VIEW {where} SET (security_invoker = true);",
        )
    if found.policy is not None:
        return Finding(
            f"The role {role} can read the table {where}: its policy {found.policy}"
            " lets everybody through.",
            f"DROP POLICY {found.policy} ON {where};",
        )
    if found.owner == "jobs":
        return Finding(
            f"The role {role} can read or change the embeddings in the table {where},"
            " and no row-level security restrains it.",
            f"{MIGRATE_COMMAND} --with supabase-close"
            if role in ("anon", "authenticated") and found.kind in ("r", "p")
            else f"REVOKE ALL ON {where} FROM {found.quoted_role};",
        )
    return Finding(
        f"The role {role} can read the table {where}, and no row-level security"
        " restrains it.",
        f"REVOKE ALL ON {where} FROM {found.quoted_role};",
    )


def connection_findings(limits: Limits, pool_size: int) -> Iterator[Finding]:
    """Pools that do not fit the server's limit."""
    # One of those in use is this one.
    free = limits.connections - (limits.connections_in_use - 1)
    if INSTANCES * pool_size > free:
        yield Finding(
            f"{INSTANCES} instances, as during a deploy, need"
            f" {INSTANCES * pool_size} connections; {free} of {limits.connections} are"
            " free.",
            f"DB_POOL_SIZE={max(1, free // INSTANCES)}",
        )
