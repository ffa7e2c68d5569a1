"""Whether the database has what the service relies on: triggers, indexes, functions."""

from collections.abc import Iterator, Mapping

from app.config import Settings
from app.errors import SchemaError
from app.ops.backend_advice import missing_for_vectors
from app.ops.doctor.finding import (
    MIGRATE_COMMAND,
    REPAIR_COMMAND,
    REPAIR_VECTORS,
    Finding,
)
from app.storage import changes, inspection
from app.storage.catalogue import Catalogue, ServedTables, check_tables
from app.storage.connection.transaction import Transaction
from app.storage.inspection import (
    FUNCTIONS,
    INDEXES,
    TABLES,
    VECTOR_OBJECTS,
    KeyColumn,
    LostTrigger,
)


def server_findings(transaction: Transaction) -> Iterator[Finding]:
    """A server that is too old for the migrations."""
    number, name = inspection.server_version(transaction)
    if number < inspection.OLDEST_SERVER:
        oldest = inspection.OLDEST_SERVER // 10_000
        yield Finding(
            f"PostgreSQL {oldest} or later is needed, and this is {name}.",
            f"Upgrade the server to PostgreSQL {oldest} or later.",
        )


def table_findings(transaction: Transaction) -> Iterator[Finding]:
    """Tables of ours that are not there: without them nothing else can be asked."""
    absent = inspection.absent(transaction, TABLES)
    if len(absent) == len(TABLES):
        yield Finding("The database has no tables of ours.", MIGRATE_COMMAND)
        return
    yield from (_absent(name) for name in absent)


def version_findings(
    transaction: Transaction, checksums: Mapping[str, str]
) -> Iterator[Finding]:
    """A schema of another version than the program's, whose migrations these are."""
    names = inspection.outdated(transaction, checksums)
    if names:
        yield Finding(
            "The schema recommender is of another version than this program, by its"
            f" migrations {', '.join(names)}.",
            MIGRATE_COMMAND,
        )


def object_findings(transaction: Transaction) -> Iterator[Finding]:
    """Indexes, functions and triggers of ours that are not there, and ids of the team's
    tables without an index.
    """
    for name in inspection.absent(transaction, (*INDEXES, *FUNCTIONS)):
        yield _absent(name)
    if Catalogue.read(transaction).vectors is not None:
        for name in inspection.absent(transaction, VECTOR_OBJECTS):
            yield _absent(name, REPAIR_VECTORS)
    for lost in inspection.lost_triggers(transaction):
        yield _lost(lost)
    for key in inspection.key_columns(transaction):
        if not key.is_indexed:
            yield _unindexed(key)


def _absent(name: str, mend: str = REPAIR_COMMAND) -> Finding:
    return Finding(f"The database has no recommender.{name}, or it is broken.", mend)


def _lost(lost: LostTrigger) -> Finding:
    where, name = lost.table, lost.trigger
    if lost.why == "foreign":
        return Finding(
            f"Edits of {where} are not recorded: its trigger {name} is not ours.",
            f"DROP TRIGGER {name} ON {where}; then {REPAIR_COMMAND}",
        )
    if lost.why == "off in a partition":
        return Finding(
            f"Edits of the partition {where} keep embeddings or skills of old texts:"
            f" its trigger {name} is missing or disabled.",
            f"ALTER TABLE {where} ENABLE ALWAYS TRIGGER {name}; then {REPAIR_COMMAND}",
        )
    if lost.owner in ("ours", "vectors"):
        mend = REPAIR_COMMAND if lost.owner == "ours" else REPAIR_VECTORS
        return Finding(f"{where} has lost its trigger {name}.", mend)
    if lost.why == "not always":
        return Finding(
            f"Rows that replication writes to {where} are not recorded: its trigger"
            f" {name} is not enabled always.",
            MIGRATE_COMMAND,
        )
    return Finding(
        f"Edits of {where} keep embeddings or skills of old texts: its trigger {name}"
        " is missing or disabled.",
        MIGRATE_COMMAND,
    )


def _unindexed(key: KeyColumn) -> Finding:
    # No index is built concurrently on a partitioned table.
    how = "" if key.is_partitioned else " CONCURRENTLY"
    return Finding(
        f"{key.table} has no index on {key.column}, by which {key.entity} are found:"
        " each request reads the whole table.",
        f"CREATE INDEX{how} ON {key.table} ({key.column});",
    )


def setting_findings(transaction: Transaction, settings: Settings) -> Iterator[Finding]:
    """Settings that name other tables or columns than there are."""
    try:
        tables = ServedTables(
            settings.jobs_table, settings.users_table, settings.title_column
        )
        check_tables(transaction, tables)
    except SchemaError as error:
        yield Finding(str(error), MIGRATE_COMMAND)
    yield from _columns(transaction, settings)


def _columns(transaction: Transaction, settings: Settings) -> Iterator[Finding]:
    usable, problems = [], []
    for name in settings.filterable_columns:
        try:
            Catalogue.read(transaction, job_columns=[name])
            usable.append(name)
        except SchemaError as error:
            problems.append(str(error))
    for problem in problems:
        yield Finding(problem, f"JOB_COLUMNS={','.join(usable)}")


def identity_findings(
    transaction: Transaction, settings: Settings
) -> Iterator[Finding]:
    """A copy of another database, and embeddings of another model."""
    found = inspection.identity(transaction)
    if found.is_copy:
        yield Finding(
            "This database is a copy of another one: caches and replicas take it for"
            " that one until it is given an identity of its own.",
            MIGRATE_COMMAND,
        )
    name = settings.model_source.name
    if found.embedding_version not in (None, name):
        yield Finding(
            f"The rows are embedded with {found.embedding_version}, and MODEL names"
            f" {name}.",
            f"MODEL={found.embedding_version}",
        )


def vector_findings(transaction: Transaction, settings: Settings) -> Iterator[Finding]:
    """What SEARCH_BACKEND=pgvector lacks."""
    if settings.search_backend == "pgvector":
        catalogue = Catalogue.read(transaction)
        missing = missing_for_vectors(transaction, catalogue)
        yield from (Finding(*each) for each in missing)


def replica_findings(transaction: Transaction, settings: Settings) -> Iterator[Finding]:
    """Why SEARCH_BACKEND=replica would leave all answers to the stream."""
    if settings.search_backend != "replica":
        return
    found = changes.look(
        transaction,
        Catalogue.read(transaction).jobs,
        version=settings.model_source.name,
        since=changes.BEFORE_ALL,
        most=1,
    )
    if found.fault is not None:
        yield Finding(
            "The replica does not follow the jobs, and the stream answers, because"
            f" {found.fault}.",
            "SEARCH_BACKEND=pgvector or stream, unless other findings name the cause",
        )
