"""The error tree. Each class carries the HTTP status that the edge answers with.

Only `app.api` knows HTTP; a status here is a number that it reads. `str(error)` is
one sentence for a person: it names the thing and the number, never a secret, a
connection string or a user's text.
"""

from typing import ClassVar


class AppError(Exception):
    """Base of every error of ours."""

    status: ClassVar[int] = 500


class ConfigError(AppError):
    """A setting is missing or malformed: start-up stops and names it."""


class InvalidInputError(AppError):
    """The request asks for something that cannot be answered as put."""

    status = 422


class RowRejectedError(AppError):
    """The database refuses a value of one row: a constraint or a trigger says no."""


class UserNotFoundError(AppError):
    """No row in `users` has this id."""

    status = 404


class JobNotFoundError(AppError):
    """No row in `skill_job1` has this id."""

    status = 404


class RateLimitedError(AppError):
    """The caller's rate is used up for `retry_after_s` seconds."""

    status = 429

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            f"This key has used up its requests; try again in {retry_after_s} s."
        )
        self.retry_after_s = retry_after_s


class UnavailableError(AppError):
    """The answer cannot be given now; the same request may succeed later."""

    status = 503
    retry_after_s: ClassVar[int] = 1


class DatabaseUnavailableError(UnavailableError):
    """The database is away, refuses, or broke off; nothing partial was answered."""


class ConnectionLostError(DatabaseUnavailableError):
    """The connection broke while in use: worth one retry on another one."""


class CommitUnknownError(DatabaseUnavailableError):
    """The connection broke during a COMMIT, and nobody could be asked what it did."""


class DeadlineExceededError(UnavailableError):
    """The request's deadline passed before its answer was ready."""


class TooManyWaitingError(UnavailableError):
    """The line of waiting requests is full."""


class SchemaError(UnavailableError):
    """A table, column or right is missing; the message names the mending command."""

    retry_after_s = 30


class ModelUnavailableError(UnavailableError):
    """Model files are absent or do not match; the message names `make model`."""

    retry_after_s = 30


class SkillCacheError(UnavailableError):
    """The local files of the vocabulary cannot be written; the message says where."""

    retry_after_s = 30
