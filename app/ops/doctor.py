"""One look at a deployment: what is wrong, and the command that mends it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.config import Settings
from app.deadline import Deadline
from app.encoder.checkpoint import MINILM, verify_model
from app.errors import ModelUnavailableError, SchemaError
from app.ops.backend_advice import (
    CANDIDATE_BYTES,
    CANDIDATES_READ,
    EgressEstimate,
    missing_for_vectors,
)
from app.storage import inspection
from app.storage.catalogue import Catalogue, check_served
from app.storage.connection.database import Database
from app.storage.connection.transaction import Transaction
from app.storage.coverage import Coverage, coverage
from app.storage.entity import EntityName, EntityTable
from app.storage.inspection import Exposure, Limits
from app.storage.jobs import RECORD_BYTES

DOCTOR_TIMEOUT_S = 60.0
MIGRATE_COMMAND = "python scripts/migrate.py"
EMBED = "python scripts/generate_embeddings.py"

# Greetings, catalogue and the user's row: measured once, roughly, over TCP.
REQUEST_OVERHEAD_BYTES = 4_000
TOP_N = 10

# A deploy runs the old and the new instance side by side.
INSTANCES = 2


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: what, and the command that mends it."""

    problem: str
    mend: str


@dataclass(frozen=True)
class Examination:
    """What was seen. Without a schema that fits there are only findings."""

    findings: Sequence[Finding]
    jobs: Coverage | None = None
    users: Coverage | None = None
    traffic: EgressEstimate | None = None
    limits: Limits | None = None


def examine(
    database: Database,
    settings: Settings,
    *,
    requests_per_day: int,
    usd_per_gigabyte: float = 0.0,
) -> Examination:
    """Look at everything. Raises UnavailableError when the database is away, and
    then nothing can be told.
    """
    findings = list(_model(settings))
    try:
        with database.snapshot(Deadline.after(DOCTOR_TIMEOUT_S)) as transaction:
            return _look(
                transaction, settings, findings, (requests_per_day, usd_per_gigabyte)
            )
    except SchemaError as error:
        return Examination([*findings, Finding(str(error), MIGRATE_COMMAND)])


def _look(
    transaction: Transaction,
    settings: Settings,
    findings: list[Finding],
    usage: tuple[int, float],
) -> Examination:
    catalogue = Catalogue.read(transaction)
    findings += _schema(transaction, settings)
    findings += _columns(transaction, settings.filterable_columns)
    findings += _exposed(inspection.exposures(transaction))
    limits = inspection.limits(transaction)
    findings += _connections(limits, settings.db_pool_size)
    if inspection.absent(transaction, inspection.TABLES):
        return Examination(findings, limits=limits)
    jobs = coverage(transaction, catalogue.jobs)
    users = coverage(transaction, catalogue.users)
    findings += _coverage("jobs", jobs)
    findings += _coverage("users", users)
    if settings.search_backend == "pgvector":
        missing = missing_for_vectors(transaction, catalogue, version=MINILM.name)
        findings += [Finding(*each) for each in missing]
    traffic = _traffic(transaction, catalogue.jobs, jobs, settings, usage)
    return Examination(findings, jobs, users, traffic, limits)


def _model(settings: Settings) -> Iterator[Finding]:
    try:
        verify_model(settings.model_dir, settings.model_source.name)
    except ModelUnavailableError as error:
        yield Finding(str(error), "make model")


def _schema(transaction: Transaction, settings: Settings) -> Iterator[Finding]:
    try:
        check_served(
            transaction,
            jobs_table=settings.jobs_table,
            users_table=settings.users_table,
        )
    except SchemaError as error:
        yield Finding(str(error), MIGRATE_COMMAND)
    for lost in inspection.lost_triggers(transaction):
        yield Finding(
            f"Edits of {lost.table} leave what was made of old texts behind: its"
            f" trigger {lost.trigger} is missing or disabled.",
            MIGRATE_COMMAND,
        )
    for name in inspection.absent(
        transaction, (*inspection.TABLES, *inspection.INDEXES)
    ):
        yield Finding(
            f"The database has no recommender.{name}, or it is broken.", MIGRATE_COMMAND
        )


def _columns(transaction: Transaction, names: Sequence[str]) -> Iterator[Finding]:
    usable, problems = [], []
    for name in names:
        try:
            Catalogue.read(transaction, job_columns=[name])
            usable.append(name)
        except SchemaError as error:
            problems.append(str(error))
    for problem in problems:
        yield Finding(problem, f"JOB_COLUMNS={','.join(usable)}")


def _exposed(exposures: Sequence[Exposure]) -> Iterator[Finding]:
    for exposure in exposures:
        yield Finding(
            f"The role {exposure.role} can read the table {exposure.table}, and no"
            " row-level security restrains it.",
            f"REVOKE ALL ON {exposure.table} FROM {exposure.role};",
        )


def _connections(limits: Limits, pool_size: int) -> Iterator[Finding]:
    # One of those in use is this one.
    free = limits.connections - (limits.connections_in_use - 1)
    if INSTANCES * pool_size > free:
        yield Finding(
            f"{INSTANCES} instances, as during a deploy, want"
            f" {INSTANCES * pool_size} connections; {free} of {limits.connections} are"
            " free.",
            f"DB_POOL_SIZE={max(1, free // INSTANCES)}",
        )


def _coverage(rows: EntityName, found: Coverage) -> Iterator[Finding]:
    reasons = {
        "have no embedding": found.pending,
        "have an embedding of another model": found.stale,
        "have an embedding of a wrong length": found.malformed,
    }
    for reason, count in reasons.items():
        if count:
            yield Finding(f"{count} {rows} {reason}.", f"{EMBED} --what={rows}")
    if found.quarantined:
        yield Finding(
            f"{found.quarantined} {rows} could not be embedded;"
            f" `{EMBED} --failures` says why.",
            f"{EMBED} --retry-failures --what={rows}",
        )


def _traffic(
    transaction: Transaction,
    table: EntityTable,
    jobs: Coverage,
    settings: Settings,
    usage: tuple[int, float],
) -> EgressEstimate:
    texts = TOP_N * inspection.typical_text_bytes(transaction, table)
    rest = texts + REQUEST_OVERHEAD_BYTES
    with_pgvector = CANDIDATES_READ * CANDIDATE_BYTES + rest
    streamed = jobs.embedded * RECORD_BYTES + rest
    now = with_pgvector if settings.search_backend == "pgvector" else streamed
    return EgressEstimate(jobs.embedded, now, with_pgvector, *usage)
