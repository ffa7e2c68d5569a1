"""The settings, read once from the environment. Nothing else reads it."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.errors import ConfigError

MODEL_DIR = Path("models/all-MiniLM-L6-v2")

Count = Annotated[int, Field(ge=1)]


class ScriptSettings(BaseSettings):
    """What the scripts need: the database and the model."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True
    )

    database_url: SecretStr
    model_dir: Path = MODEL_DIR


class Settings(ScriptSettings):
    """One field per environment variable of the same name in capitals."""

    port: int = Field(8000, ge=1, le=65535)
    host: str = "127.0.0.1"
    db_pool_size: Count = 4
    batch_rows: int = Field(1000, ge=16, le=100_000)
    max_top_n: int = Field(100, ge=1, le=1000)
    request_timeout_s: float = Field(10.0, gt=0, le=300)
    max_waiting: Count = 256
    concurrent_passes: int = Field(1, ge=1, le=8)
    max_pass_size: int = Field(64, ge=1, le=1024)
    query_cache_size: int = Field(1000, ge=0, le=100_000)
    blas_threads: int = Field(0, ge=0, le=64)
    log_level: Literal["debug", "info", "warning", "error"] = "info"


SomeSettings = TypeVar("SomeSettings", bound=ScriptSettings)


def read_settings(kind: type[SomeSettings]) -> SomeSettings:
    """Raises ConfigError whose one sentence names each setting at fault."""
    try:
        return kind()
    except ValidationError as error:
        # Only names and reasons: a value may be a secret.
        faults = "; ".join(
            f"{str(fault['loc'][0]).upper()}: {_reason(fault['type'], fault['msg'])}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise ConfigError(f"The environment is not usable: {faults}.") from None


def _reason(kind: str, message: str) -> str:
    if kind == "missing":
        return "it is required, for example postgresql://user:password@host:5432/name"
    return message[:1].lower() + message[1:]
