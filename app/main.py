"""Wiring: settings to services to routes. Nothing connects or loads before use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app import __version__
from app.answers import Answers, AnyAnswer, AnyQuestion, Passes
from app.api.body import BoundedBody
from app.api.columns import build_columns_router, describe_filters
from app.api.docs import build_docs
from app.api.errors import add_error_handlers
from app.api.guard import Guard
from app.api.headers import PAGE_POLICY, SecurityHeaders
from app.api.keys import ApiKeys, TokenBuckets
from app.api.matching import build_matching_router
from app.api.observe import Observe
from app.api.page import build_page
from app.api.recommending import Recommending
from app.api.routes import build_router
from app.api.schemas import MOST_USERS
from app.backfill.service import ServiceBackfill
from app.config import Settings
from app.encoder import Encoder
from app.encoder.cached import CachedEncoder
from app.encoder.lazy import LazyEncoder, QueryEncoder
from app.lines import TwoLines
from app.match.ranker import SkillRanker
from app.neighbours import Neighbours
from app.offered import OfferedColumns
from app.readiness import Readiness, ReadinessCheck, Shared, SharedReadiness
from app.recommend import Recommender
from app.scan.passes import SharedPasses
from app.search.backend import Search
from app.search.stream import StreamSearch
from app.storage.database import Database
from app.storage.hosts import primary
from app.telemetry import Telemetry
from app.traffic import Traffic

# Probes give up sooner than requests: they come again by themselves.
PROBE_TIMEOUT_S = 5.0

# With SEARCH_BACKEND=pgvector: passes at the same time, and questions in each.
LOOKS = 3
LOOKS_A_PASS = 4


def create_app(settings: Settings) -> FastAPI:
    """The application; its lifespan closes what it opened.

    Raises ConfigError when a setting turns out to be malformed.
    """
    telemetry = Telemetry()
    database = Database(
        settings.database_url.get_secret_value(), pool_size=settings.db_pool_size
    )
    model = LazyEncoder(settings.model_dir)
    traffic = Traffic()
    passes = _passes(settings, database, model, telemetry, traffic)
    _watch(telemetry, database, model, passes)
    writer = _writer(settings, database)
    backfill = ServiceBackfill(writer, model, traffic)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if settings.embed_in_service:
            backfill.start()
        yield
        passes.close()
        if settings.embed_in_service:
            backfill.close()
        database.close()
        if writer is not database:
            writer.close()

    app = FastAPI(
        title="Job recommendations",
        description="Which jobs fit a user, by meaning.",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/openapi.json" if settings.docs else None,
        docs_url=None,
        redoc_url=None,
    )
    _add_middleware(app, settings, telemetry)
    add_error_handlers(app)
    readiness = _readiness(settings, database, model, telemetry)
    app.include_router(
        build_router(
            readiness,
            telemetry,
            max_top_n=settings.max_top_n,
            timeout_s=settings.request_timeout_s,
            needs_key=bool(settings.keys),
            recommending=Recommending(
                passes, settings.rank_by, settings.offered_columns
            ),
            # Each counts in the line: more could never come in.
            most_users=min(MOST_USERS, settings.max_waiting),
        )
    )
    columns = OfferedColumns(database, settings.offered_columns)
    app.include_router(
        build_columns_router(
            Shared(columns, timeout_s=min(PROBE_TIMEOUT_S, settings.request_timeout_s)),
            rank_by=settings.rank_by,
            needs_key=bool(settings.keys),
        )
    )
    describe_filters(app, columns)
    app.include_router(
        build_matching_router(
            passes,
            max_top_n=settings.max_top_n,
            timeout_s=settings.request_timeout_s,
            needs_key=bool(settings.keys),
        )
    )
    app.include_router(build_page())
    if app.openapi_url:
        app.include_router(build_docs(title=app.title, openapi_url=app.openapi_url))
    return app


def _passes(
    settings: Settings,
    database: Database,
    model: LazyEncoder,
    telemetry: Telemetry,
    traffic: Traffic,
) -> Passes:
    encoder: Encoder = QueryEncoder(model)
    if settings.query_cache_size:
        encoder = CachedEncoder(encoder, entries=settings.query_cache_size)
    search = _search(settings, encoder.version)
    columns = settings.offered_columns
    answers = Answers(
        Recommender(database, encoder, search, observer=telemetry, job_columns=columns),
        SkillRanker(
            database,
            encoder,
            cache_folder=settings.skill_cache_dir,
            observer=telemetry,
            job_columns=columns,
        ),
        Neighbours(
            database,
            search,
            version=encoder.version,
            batch_rows=settings.batch_rows,
            observer=telemetry,
            job_columns=columns,
        ),
    )
    run = traffic.observed(answers.answer_all)
    scans: SharedPasses[AnyQuestion, AnyAnswer] = SharedPasses(
        run,
        threads=settings.concurrent_passes,
        most_per_pass=settings.max_pass_size,
        max_waiting=settings.max_waiting,
    )
    if settings.search_backend == "stream":
        return scans
    looks: SharedPasses[AnyQuestion, AnyAnswer] = SharedPasses(
        run,
        threads=max(settings.concurrent_passes, min(LOOKS, settings.db_pool_size)),
        most_per_pass=LOOKS_A_PASS,
        max_waiting=settings.max_waiting,
    )
    return TwoLines(looks, scans)


def _writer(settings: Settings, database: Database) -> Database:
    """What embeddings are stored through: replicas, which may answer, take none."""
    dsn = settings.database_url.get_secret_value()
    if primary(dsn) == dsn:
        return database
    return Database(primary(dsn), pool_size=1)


def _search(settings: Settings, version: str) -> Search:
    if settings.search_backend == "pgvector":
        # Imported on demand: 0.2 MB that the default does not need.
        from app.search.pgvector import PgvectorSearch  # noqa: PLC0415

        return PgvectorSearch(version=version, batch_rows=settings.batch_rows)
    return StreamSearch(version=version, batch_rows=settings.batch_rows)


def _readiness(
    settings: Settings, database: Database, model: LazyEncoder, telemetry: Telemetry
) -> SharedReadiness:
    def tell(found: Readiness | None) -> None:
        if found is None:
            telemetry.not_ready()
        else:
            telemetry.ready(found.jobs)

    return SharedReadiness(
        ReadinessCheck(
            database,
            model,
            settings.model_dir,
            job_columns=settings.offered_columns,
            needs_vectors=settings.search_backend == "pgvector",
        ),
        timeout_s=min(PROBE_TIMEOUT_S, settings.request_timeout_s),
        on_checked=tell,
    )


def _watch(
    telemetry: Telemetry, database: Database, model: LazyEncoder, passes: Passes
) -> None:
    pool = database.pool
    telemetry.watch("pool_size", "Connections at most.", lambda: pool.size)
    telemetry.watch("pool_in_use", "Connections lent out.", lambda: pool.in_use)
    telemetry.watch("pool_waiting", "Waiting for a connection.", lambda: pool.waiting)
    telemetry.watch("waiting", "Requests in the line.", lambda: passes.waiting)
    telemetry.watch("model_loaded", "1 once it is in memory.", lambda: model.loaded)


def _add_middleware(app: FastAPI, settings: Settings, telemetry: Telemetry) -> None:
    """From the inside out: what is added last sees a request first."""
    app.add_middleware(BoundedBody, timeout_s=settings.request_timeout_s)
    if settings.keys:
        per_minute = settings.rate_limit_per_minute
        app.add_middleware(
            Guard,
            keys=ApiKeys(settings.keys),
            buckets=TokenBuckets(per_minute) if per_minute else None,
        )
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            expose_headers=["Retry-After", "Server-Timing", "X-Request-ID"],
        )
    app.add_middleware(SecurityHeaders, policies={"/": PAGE_POLICY})
    app.add_middleware(Observe, telemetry=telemetry)
