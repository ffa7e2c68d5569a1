"""Build the FastAPI application: services, middleware, routes."""

import logging
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app import __version__
from app.api.connection_limits import CONNECTION_LIMITS, ConnectionLimits
from app.api.docs_page import build_docs
from app.api.error_statuses import document_errors
from app.api.errors import add_error_handlers
from app.api.interleaving import Comparison
from app.api.middleware.access_log import AccessLogMiddleware
from app.api.middleware.api_keys import ApiKeys, TokenBuckets
from app.api.middleware.auth import AuthMiddleware
from app.api.middleware.body_limit import BodyLimitMiddleware
from app.api.middleware.failures import FailureMiddleware
from app.api.middleware.normalize import NormalizeMiddleware
from app.api.middleware.security_headers import PAGE_POLICY, SecurityHeadersMiddleware
from app.api.openapi import TAGS, describe_settings, operation_id
from app.api.options import Defaults
from app.api.requests import MAX_USERS
from app.api.routes.columns import build_columns_router
from app.api.routes.feedback import build_feedback_router
from app.api.routes.health import build_health_router
from app.api.routes.jobs import build_jobs_router
from app.api.routes.online import build_online_router
from app.api.routes.recommend import Answering, build_recommend_router
from app.api.static_files import build_page
from app.api.tracing import NO_TELEMETRY, Tracing
from app.config import Settings
from app.ops.logs import adopt_uvicorn_logs
from app.ops.metrics import Telemetry
from app.ops.readiness import SingleFlight
from app.services import Services, probe_timeout_s

log = logging.getLogger("app")

HTTP_PROTOCOL = "app.api.http_protocol:BoundedHttp"
OPEN = "API_KEYS is not set: everyone who can reach this port can use the API."
UNBOUNDED = (
    "This server limits neither the size and time of request headers nor pipelined"
    " requests; start it with `python -m app`, or uvicorn with"
    f" `--http {HTTP_PROTOCOL}`."
)


def create_app(settings: Settings) -> FastAPI:
    """Create the application. Its lifespan starts and closes the services.

    Raises ConfigError for an invalid setting.
    """
    services = Services(settings)
    tracing = Tracing() if settings.tracing else None

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[Mapping[str, object]]:
        adopt_uvicorn_logs()
        for warning in _warnings(settings):
            log.warning(warning)
        services.start()
        limits = ConnectionLimits(settings.keep_alive_s, settings.max_connections)
        yield {CONNECTION_LIMITS: limits.within_descriptors()}
        services.close()
        if tracing:
            tracing.close()

    app = FastAPI(
        title="Job recommendations",
        description="Which jobs fit a user, by meaning.",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/openapi.json" if settings.docs else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
        openapi_tags=TAGS,
        servers=[{"url": "/", "description": "The server of this document."}],
        license_info={"name": "MIT", "identifier": "MIT"},
        telemetry=tracing.config if tracing else NO_TELEMETRY,
    )
    _add_middleware(app, settings, services.telemetry)
    add_error_handlers(app)
    _add_routes(app, settings, services)
    document_errors(app)
    return app


def _warnings(settings: Settings) -> Iterator[str]:
    """Missing protections. Call it after the server has loaded its protocol."""
    if not settings.keys:
        yield OPEN
    if HTTP_PROTOCOL.partition(":")[0] not in sys.modules:
        yield UNBOUNDED


def _defaults(settings: Settings) -> Defaults:
    return Defaults(
        settings.rank_by,
        settings.filterable_columns,
        max_top_n=settings.max_top_n,
        # Each user takes a place in the queue, so a longer list could never enter it.
        max_users=min(MAX_USERS, settings.max_queue_size),
        boosts=settings.boosts,
        expires=settings.expires,
        variety=settings.variety,
    )


def _answering(settings: Settings, services: Services, defaults: Defaults) -> Answering:
    exposures = services.exposure_log
    return Answering(
        services.queue,
        defaults,
        settings.request_timeout_s,
        Comparison.of(settings, defaults),
        exposures.add if exposures else lambda _: None,
    )


def _add_routes(app: FastAPI, settings: Settings, services: Services) -> None:
    needs_key = bool(settings.keys)
    timeout_s = settings.request_timeout_s
    defaults = _defaults(settings)
    answers = _answering(settings, services, defaults)
    app.include_router(build_recommend_router(answers, needs_key=needs_key))
    app.include_router(
        build_health_router(services.readiness, services.telemetry, needs_key=needs_key)
    )
    app.include_router(
        build_columns_router(
            SingleFlight(services.columns, timeout_s=probe_timeout_s(settings)),
            rank_by=settings.page_rank_by,
            needs_key=needs_key,
        )
    )
    app.include_router(
        build_jobs_router(
            services.queue, defaults, timeout_s=timeout_s, needs_key=needs_key
        )
    )
    app.include_router(
        build_feedback_router(
            services.feedback, timeout_s=timeout_s, needs_key=needs_key
        )
    )
    app.include_router(
        build_online_router(
            SingleFlight(
                services.exposures.report, timeout_s=probe_timeout_s(settings)
            ),
            exposure_days=settings.exposure_days,
            needs_key=needs_key,
        )
    )
    describe_settings(app, services.columns, defaults)
    if app.openapi_url:
        app.include_router(build_docs(title=app.title, openapi_url=app.openapi_url))
    app.include_router(build_page())


def _add_middleware(app: FastAPI, settings: Settings, telemetry: Telemetry) -> None:
    """Add the middleware, innermost first."""
    app.add_middleware(NormalizeMiddleware)
    app.add_middleware(BodyLimitMiddleware, timeout_s=settings.request_timeout_s)
    per_minute = settings.rate_limit_per_minute
    app.add_middleware(
        AuthMiddleware,
        keys=ApiKeys(settings.keys),
        buckets=TokenBuckets(per_minute) if per_minute else None,
    )
    app.add_middleware(FailureMiddleware)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            expose_headers=["Retry-After", "Server-Timing", "X-Request-ID"],
        )
    app.add_middleware(SecurityHeadersMiddleware, policies={"/": PAGE_POLICY})
    app.add_middleware(AccessLogMiddleware, telemetry=telemetry)
