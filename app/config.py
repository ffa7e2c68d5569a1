"""Settings, read once from the environment and `.env`.

No other module reads environment variables.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from app.errors import ConfigError
from app.query.boosts import Boosts
from app.query.folder import with_home
from app.query.interleaving import Alternative, read_alternative
from app.query.model_source import DEFAULT_MODEL, ModelSource
from app.query.variety import Variety, read_max_per

MODELS = Path("models")

# 16 random characters of base64 are 96 bits: beyond guessing over a network.
MIN_KEY_LENGTH = 16
ORIGIN = re.compile(r"https?://[^/\s,*]+|\*")

# Columns of the jobs table that the service itself reads and writes.
OWN_COLUMNS = frozenset({"job_id", "skills", "embedding", "embedding_version"})
MAX_COLUMNS = 32

Count = Annotated[int, Field(ge=1)]
FolderPath = Annotated[Path, AfterValidator(with_home)]


def _folder_of_model(others: Mapping[str, Any]) -> Path:
    return MODELS / ModelSource.parse(others["model"]).name


class ModelSettings(BaseModel):
    """The embedding model and the folder of its files."""

    model_config = ConfigDict(frozen=True)

    model: str = DEFAULT_MODEL
    model_dir: FolderPath = Field(default_factory=_folder_of_model)

    @property
    def model_source(self) -> ModelSource:
        """The parsed value of MODEL."""
        return ModelSource.parse(self.model)

    def folder_of(self, version: str) -> Path:
        """The folder of a model that a database may be switched to."""
        if version == self.model_source.name:
            return self.model_dir
        return self.model_dir.parent / version

    @field_validator("model")
    @classmethod
    def _model_is_a_name(cls, value: str) -> str:
        ModelSource.parse(value)
        return value


class ScriptSettings(ModelSettings):
    """Settings of the scripts: the database, its tables and the model."""

    database_url: SecretStr
    # Table names as in SQL, with or without a schema; empty: skill_job1 and users.
    jobs_table: str = ""
    users_table: str = ""
    job_columns: str = ""
    # A column of the jobs table; empty: a job has the skills of its text alone.
    title_column: str = ""

    @property
    def filterable_columns(self) -> Sequence[str]:
        """Columns of the jobs table that answers show and filters accept."""
        return _items(self.job_columns)

    @field_validator("job_columns", "title_column")
    @classmethod
    def _columns_are_others(cls, value: str) -> str:
        names = _items(value)
        if taken := [name for name in names if name in OWN_COLUMNS]:
            raise ValueError(f"{taken[0]} is a column of the service itself")
        if len(names) > MAX_COLUMNS or len(set(names)) < len(names):
            raise ValueError(f"name each column once, {MAX_COLUMNS} at most")
        return value


class Settings(ScriptSettings):
    """Settings of the service. Each field is the variable of that name in capitals."""

    port: int = Field(8000, ge=1, le=65535)
    host: str = "127.0.0.1"
    db_pool_size: Count = 4
    scan_chunk_rows: int = Field(1000, ge=16, le=100_000)
    max_top_n: int = Field(100, ge=1, le=1000)
    request_timeout_s: float = Field(10.0, gt=0, le=300)
    forwarded_allow_ips: str = "127.0.0.1"
    keep_alive_s: float = Field(75.0, ge=1, le=3600)
    max_connections: Count = 512
    max_queue_size: Count = 256
    scan_workers: int = Field(1, ge=1, le=8)
    max_batch_size: int = Field(64, ge=1, le=1024)
    query_cache_size: int = Field(1000, ge=0, le=100_000)
    embed_in_service: bool = False
    # Idle OpenBLAS threads spin: with a second thread, encoding took ten times as long
    # on a busy machine, and six times as long on half a processor.
    blas_threads: int = Field(1, ge=1, le=64)
    api_keys: SecretStr = SecretStr("")
    rate_limit_per_minute: int = Field(600, ge=0, le=1_000_000)
    cors_origins: str = ""
    docs: bool = True
    tracing: bool = False
    alert_webhook_secret: SecretStr = SecretStr("")
    search_backend: Literal["stream", "replica", "pgvector"] = "stream"
    # `ranking.registry` has the names and checks the value.
    rank_by: str = "similarity"
    # Columns in JOB_COLUMNS.
    freshness_column: str = ""
    half_life_days: float = Field(30.0, ge=0.1, le=36_500)
    boost_column: str = ""
    expiry_column: str = ""
    # COLUMN:NUMBER, …
    max_per: str = ""
    diversity: float = Field(0.0, ge=0, le=1)
    # How long shown jobs are known; 0: they are not stored.
    exposure_days: int = Field(0, ge=0, le=400)
    # OPTION:VALUE, the setting B of a comparison with the settings as they are.
    interleave: str = ""
    skill_cache_dir: FolderPath = Path(".cache/skills")
    # SEARCH_BACKEND=replica keeps its files in the folder `replica` in it.
    cache_dir: FolderPath = Path(".cache")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def page_rank_by(self) -> str:
        """The ranking that the page starts with: people type there."""
        return self.rank_by if "rank_by" in self.model_fields_set else "hybrid"

    @property
    def boosts(self) -> Boosts:
        """The default boosts of requests."""
        return Boosts(
            self.freshness_column or None,
            self.half_life_days,
            self.boost_column or None,
        )

    @property
    def expires(self) -> str | None:
        """The default column of dates after which jobs are left out."""
        return self.expiry_column or None

    @property
    def variety(self) -> Variety:
        """The default variety of the jobs of a request."""
        return Variety(read_max_per(self.max_per), self.diversity)

    @property
    def alternative(self) -> Alternative | None:
        """The setting that answers compare with the others, if any."""
        return read_alternative(self.interleave)

    @property
    def keys(self) -> Sequence[str]:
        """The API keys. Without any the service is open."""
        return _items(self.api_keys.get_secret_value())

    @property
    def origins(self) -> Sequence[str]:
        """Allowed CORS origins. Without any CORS is off."""
        return _items(self.cors_origins)

    @field_validator("api_keys")
    @classmethod
    def _keys_are_long(cls, value: SecretStr) -> SecretStr:
        if any(len(k) < MIN_KEY_LENGTH for k in _items(value.get_secret_value())):
            raise ValueError(
                f"each key needs at least {MIN_KEY_LENGTH} characters; commas"
                " separate keys"
            )
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_origins(cls, value: str) -> str:
        if not all(ORIGIN.fullmatch(origin) for origin in _items(value)):
            raise ValueError(
                "each origin is a scheme and a host, for example https://example.org"
            )
        return value

    @field_validator("freshness_column", "boost_column", "expiry_column")
    @classmethod
    def _column_is_offered(cls, value: str, info: ValidationInfo) -> str:
        if value and value not in _items(info.data.get("job_columns", "")):
            raise ValueError("it names a column that JOB_COLUMNS does not name")
        return value

    @field_validator("max_per")
    @classmethod
    def _columns_have_limits(cls, value: str, info: ValidationInfo) -> str:
        offered = _items(info.data.get("job_columns", ""))
        if not dict(read_max_per(value)).keys() <= set(offered):
            raise ValueError("it names a column that JOB_COLUMNS does not name")
        return value

    @field_validator("interleave")
    @classmethod
    def _comparison_is_stored(cls, value: str, info: ValidationInfo) -> str:
        if read_alternative(value) and not info.data.get("exposure_days"):
            raise ValueError("it needs EXPOSURE_DAYS, to know which jobs were shown")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_small_letters(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


def _items(text: str) -> Sequence[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


SomeSettings = TypeVar("SomeSettings", bound=ModelSettings)


def read_settings(kind: type[SomeSettings]) -> SomeSettings:
    """Read and validate the settings. An empty variable counts as unset.

    Raises ConfigError, whose one sentence names each invalid setting.
    """
    environment = read_environment()
    values = {name: environment.get(name.upper()) for name in kind.model_fields}
    for name, value in values.items():
        # Python keeps other bytes of the environment as lone surrogates.
        if value and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ConfigError(
                f"The environment is not usable: {name.upper()}: it is not UTF-8."
            )
    try:
        return kind.model_validate({n: value for n, value in values.items() if value})
    except ValidationError as error:
        # Names and reasons only: a value may be a secret.
        faults = "; ".join(
            f"{str(fault['loc'][0]).upper()}: {_reason(fault['type'], fault['msg'])}"
            for fault in error.errors(include_input=False, include_url=False)
            # A consequence of another error: an invalid MODEL leaves no MODEL_DIR.
            if fault["type"] != "default_factory_not_called"
        )
        raise ConfigError(f"The environment is not usable: {faults}.") from None


def read_environment() -> Mapping[str, str]:
    """The environment variables, with those of the file `.env` as defaults.

    The file is in the working directory unless ENV_FILE names another one. Raises
    ConfigError when it cannot be read.
    """
    env_file = os.environ.get("ENV_FILE")
    file = Path(os.path.expanduser(env_file or ".env"))  # noqa: PTH111
    if env_file and not file.exists():
        raise ConfigError(f"ENV_FILE names {file}, which does not exist.")
    if env_file and file.is_dir():
        raise ConfigError(f"ENV_FILE names {file}, which is a folder.")
    if not (file.is_file() or file.is_fifo()):
        return os.environ
    # Imported on demand: it takes 0.6 MB and 10 ms.
    from dotenv import dotenv_values  # noqa: PLC0415

    try:
        values = dotenv_values(file, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"The file {file} cannot be read: {reason}.") from None
    return {n: v for n, v in values.items() if v is not None} | os.environ


def _reason(kind: str, message: str) -> str:
    if kind == "missing":
        return "it is required, for example postgresql://user:password@host:5432/name"
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
