"""F119: transient errors of the database, which are retried."""

import threading

import pytest
from psycopg2 import errors

from app.backfill.patience import retry_with_backoff
from app.errors import AppError, DatabaseUnavailableError, SchemaError
from app.storage.connection.driver_errors import translate

TRANSIENT = ("40001", "40P01", "53100", "53200", "53300", "55006", "55P03", "28P01")
PERMANENT = (
    "55000", "55P02", "55P04", "42601", "42883", "42704", "42P07", "42804", "42P17",
    "40002", "53400", "0A000", "25006", "XX000", "58P01", "54000",
)  # fmt: skip
MISSING = ("3F000", "42P01", "42703", "42501")


def tries_of(code: str) -> tuple[AppError, int]:
    """The final error, and the number of attempts."""
    tries = 0

    def action() -> None:
        nonlocal tries
        tries += 1
        error = errors.lookup(code)()
        error.__setstate__({"pgcode": code})  # type: ignore[no-untyped-call]
        raise translate(error, broken=False)

    with pytest.raises(AppError) as raised:
        retry_with_backoff(action, stop=threading.Event(), patience_s=0.5)
    return raised.value, tries


@pytest.mark.parametrize("code", TRANSIENT)
def test_f119_a_transient_error_is_retried(code: str) -> None:
    error, tries = tries_of(code)
    assert isinstance(error, DatabaseUnavailableError)
    assert "try again in a moment" in str(error)
    assert tries > 1


@pytest.mark.parametrize("code", PERMANENT)
def test_f119_an_error_that_lasts_is_neither_called_passing_nor_tried_again(
    code: str,
) -> None:
    error, tries = tries_of(code)
    assert str(error) == f"The database rejected a statement (SQLSTATE {code})."
    assert not isinstance(error, DatabaseUnavailableError)
    assert tries == 1


@pytest.mark.parametrize("code", MISSING)
def test_f119_a_permanent_error_is_named_and_not_retried(code: str) -> None:
    error, tries = tries_of(code)
    assert isinstance(error, SchemaError)
    assert "run `python scripts/migrate.py`" in str(error)
    assert tries == 1
