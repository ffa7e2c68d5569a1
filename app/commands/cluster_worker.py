"""What a Dask worker runs: one block of `recommend_all`, or some batches of `embed`.

The settings are those of the worker's own environment: no connection string passes the
scheduler. A worker keeps the model in memory between tasks, and no connection.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import app
import app.commands.one_blas_thread
from app.backfill import Progress
from app.commands.embed_work import build_encoder, build_work, slice_rows
from app.commands.recommend_block import (
    BlockRecommender,
    QueryTemplate,
    RecommendedBlock,
    block_deadline,
)
from app.config import ScriptSettings, Settings, read_settings
from app.encoder.passages import PromptedEncoder
from app.errors import AppError, ConfigError
from app.query.ids import Id
from app.storage.connection.database import Database
from app.storage.connection.dsn import primary
from app.storage.coverage import database_id
from app.storage.entity import EntityName

CODE = ("*.py", "*.sql")
_encoder_lock = threading.Lock()


@dataclass(frozen=True)
class Origin:
    """The code and the database of the command. A worker with others refuses."""

    code: str
    database: str

    @classmethod
    def of(cls, database: Database) -> "Origin":
        """The origin of this process. Raises AppError as `Database.snapshot`."""
        with database.snapshot(block_deadline()) as transaction:
            return cls(code_digest(), database_id(transaction))


@dataclass(frozen=True)
class RecommendTask:
    """One block of users, and how to rank jobs for them."""

    origin: Origin
    template: QueryTemplate
    version: str
    job_columns: tuple[str, ...]
    users: tuple[Id, ...] = ()


@dataclass(frozen=True)
class EmbedTask:
    """At most `rows` pending rows, claimed `batch_size` at a time."""

    origin: Origin
    version: str
    entity: EntityName
    encoder: str
    device: str | None
    batch_size: int
    lease_s: float
    rows: int


def recommend(task: RecommendTask) -> RecommendedBlock:
    """Recommend to the users of the task. Raises AppError that names the worker."""
    with _named_errors():
        settings = read_settings(Settings)
        with _database(settings, task.origin) as database:
            return BlockRecommender(
                database,
                _encoder(task.version, "numpy", None),
                task.template,
                settings=settings,
                job_columns=task.job_columns,
            ).run(task.users)


def embed(task: EmbedTask) -> Progress:
    """Embed as a worker of the backfill does; other workers' rows are left to them.

    Raises AppError that names the worker.
    """
    with _named_errors():
        settings = read_settings(ScriptSettings)
        with _database(settings, task.origin) as database:
            work = build_work(
                database,
                _encoder(task.version, task.encoder, task.device),
                batch_size=task.batch_size,
                slice_rows=slice_rows(task.encoder, task.batch_size),
                stop=threading.Event(),
                entities=(task.entity,),
                lease_s=task.lease_s,
            )
            (backfill,) = work.backfills
            batches = backfill.run(limit=task.rows, wait_for_claims=False)
            return sum(batches, Progress())


@cache
def code_digest() -> str:
    """A digest of the project's code: other code may rank otherwise."""
    folder = Path(app.__file__).parent
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(path for kind in CODE for path in folder.rglob(kind)):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _named_errors() -> Iterator[None]:
    """Name the worker, and raise what can be pickled: a sentence."""
    from distributed import get_worker  # noqa: PLC0415

    try:
        yield
    except AppError as error:
        raise AppError(f"Worker {get_worker().address}: {error}") from None


@contextmanager
def _database(settings: ScriptSettings, wanted: Origin) -> Iterator[Database]:
    """The worker's database. Raises ConfigError for another one, or for other code."""
    if code_digest() != wanted.code:
        raise ConfigError(
            "it runs other code than the command; install the same version of the"
            " project there, and restart it."
        )
    dsn = primary(settings.database_url.get_secret_value())
    with closing(Database(dsn, pool_size=1)) as database:
        if Origin.of(database).database != wanted.database:
            raise ConfigError(
                "its DATABASE_URL names another database than the command's."
            )
        yield database


def _encoder(version: str, kind: str, device: str | None) -> PromptedEncoder:
    """The encoder that this process keeps."""
    # Two threads would load two.
    with _encoder_lock:
        return _kept_encoder(version, kind, device)


@lru_cache(maxsize=1)
def _kept_encoder(version: str, kind: str, device: str | None) -> PromptedEncoder:
    return build_encoder(read_settings(ScriptSettings), version, kind, device=device)
