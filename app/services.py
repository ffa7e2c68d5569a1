"""Build the services from the settings. Nothing connects or loads before use."""

from typing import TYPE_CHECKING

from app.batching.activity import IdleTracker
from app.batching.batcher import Batcher, RunBatch
from app.batching.cost import LONG_BATCH_ENCODINGS, LONG_QUEUE_ENCODINGS
from app.batching.lanes import Lanes
from app.batching.sliced_encoder import SlicedEncoder
from app.config import Settings
from app.encoder import Encoder
from app.encoder.cached import CachedEncoder
from app.encoder.current import CurrentModel
from app.encoder.lazy import DeterministicEncoder
from app.ops.exposure_log import ExposureLog
from app.ops.metrics import Telemetry
from app.ops.readiness import Readiness, ReadinessCheck, SharedReadiness
from app.query.query import Query
from app.query.result import Result
from app.ranking.base import RankingContext
from app.ranking.cost import cost_of
from app.ranking.dispatch import (
    Dispatcher,
    QueryBatcher,
    QueryQueue,
    searches_index,
)
from app.ranking.follower import ModelFollower, ServedModel
from app.ranking.popular import PopularJobs
from app.ranking.registry import build_rankings, check_rank_by
from app.ranking.retrieval.base import Retrieval
from app.ranking.retrieval.full_scan import FullScan
from app.storage.catalogue import ServedTables
from app.storage.connection.database import Database
from app.storage.connection.dsn import primary
from app.storage.connection.model_snapshots import ModelSnapshots
from app.storage.exposures import ExposureStore
from app.storage.feedback import FeedbackStore
from app.storage.filterable_columns import FilterableColumns

if TYPE_CHECKING:
    from app.backfill.service import ServiceBackfill
    from app.ranking.retrieval.replica.replica import Replica

# Health probes time out before requests do: they are repeated anyway.
PROBE_TIMEOUT_S = 5.0

# With SEARCH_BACKEND=pgvector: concurrent batches, queries per batch, and the time that
# a partly filled batch waits while another runs. docs/pgvector-choices.md has the
# measurements of other values.
INDEX_SEARCH_WORKERS = 2
INDEX_SEARCH_BATCH_SIZE = 8
BATCH_WINDOW_S = 0.002


def probe_timeout_s(settings: Settings) -> float:
    """The time limit of health probes and of `GET /api/columns`."""
    return min(PROBE_TIMEOUT_S, settings.request_timeout_s)


class Services:
    """Everything behind the routes; `start` and `close` are called once each."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError for an invalid setting."""
        check_rank_by(settings.rank_by)
        self.telemetry = Telemetry()
        self._database = Database(
            settings.database_url.get_secret_value(), pool_size=settings.db_pool_size
        )
        name = settings.model_source.name
        model = CurrentModel(settings.folder_of, name)
        activity = IdleTracker()

        def build(version: str) -> ServedModel:
            return _served(settings, self._database, model, self.telemetry, version)

        self._follower = ModelFollower(self._database, build, name)
        self.queue = _queue(settings, activity.observed(self._follower.run))
        _watch(self.telemetry, self._database, model, self.queue)
        self.readiness = _readiness(settings, self._database, model, self.telemetry)
        self.columns = FilterableColumns(self._database, settings.filterable_columns)
        self._writer = _writer(settings, self._database)
        self.feedback = FeedbackStore(self._writer)
        self.exposures = ExposureStore(self._writer)
        self.exposure_log = _exposure_log(settings, self.exposures, self.telemetry)
        self._backfill = _backfill(settings, self._writer, model, activity)

    def start(self) -> None:
        """Start the background threads."""
        self._follower.start()
        if self.exposure_log:
            self.exposure_log.start()
        if self._backfill:
            self._backfill.start()

    def close(self) -> None:
        """Finish the running work and close the connections."""
        self.queue.close()
        self._follower.close()
        if self.exposure_log:
            self.exposure_log.close()
        if self._backfill:
            self._backfill.close()
        self._database.close()
        if self._writer is not self._database:
            self._writer.close()


def _served(
    settings: Settings,
    database: Database,
    model: CurrentModel,
    telemetry: Telemetry,
    version: str,
) -> ServedModel:
    """The rankings by one model."""
    encoder: Encoder = DeterministicEncoder(model.use(version))
    if settings.query_cache_size:
        encoder = CachedEncoder(encoder, entries=settings.query_cache_size)
    replica = _replica(settings, database, version)
    context = RankingContext(
        ModelSnapshots(database, version),
        SlicedEncoder(encoder),
        replica or _retrieval(settings, version),
        settings.skill_cache_dir,
        job_columns=settings.filterable_columns,
        observer=telemetry,
        entry_source=replica,
    )
    dispatcher = Dispatcher(build_rankings(context), fallback=PopularJobs(context))
    return ServedModel(version, dispatcher, replica)


def _queue(settings: Settings, run: RunBatch[Query, Result]) -> QueryQueue:
    scans: QueryBatcher = Batcher(
        run,
        threads=settings.scan_workers,
        max_batch_size=settings.max_batch_size,
        max_queue_size=settings.max_queue_size,
        cost_of=cost_of,
    )
    long: QueryBatcher = Batcher(
        run,
        max_batch_size=settings.max_batch_size,
        max_batch_encodings=LONG_BATCH_ENCODINGS,
        max_queue_size=settings.max_queue_size,
        max_queue_encodings=LONG_QUEUE_ENCODINGS,
        cost_of=cost_of,
    )
    return Lanes(
        _short_lane(settings, run, scans),
        long,
        is_fast=lambda queries: cost_of(queries).is_short,
    )


def _short_lane(
    settings: Settings,
    run: RunBatch[Query, Result],
    scans: QueryBatcher,
) -> QueryQueue:
    if settings.search_backend != "pgvector":
        return scans
    fast: QueryBatcher = Batcher(
        run,
        threads=max(
            settings.scan_workers, min(INDEX_SEARCH_WORKERS, settings.db_pool_size)
        ),
        max_batch_size=INDEX_SEARCH_BATCH_SIZE,
        max_queue_size=settings.max_queue_size,
        batch_window_s=BATCH_WINDOW_S,
        cost_of=cost_of,
    )
    return Lanes(fast, scans, is_fast=searches_index)


def _writer(settings: Settings, database: Database) -> Database:
    """The database that takes writes: a replica may serve reads, but no writes."""
    dsn = settings.database_url.get_secret_value()
    if primary(dsn) == dsn:
        return database
    return Database(primary(dsn), pool_size=1)


def _replica(settings: Settings, database: Database, version: str) -> "Replica | None":
    if settings.search_backend != "replica":
        return None
    # Imported on demand: only this backend needs it.
    from app.ranking.retrieval.replica.replica import Replica  # noqa: PLC0415

    return Replica(
        database,
        settings.cache_dir / "replica",
        version=version,
        scan_chunk_rows=settings.scan_chunk_rows,
    )


def _retrieval(settings: Settings, version: str) -> Retrieval:
    if settings.search_backend == "pgvector":
        # Imported on demand: it takes 0.2 MB.
        from app.ranking.retrieval.pgvector import PgvectorSearch  # noqa: PLC0415

        return PgvectorSearch(version=version, scan_chunk_rows=settings.scan_chunk_rows)
    return FullScan(version=version, scan_chunk_rows=settings.scan_chunk_rows)


def _readiness(
    settings: Settings, database: Database, model: CurrentModel, telemetry: Telemetry
) -> SharedReadiness:
    def report(readiness: Readiness | None) -> None:
        if readiness is None:
            telemetry.not_ready()
        else:
            telemetry.ready(readiness.counts.jobs if readiness.counts else None)

    return SharedReadiness(
        ReadinessCheck(
            database,
            model,
            job_columns=settings.filterable_columns,
            needs_vectors=settings.search_backend == "pgvector",
            tables=ServedTables(
                settings.jobs_table, settings.users_table, settings.title_column
            ),
        ),
        timeout_s=probe_timeout_s(settings),
        on_checked=report,
    )


def _exposure_log(
    settings: Settings, store: ExposureStore, telemetry: Telemetry
) -> ExposureLog | None:
    if not settings.exposure_days:
        return None
    log = ExposureLog(store, days=settings.exposure_days)
    telemetry.watch(
        "exposures_dropped",
        "Answers whose jobs were not stored, because the database was too slow.",
        lambda: log.dropped,
    )
    return log


def _backfill(
    settings: Settings, writer: Database, model: CurrentModel, activity: IdleTracker
) -> "ServiceBackfill | None":
    if not settings.embed_in_service:
        return None
    # Imported on demand: it takes 1.0 MB, and 25 ms of each start.
    from app.backfill.service import ServiceBackfill  # noqa: PLC0415

    return ServiceBackfill(writer, model, activity)


def _watch(
    telemetry: Telemetry, database: Database, model: CurrentModel, queue: QueryQueue
) -> None:
    pool = database.pool
    telemetry.watch("pool_size", "Maximum connections.", lambda: pool.size)
    telemetry.watch("pool_in_use", "Connections in use.", lambda: pool.in_use)
    telemetry.watch(
        "pool_waiting", "Threads waiting for a connection.", lambda: pool.waiting
    )
    telemetry.watch("queue_depth", "Queries in the queue.", lambda: queue.waiting)
    telemetry.watch(
        "model_loaded", "1 when the model is in memory.", lambda: model.current.loaded
    )
