"""Embeddings to bytes and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.storage.codec import from_bytes, to_bytes

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(arrays(np.float32, 384, elements=FINITE))
def test_what_goes_in_comes_out(embedding: np.ndarray) -> None:
    assert to_bytes(embedding) == embedding.astype("<f4").tobytes()
    np.testing.assert_array_equal(from_bytes(to_bytes(embedding)), embedding)


def test_a_big_endian_array_is_written_little_endian() -> None:
    values = np.arange(384, dtype=np.float32)
    assert to_bytes(values.astype(">f4")) == values.astype("<f4").tobytes()


@pytest.mark.parametrize("length", [0, 1535, 1537, 3072])
def test_f23_another_length_is_refused_with_its_number(length: int) -> None:
    with pytest.raises(ValueError, match=f"has 1536 bytes, not {length}"):
        from_bytes(bytes(length))


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(384,\), not \(1, 384\)"):
        to_bytes(np.zeros((1, 384)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_f24_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        to_bytes(np.full(384, bad))
