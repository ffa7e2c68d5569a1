"""The errors of the driver as those of the service. Only `database` catches them."""

from collections.abc import Mapping, Sequence

import psycopg2
from psycopg2 import errorcodes

from app.errors import (
    AppError,
    ConfigError,
    ConnectionLostError,
    DatabaseUnavailableError,
    DeadlineExceededError,
    ModelSwitchedError,
    ReadOnlyError,
    RowRejectedError,
    SchemaError,
    UntranslatableError,
    command_line,
)

# Transient errors. By SQLSTATE class: credentials that a pooler has not received yet,
# conflicts with other transactions, insufficient memory, disk or connections. Of class
# 55 (object not in the required state) only those that last as long as another lock.
TRANSIENT_CLASSES = frozenset({"28", "40", "53"})
TRANSIENT = frozenset({errorcodes.OBJECT_IN_USE, errorcodes.LOCK_NOT_AVAILABLE})
PERMANENT = frozenset(
    {
        errorcodes.TRANSACTION_INTEGRITY_CONSTRAINT_VIOLATION,
        errorcodes.CONFIGURATION_LIMIT_EXCEEDED,
    }
)

# What migrations create. The schema is what a new database lacks first.
MISSING: Mapping[str, str] = {
    errorcodes.INVALID_SCHEMA_NAME: "schema",
    errorcodes.UNDEFINED_TABLE: "table",
    errorcodes.UNDEFINED_COLUMN: "column",
}

# What functions of migration 0002 raise.
OF_MODELS: Mapping[str, tuple[type[AppError], str]] = {
    "RM001": (ModelSwitchedError, "The model was switched just now; ask again."),
    "RM002": (
        ConfigError,
        (
            "The embeddings of this model here have another dimension: another model"
            " had its name; fetch this one into a folder of another name."
        ),
    ),
}


def is_lost(error: psycopg2.Error, *, broken: bool) -> bool:
    """Whether an error concerns the connection, not the statement."""
    code = error.pgcode
    if code == errorcodes.QUERY_CANCELED:
        return broken
    return broken or not code or code[:2] in ("08", "57")


def translate(
    error: psycopg2.Error, *, broken: bool, is_standby: bool = False
) -> AppError:
    """The AppError for an error of a statement; `is_standby`: of a server that cannot
    begin a transaction that writes.
    """
    code = error.pgcode or ""
    if code in OF_MODELS:
        kind, sentence = OF_MODELS[code]
        return kind(sentence)
    if code == errorcodes.QUERY_CANCELED:
        return DeadlineExceededError(
            "The database cancelled the query at its statement timeout;"
            " try again in a moment."
        )
    if code in MISSING:
        return SchemaError(
            f"The database lacks a {MISSING[code]} that the service needs;"
            f" run `{command_line('migrate')}`."
        )
    if code == errorcodes.INSUFFICIENT_PRIVILEGE:
        return SchemaError(
            "The database role lacks a privilege, or row-level security hides rows from"
            f" it; run `{command_line('migrate')}` and see docs/database.md on roles."
        )
    if is_lost(error, broken=broken):
        return ConnectionLostError(
            "The database closed the connection during the request;"
            " try again in a moment."
        )
    return _rejected(code, is_standby=is_standby)


def _rejected(code: str, *, is_standby: bool) -> AppError:
    if is_standby and code == errorcodes.FEATURE_NOT_SUPPORTED:
        return ReadOnlyError(
            "The database is a standby, which takes no changes; name its primary in"
            " DATABASE_URL, too."
        )
    if code in TRANSIENT or (code[:2] in TRANSIENT_CLASSES and code not in PERMANENT):
        return DatabaseUnavailableError(
            f"The database could not run the query now (SQLSTATE {code});"
            " try again in a moment."
        )
    if code == errorcodes.CHARACTER_NOT_IN_REPERTOIRE:
        return SchemaError(NOT_UTF8)
    if code == errorcodes.UNTRANSLATABLE_CHARACTER:
        return UntranslatableError("The database's encoding lacks a character of it.")
    blames_row = code[:2] in ROW_FAULTS or code == errorcodes.RAISE_EXCEPTION
    kind = RowRejectedError if blames_row else AppError
    return kind(f"The database rejected a statement (SQLSTATE {code}).")


# SQLSTATE classes caused by a row's data: data exceptions, constraints, view checks.
# Other errors, for example a full disk, would occur with any row.
ROW_FAULTS = ("22", "23", "44")


NOT_UTF8 = (
    "The database holds a text that is not UTF-8, which its encoding SQL_ASCII allows;"
    " correct it, or restore a dump into a database with the encoding UTF8."
)


def translate_refusal(error: psycopg2.Error) -> AppError:
    """The AppError for a failed connection attempt.

    libpq reports no SQLSTATE here, so this searches its English message. The message
    names host, user and address, and stays in the exception's cause.
    """
    text = str(error)
    for phrases, sentence in REFUSALS:
        if any(phrase in text for phrase in phrases):
            return DatabaseUnavailableError(sentence)
    return DatabaseUnavailableError(
        "The database cannot be reached; try again in a moment."
    )


REFUSALS: Sequence[tuple[Sequence[str], str]] = (
    (
        ("authentication failed", "no password supplied", "no pg_hba.conf entry"),
        "The database refused the service's credentials; check DATABASE_URL.",
    ),
    (
        ("too many", "remaining connection slots", "no more connections", "max client"),
        "The database has no free connection; lower DB_POOL_SIZE or raise its limit.",
    ),
    (
        ("does not exist",),
        "The database or role named in DATABASE_URL does not exist.",
    ),
)
