"""Wiring: settings to services to routes. Nothing connects or loads before use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app import __version__
from app.api.body import BoundedBody
from app.api.errors import add_error_handlers
from app.api.routes import build_router
from app.config import Settings
from app.encoder import Encoder
from app.encoder.cached import CachedEncoder
from app.encoder.lazy import LazyEncoder
from app.readiness import ReadinessCheck
from app.recommend import Recommender
from app.scan.passes import SharedPasses
from app.storage.database import Database


def create_app(settings: Settings) -> FastAPI:
    """The application; its lifespan closes what it opened."""
    database = Database(
        settings.database_url.get_secret_value(), pool_size=settings.db_pool_size
    )
    model = LazyEncoder(settings.model_dir)
    encoder: Encoder = model
    if settings.query_cache_size:
        encoder = CachedEncoder(model, entries=settings.query_cache_size)
    recommender = Recommender(database, encoder, batch_rows=settings.batch_rows)
    passes = SharedPasses(
        recommender.answer_all,
        threads=settings.concurrent_passes,
        most_per_pass=settings.max_pass_size,
        max_waiting=settings.max_waiting,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        passes.close()
        database.close()

    app = FastAPI(
        title="Job recommendations",
        description="Which jobs fit a user, by meaning.",
        version=__version__,
        lifespan=lifespan,
    )
    app.add_middleware(BoundedBody, timeout_s=settings.request_timeout_s)
    add_error_handlers(app)
    app.include_router(
        build_router(
            passes,
            ReadinessCheck(database, model, settings.model_dir),
            max_top_n=settings.max_top_n,
            timeout_s=settings.request_timeout_s,
        )
    )
    return app
