"""Liveness, readiness and metrics."""

from contextlib import suppress

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from app.api.openapi import API_KEYS, errors
from app.api.responses import AliveResponse, JobCounts, ReadyResponse
from app.errors import AppError
from app.ops.metrics import Telemetry
from app.ops.readiness import SharedReadiness

# Prometheus scrapes every 15 s; older counts save queries.
COUNTS_AGE_S = 60.0


def build_health_router(
    readiness: SharedReadiness, telemetry: Telemetry, *, needs_key: bool
) -> APIRouter:
    """The routes `/healthz`, `/readyz` and `/metrics`."""
    router = APIRouter(tags=["health"])
    keys = API_KEYS if needs_key else []

    @router.get("/healthz")
    async def check_health() -> AliveResponse:
        """Liveness: the process responds. Checks nothing else."""
        return AliveResponse()

    @router.get(
        "/metrics",
        response_class=PlainTextResponse,
        responses=errors(401, 429),
        dependencies=keys,
    )
    async def read_metrics() -> Response:
        """All metrics in Prometheus' text format."""
        # On a failure the gauge `recommender_ready` becomes 0.
        with suppress(AppError):
            await readiness(at_most_age_s=COUNTS_AGE_S)
        return Response(telemetry.render(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    @router.get("/readyz", responses=errors(401, 429, 503), dependencies=keys)
    async def check_readiness() -> ReadyResponse:
        """Readiness: database, schema and model are usable. Counts rows by state."""
        found = await readiness()
        counts = found.counts
        return ReadyResponse(
            jobs=JobCounts.model_validate(counts.jobs) if counts else None,
            users=counts.users if counts else None,
            counted_s_ago=round(counts.age_s, 1) if counts else None,
            model=found.model,
            model_loaded=found.model_loaded,
        )

    return router
