"""Embeddings to bytes and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.storage.codec import (
    from_bytes,
    int32_from_bytes,
    int32_to_bytes,
    points_somewhere,
    squared_norms,
    to_bytes,
)

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(arrays(np.float32, st.integers(1, 1024), elements=FINITE))
def test_what_goes_in_comes_out(embedding: np.ndarray) -> None:
    assert to_bytes(embedding) == embedding.astype("<f4").tobytes()
    np.testing.assert_array_equal(from_bytes(to_bytes(embedding)), embedding)


def test_a_big_endian_array_is_written_little_endian() -> None:
    values = np.arange(384, dtype=np.float32)
    assert to_bytes(values.astype(">f4")) == values.astype("<f4").tobytes()


@pytest.mark.parametrize("length", [0, 1, 1535, 1537])
def test_f23_another_length_is_refused_with_its_number(length: int) -> None:
    with pytest.raises(ValueError, match=f"a multiple of 4 bytes, not {length}"):
        from_bytes(bytes(length))


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one axis, not the shape \(1, 384\)"):
        to_bytes(np.zeros((1, 384)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_f24_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        to_bytes(np.full(384, bad))


def test_whole_numbers_are_four_bytes_each_little_endian() -> None:
    numbers = [0, 1, -1, 2**31 - 1, -(2**31)]
    data = int32_to_bytes(numbers)
    assert data == b"".join(n.to_bytes(4, "little", signed=True) for n in numbers)
    assert int32_from_bytes(data).tolist() == numbers
    assert int32_from_bytes(memoryview(data)).dtype == np.int32
    assert int32_to_bytes([]) == b""
    with pytest.raises(ValueError, match="multiple of element size"):
        int32_from_bytes(data[:-1])


def test_a_vector_points_somewhere_while_its_length_can_be_told() -> None:
    rows = np.zeros((6, 384), np.float32)
    rows[1:, 7] = [1.1e-15, 9e-16, 3e38, np.nan, -2]
    squared = squared_norms(rows)
    assert squared.dtype == np.float32
    assert squared[5] == 4
    assert points_somewhere(squared).tolist() == [
        False,  # the zero vector
        True,
        False,  # its square is lost to underflow
        False,  # nor beyond what float32 holds
        False,
        True,
    ]
    assert points_somewhere(np.array([1e-30], np.float32)).tolist() == [True]
