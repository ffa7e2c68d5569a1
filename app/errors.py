"""The error tree. Each class carries the HTTP status of its response.

Only `app.api` knows HTTP; it reads `status` as a plain number. `str(error)` is one
sentence for a person: it names the thing and the number, never a secret, a connection
string or a user's text. `command_line` names the commands that repair it.
"""

from pathlib import Path
from typing import ClassVar

PROGRAM = "job-recommender"
SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
# The scripts that are not named like their command.
SCRIPT_NAMES = {
    "embed": "generate_embeddings",
    "import": "import_csv",
    "model": "fetch_model",
    "try": "run_local",
}


def command_line(name: str) -> str:
    """How the command `name` is started here, without options.

    `job-recommender migrate` where the package is installed, and
    `python scripts/migrate.py` in a checkout, which need not be installed.
    """
    script = SCRIPT_NAMES.get(name, name.replace("-", "_"))
    if (SCRIPTS / f"{script}.py").is_file():
        return f"python scripts/{script}.py"
    return f"{PROGRAM} {name}"


class AppError(Exception):
    """Base class of the service's errors."""

    status: ClassVar[int] = 500


class ConfigError(AppError):
    """A missing or invalid setting. It aborts start-up; the message names it."""


class InvalidInputError(AppError):
    """The request is not valid."""

    status = 422


class RowRejectedError(AppError):
    """A constraint or a trigger of the database rejects one row."""


class UntranslatableError(RowRejectedError):
    """The encoding of the database lacks a character of what was asked for."""

    status = 422


class UserNotFoundError(AppError):
    """No row in `users` has this id."""

    status = 404


class JobNotFoundError(AppError):
    """No row in `skill_job1` has this id."""

    status = 404


class RateLimitedError(AppError):
    """The API key has reached its rate limit for `retry_after_s` seconds."""

    status = 429

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            f"This API key has reached its rate limit; try again in {retry_after_s} s."
        )
        self.retry_after_s = retry_after_s


class UnavailableError(AppError):
    """The service cannot answer now; the same request may succeed later."""

    status = 503
    retry_after_s: ClassVar[int] = 1


class DatabaseUnavailableError(UnavailableError):
    """The database is unreachable, refuses or broke off. No partial answer is sent."""


class ConnectionLostError(DatabaseUnavailableError):
    """The connection broke while in use; retry once on another one."""


class CommitUnknownError(DatabaseUnavailableError):
    """The connection broke during COMMIT, and the outcome could not be checked."""


class DeadlineExceededError(UnavailableError):
    """The request's deadline passed before its answer was ready."""


class QueueFullError(UnavailableError):
    """The queue of waiting requests is full."""


class SchemaError(UnavailableError):
    """A table, column or privilege is missing; the message names the command to run."""

    retry_after_s = 30


class ReadOnlyError(UnavailableError):
    """The database takes no changes; the message names the setting."""

    retry_after_s = 30


class ModelUnavailableError(UnavailableError):
    """Model files are absent or do not match."""

    retry_after_s = 30

    @classmethod
    def at(cls, path: Path, fault: str) -> "ModelUnavailableError":
        """The file, its fault, and the command that downloads the model."""
        return cls(f"{path} {fault}: run `{command_line('model')}`.")


class ModelSwitchedError(UnavailableError):
    """The database answers by another model since; ask again with that one."""


class SkillCacheError(UnavailableError):
    """The vocabulary's local files cannot be written; the message names the folder."""

    retry_after_s = 30
