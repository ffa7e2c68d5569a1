"""A misbehaving encoder: only the bad rows are rejected."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from app.backfill.isolation import TRIES_ALONE, Encoded, encode_rows
from app.errors import ModelUnavailableError
from app.storage.claims import TextRow
from tests.support.encoders import HashEncoder, direction

ROWS = [TextRow(n, text) for n, text in enumerate(["python", "bad", "java", "sql"])]
SOUND = [row for row in ROWS if row.skills != "bad"]

Matrix = NDArray[np.float32]


class Misbehaving(HashEncoder):
    """An encoder whose `spoil` changes the embeddings of a batch with a bad text."""

    def __init__(self, spoil: Callable[[Matrix, int], Matrix]) -> None:
        super().__init__()
        self._spoil = spoil
        self.calls: list[Sequence[str]] = []

    def encode(self, texts: Sequence[str]) -> Matrix:
        self.calls.append(tuple(texts))
        embeddings = super().encode(texts)
        if "bad" in texts:
            return self._spoil(embeddings, list(texts).index("bad"))
        return embeddings


def with_value(value: float) -> Callable[[Matrix, int], Matrix]:
    def spoil(embeddings: Matrix, place: int) -> Matrix:
        embeddings[place, 7] = value
        return embeddings

    return spoil


def raising(error: Exception) -> Callable[[Matrix, int], Matrix]:
    def spoil(_embeddings: Matrix, _place: int) -> Matrix:
        raise error

    return spoil


def check_sound(encoded: Encoded, rows: Sequence[TextRow]) -> None:
    assert encoded.rows == list(rows)
    for row, embedding in zip(encoded.rows, encoded.embeddings, strict=True):
        assert embedding is not None
        assert embedding.shape == (384,)
        assert (embedding == direction(row.skills)).all()


def test_rows_without_a_fault_are_encoded_together_once() -> None:
    encoder = Misbehaving(with_value(np.nan))
    encoded = encode_rows(encoder, SOUND)
    check_sound(encoded, SOUND)
    assert encoded.refusals == []
    assert encoder.calls == [("python", "java", "sql")]


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (with_value(np.nan), "FloatingPointError"),
        (with_value(np.inf), "FloatingPointError"),
        (with_value(-np.inf), "FloatingPointError"),
        # one row too few, and one too many
        (lambda rows, place: np.delete(rows, place, axis=0), "ValueError"),
        (lambda rows, _: np.concatenate([rows, rows[:1]]), "ValueError"),
        # another model's dimension
        (lambda rows, _: rows[:, :128], "ValueError"),
        (lambda rows, _: rows[0], "ValueError"),
        (raising(RuntimeError("it quotes 'a secret text'")), "RuntimeError"),
        (raising(MemoryError()), "MemoryError"),
    ],
    ids=[
        "nan", "inf", "-inf", "too few", "too many", "narrow", "flat",
        "raises", "memory",
    ],
)  # fmt: skip
def test_one_bad_row_is_refused_and_stops_none_of_the_others(
    spoil: Callable[[Matrix, int], Matrix], error: str
) -> None:
    encoder = Misbehaving(spoil)
    encoded = encode_rows(encoder, ROWS)
    check_sound(encoded, SOUND)
    (refusal,) = encoded.refusals
    assert refusal.row == ROWS[1]
    # Never the message, which may quote the text.
    assert refusal.reason == f"The encoder failed with {error}."
    assert encoder.calls.count(("bad",)) == TRIES_ALONE


def test_a_row_that_fails_once_alone_gets_another_chance() -> None:
    failures = iter([True, True])

    def spoil(embeddings: Matrix, _place: int) -> Matrix:
        if next(failures, False):
            raise MemoryError
        return embeddings

    encoded = encode_rows(Misbehaving(spoil), ROWS)
    check_sound(encoded, ROWS)
    assert encoded.refusals == []


def test_a_model_that_is_absent_is_no_fault_of_a_row() -> None:
    absent = ModelUnavailableError("Run `make model`.")
    encoder = Misbehaving(raising(absent))
    with pytest.raises(ModelUnavailableError):
        encode_rows(encoder, ROWS)
    assert len(encoder.calls) == 1


def test_a_model_that_disappears_during_encoding_is_no_fault_of_a_row() -> None:
    errors = iter([RuntimeError(), ModelUnavailableError("Run `make model`.")])

    def spoil(_embeddings: Matrix, _place: int) -> Matrix:
        raise next(errors)

    with pytest.raises(ModelUnavailableError):
        encode_rows(Misbehaving(spoil), ROWS[1:])


def test_no_rows_are_no_work() -> None:
    encoded = encode_rows(HashEncoder(), [])
    assert (encoded.rows, encoded.embeddings, encoded.refusals) == ([], [], [])
