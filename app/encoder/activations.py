"""Activation functions of the feed-forward layers, in place: GELU and ReLU."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.28:
# erfc(z) = (1 + a1 z + ... + a6 z^6)^-16 for z >= 0, off by at most 3e-7.
# Highest power first, with the factor of z = |x| / sqrt(2) included. Zero-dimensional
# arrays: an operation with a NumPy scalar costs half a microsecond more, a tenth of a
# short text's GELU.
_COEFFICIENTS = [
    np.array(a / 2 ** (power / 2), np.float32)
    for power, a in (
        (6, 0.0000430638),
        (5, 0.0002765672),
        (4, 0.0001520143),
        (3, 0.0092705272),
        (2, 0.0422820123),
        (1, 0.0705230784),
        (0, 1.0),
    )
]
_BLOCK = 32_768

# Hendrycks and Gimpel, Gaussian Error Linear Units (2016), the tanh approximation.
_TANH_SCALE = np.float32((2 / np.pi) ** 0.5)
_TANH_CUBE = np.float32(0.044715)


@dataclass(frozen=True)
class Activation:
    """An activation function as `factor` times `apply`, which works in place.

    The caller multiplies the next product by `factor`, because that is four times
    smaller. `apply` needs a contiguous array.
    """

    apply: Callable[[NDArray[np.float32]], None]
    factor: np.float32


def double_gelu(x: NDArray[np.float32]) -> None:
    """Replace every x by 2 * GELU(x), exact to float32 rounding; x is contiguous.

    2 GELU(x) = x + |x| erf(|x| / sqrt 2) = x + |x| - |x| erfc(|x| / sqrt 2). NumPy's
    exp costs as much as 14 multiplications: hence the polynomial.
    """
    flat = x.reshape(-1)
    magnitude = np.empty(min(_BLOCK, flat.size), np.float32)
    power = np.empty_like(magnitude)
    # For |x| > 20 the power overflows to infinity, which correctly gives erfc = 0.
    with np.errstate(over="ignore"):
        for start in range(0, flat.size, _BLOCK):
            block = flat[start : start + _BLOCK]
            _double_gelu_block(block, magnitude[: block.size], power[: block.size])


def _double_gelu_block(
    x: NDArray[np.float32], magnitude: NDArray[np.float32], p: NDArray[np.float32]
) -> None:
    """One block: its three arrays of 128 KB stay in the second-level cache."""
    np.abs(x, out=magnitude)
    np.multiply(magnitude, _COEFFICIENTS[0], out=p)
    for coefficient in _COEFFICIENTS[1:-1]:
        p += coefficient
        p *= magnitude
    p += _COEFFICIENTS[-1]
    for _ in range(4):
        p *= p
    np.divide(magnitude, p, out=p)
    x += magnitude
    x -= p


def double_tanh_gelu(x: NDArray[np.float32]) -> None:
    """Replace every x by x * (1 + tanh(...)), twice the tanh approximation of GELU."""
    inner = x * x
    inner *= _TANH_CUBE
    inner += np.float32(1)
    inner *= x
    inner *= _TANH_SCALE
    np.tanh(inner, out=inner)
    inner += np.float32(1)
    x *= inner


def relu(x: NDArray[np.float32]) -> None:
    """Replace every negative x by 0."""
    np.maximum(x, np.float32(0), out=x)


# The keys are the values of `hidden_act` in a checkpoint's config.json.
ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": Activation(double_gelu, np.float32(0.5)),
    "gelu_new": Activation(double_tanh_gelu, np.float32(0.5)),
    "gelu_pytorch_tanh": Activation(double_tanh_gelu, np.float32(0.5)),
    "relu": Activation(relu, np.float32(1)),
}
