"""Weighted sums by BLAS: right, and without a warning of its own."""

import ctypes

import numpy as np
import pytest
from numpy.typing import NDArray

from app.ranking.skills.scoring import approximate_sums

# A signalling NaN: any arithmetic with it sets the flag of an invalid operation.
SIGNALLING = 0x7FA00000
WORDS = 8192


class Rubbish(ctypes.Structure):
    """An argument that is passed by value, on the stack."""

    _fields_ = (("words", ctypes.c_uint32 * WORDS),)


def leave_rubbish_on_the_stack() -> None:
    function = ctypes.CDLL(None).getpid
    function.argtypes = [Rubbish]
    function(Rubbish((ctypes.c_uint32 * WORDS)(*[SIGNALLING] * WORDS)))


def random(rows: int, columns: int) -> NDArray[np.float32]:
    values = np.random.default_rng(rows * columns).random((rows, columns))
    return values.astype(np.float32)


# Each number of columns up to 8 has a kernel of its own, for 16, 8, 4, 2 and 1 rows.
@pytest.mark.parametrize("columns", range(1, 10))
@pytest.mark.parametrize("queries", [1, 2])
def test_a_sum_of_finite_values_gives_no_warning(columns: int, queries: int) -> None:
    for rows in range(1, 33):
        weights, values = random(queries, columns), random(rows, columns)
        leave_rubbish_on_the_stack()
        sums = approximate_sums(weights, values)
        exact = weights.astype(np.float64) @ values.astype(np.float64).T
        assert np.abs(sums - exact).max() < 1e-5
