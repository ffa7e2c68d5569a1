"""Runs the checks, each in a read-only transaction and a time limit of its own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from app.config import Settings
from app.deadline import Deadline
from app.encoder.checkpoint import MINILM
from app.encoder.lazy import LazyEncoder
from app.encoder.passages import PassageEncoder
from app.errors import (
    AppError,
    DeadlineExceededError,
    ModelUnavailableError,
    SchemaError,
    UnavailableError,
    command_line,
)
from app.ops.backend_advice import (
    CANDIDATE_BYTES,
    CANDIDATES_READ,
    EgressEstimate,
    free_disk_bytes,
)
from app.ops.doctor import access, rows, schema, shards
from app.ops.doctor.finding import MIGRATE_COMMAND, REPAIR_COMMAND, Finding
from app.query.exposure import OnlineReport
from app.storage import inspection
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.transaction import Transaction
from app.storage.coverage import Coverage
from app.storage.entity import EntityTable
from app.storage.exposures import online_report
from app.storage.inspection import Limits, TableSize
from app.storage.jobs import record_bytes
from app.storage.models import model_in_use
from app.storage.samples import Sampler

# Greetings, catalogue and the user's row: measured once, roughly, over TCP.
REQUEST_OVERHEAD_BYTES = 4_000
TOP_N = 10

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Scope:
    """What the estimate of traffic assumes, and how long one check may take.

    `migrations`: the checksums of the program's migrations by name.
    """

    requests_per_day: int = 1000
    usd_per_gigabyte: float = 0.0
    timeout_s: float = 20.0
    migrations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Examination:
    """What was seen. Without a schema that fits there are only findings.

    `is_estimate`: the rows were too many to be counted.
    """

    findings: Sequence[Finding]
    jobs: Coverage | None = None
    users: Coverage | None = None
    is_estimate: bool = False
    traffic: EgressEstimate | None = None
    sizes: Sequence[TableSize] = ()
    limits: Limits | None = None
    online: OnlineReport | None = None


def examine(database: Database, settings: Settings, scope: Scope) -> Examination:
    """Look at everything, and change nothing. Raises UnavailableError when the database
    is away, and then nothing can be told.
    """
    return _Doctor(database, settings, scope).examine()


class _Doctor:
    """Collects the findings of one examination."""

    def __init__(self, database: Database, settings: Settings, scope: Scope) -> None:
        self._database = database
        self._settings = settings
        self._scope = scope
        # By what they say: a right that lacks may stop several checks.
        self._found: dict[str, Finding] = {}

    def examine(self) -> Examination:
        """The story: what the service stands on, then the rows."""
        encoder = self._encoder(self._settings.model_source.name)
        limits = self._ask("the server", inspection.limits)
        seen = Examination(())
        if limits is not None:
            pool_size = self._settings.db_pool_size
            self._add(access.connection_findings(limits, pool_size))
            if self._can_be_read(limits.role) and self._shards_answer():
                seen = self._look(encoder)
        return replace(seen, findings=list(self._found.values()), limits=limits)

    def _encoder(self, name: str) -> LazyEncoder | None:
        """None, and a finding, without files that fit."""
        encoder = LazyEncoder(self._settings.folder_of(name), name)
        try:
            encoder.verify_files()
        except ModelUnavailableError as error:
            self._add([Finding(str(error), command_line("model"))])
            return None
        return encoder

    def _can_be_read(self, role: str) -> bool:
        """Whether all is there that the other checks read, and the role may read it."""
        steps = (
            schema.server_findings,
            schema.table_findings,
            lambda tx: access.role_findings(tx, self._settings, role),
            lambda tx: schema.version_findings(tx, self._scope.migrations),
        )
        return all(self._check("the schema", step) == 0 for step in steps)

    def _shards_answer(self) -> bool:
        """Whether each shard can be reached; what is wrong with one is a finding."""
        silent = 0
        for shard in self._ask("the shards", shards.shard_names) or ():
            try:
                self._check(
                    f"the shard {shard}",
                    partial(shards.shard_findings, shard=shard),
                    absent=shards.lost_tables(shard),
                )
            except UnavailableError:
                self._add([shards.unreachable(shard)])
                silent += 1
        return not silent

    def _look(self, encoder: LazyEncoder | None) -> Examination:
        settings = self._settings
        self._check("triggers", schema.object_findings)
        self._check("settings", lambda tx: schema.setting_findings(tx, settings))
        self._check("the identity", lambda tx: schema.identity_findings(tx, settings))
        self._check("strangers' rights", access.stranger_findings)
        catalogue = self._ask("the tables", Catalogue.read)
        if catalogue is None:
            return Examination(())
        in_use = self._ask("the model", model_in_use)
        if in_use not in (None, settings.model_source.name):
            encoder = self._encoder(str(in_use))
        jobs = self._rows(catalogue.jobs, encoder)
        users = self._rows(catalogue.users, encoder)
        dimension = (encoder or MINILM).dimension
        self._check("vectors", lambda tx: schema.vector_findings(tx, settings))
        self._check("the replica", lambda tx: schema.replica_findings(tx, settings))
        days = settings.exposure_days
        self._check("shown jobs", lambda tx: rows.exposure_age_findings(tx, days))
        return Examination(
            (),
            jobs=jobs and jobs[0],
            users=users and users[0],
            is_estimate=any(rows[1] for rows in (jobs, users) if rows),
            traffic=self._traffic(catalogue.jobs, jobs[0], dimension) if jobs else None,
            sizes=self._ask("sizes", inspection.sizes) or (),
            online=self._ask("what users did", online_report),
        )

    def _rows(
        self, table: EntityTable, encoder: LazyEncoder | None
    ) -> tuple[Coverage, bool] | None:
        counted = self._ask(
            f"all {table.name}", lambda tx: Sampler(tx, table).coverage()
        )
        if counted is not None:
            self._add(rows.coverage_findings(table.name, counted[0]))
        self._check(
            f"the records of {table.name}", lambda tx: rows.record_findings(tx, table)
        )
        if encoder is not None:
            made_by = PassageEncoder(encoder) if table.name == "jobs" else encoder
            some = self._ask(
                f"some random {table.name}",
                lambda tx: rows.RandomRows.read(tx, table, version=made_by.version),
            )
            self._add(some.findings(table, made_by) if some else ())
        return counted

    def _traffic(
        self, table: EntityTable, jobs: Coverage, dimension: int
    ) -> EgressEstimate | None:
        text = self._ask("texts", lambda tx: inspection.typical_text_bytes(tx, table))
        if text is None:
            return None
        rest = TOP_N * text + REQUEST_OVERHEAD_BYTES
        with_pgvector = CANDIDATES_READ * CANDIDATE_BYTES + rest
        streamed = jobs.embedded * record_bytes(dimension) + rest
        now = {"stream": streamed, "replica": rest, "pgvector": with_pgvector}
        return EgressEstimate(
            jobs.embedded,
            now[self._settings.search_backend],
            rest,
            with_pgvector,
            free_disk_bytes(self._settings.cache_dir),
            self._scope.requests_per_day,
            self._scope.usd_per_gigabyte,
        )

    def _check(
        self,
        what: str,
        check: Callable[[Transaction], Iterable[Finding]],
        *,
        absent: Finding | None = None,
    ) -> int:
        """How many findings there are, one for a check that failed among them."""
        before = len(self._found)
        self._add(self._ask(what, lambda tx: list(check(tx)), absent=absent) or ())
        return len(self._found) - before

    def _ask(
        self,
        what: str,
        ask: Callable[[Transaction], Seen],
        *,
        absent: Finding | None = None,
    ) -> Seen | None:
        """None, and a finding, where the database does not say."""
        timeout_s = self._scope.timeout_s
        try:
            with self._database.snapshot(Deadline.after(timeout_s)) as transaction:
                return ask(transaction)
        except SchemaError as error:
            self._add([absent or Finding(str(error), MIGRATE_COMMAND)])
        except DeadlineExceededError:
            problem = (
                f"A look at {what} took more than {timeout_s:g} s: the database is"
                " busy, or a table is locked."
            )
            more = f"{command_line('doctor')} --timeout={3 * timeout_s:g}"
            self._add([Finding(problem, more)])
        except UnavailableError:
            raise
        except AppError as error:
            # One check that fails takes none of the others away.
            problem = f"A look at {what} failed: {error}"
            self._add([Finding(problem, REPAIR_COMMAND)])
        return None

    def _add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._found.setdefault(finding.problem, finding)
