"""Numbers without repeats are those of NumPy."""

import numpy as np
import pytest

from app.ranking.top_k.distinct import distinct


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint64])
@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (500,), (20, 30)])
def test_it_equals_numpys(dtype: type[np.integer], shape: tuple[int, ...]) -> None:
    numbers = np.random.default_rng(1).integers(0, 90, shape).astype(dtype)
    before = numbers.copy()
    found = distinct(numbers)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.unique(numbers))
    np.testing.assert_array_equal(numbers, before)
