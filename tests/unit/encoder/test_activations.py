"""`app.encoder.activations` against their definitions, in double precision."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from app.encoder.activations import ACTIVATIONS, double_gelu

# 7.1.28 promises 3e-7 in erf; float32 rounding of values up to 6 adds as much again.
TOLERANCE = 1e-6


def gelu(x: float) -> float:
    return x * 0.5 * math.erfc(-x / math.sqrt(2))


def test_it_is_the_exact_gelu_and_not_the_tanh_approximation() -> None:
    x = np.linspace(-6, 6, 100_003, dtype=np.float32)
    expected = np.array([2 * gelu(float(value)) for value in x])
    double_gelu(x)
    # The tanh approximation is off by up to 5e-4.
    assert np.abs(x - expected).max() < 2 * TOLERANCE


@pytest.mark.parametrize("size", [1, 32_767, 32_768, 32_769, 100_000])
def test_every_number_of_a_large_array_is_replaced(size: int) -> None:
    x = np.ones(size, np.float32)
    double_gelu(x)
    assert np.abs(x - 2 * gelu(1)).max() < TOLERANCE


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (0.0, 0.0),
        (30.0, 60.0),  # the power overflows: no warning, and erfc is 0
        (-30.0, 0.0),
        (3e38, math.inf),  # even the largest float32 gives no NaN
        (-3e38, 0.0),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_the_far_ends_are_the_identity_and_zero(x: float, expected: float) -> None:
    value = np.array([x], np.float32)
    double_gelu(value)
    assert value[0] == expected


def test_a_large_activation_gives_no_warning() -> None:
    double_gelu(np.array([-1e4, 1e4], np.float32))


def test_a_matrix_is_changed_in_place() -> None:
    x = np.full((3, 5), -1, np.float32)
    double_gelu(x)
    np.testing.assert_allclose(x, 2 * gelu(-1), atol=TOLERANCE)


def tanh_gelu(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("gelu", gelu),
        ("gelu_new", tanh_gelu),
        ("gelu_pytorch_tanh", tanh_gelu),
        ("relu", lambda x: max(x, 0.0)),
    ],
)
def test_each_activation_times_its_factor_is_the_function(
    name: str, function: Callable[[float], float]
) -> None:
    x = np.linspace(-12, 12, 50_001, dtype=np.float32)
    expected = np.array([function(float(value)) for value in x])
    activation = ACTIVATIONS[name]
    activation.apply(x)
    np.testing.assert_allclose(x * activation.factor, expected, atol=2 * TOLERANCE)
