"""MiniLM's parameters by their names in the official checkpoint, and what they do.

Activations are (features, tokens): a linear layer is W @ x as on paper, and for a few
tokens OpenBLAS spreads that over two cores where x @ W.T stays on one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.encoder.safetensors import SafeTensors

Matrix = NDArray[np.float32]

DIMENSION = 384
LAYERS = 6
_EPSILON = np.float32(1e-12)

# A row that averages over the features of each token: _MEAN @ x is (1, tokens), and
# up to four times faster than a reduction over the first axis.
_MEAN = np.full((1, DIMENSION), 1 / DIMENSION, np.float32)


@dataclass(frozen=True)
class Linear:
    weight: Matrix  # (..., out, in)
    bias: Matrix  # (..., out, 1)

    def __call__(self, x: Matrix, *, out: Matrix) -> Matrix:
        """W x + b into `out`, which must not overlap x."""
        np.matmul(self.weight, x, out=out)
        out += self.bias
        return out


@dataclass(frozen=True)
class LayerNorm:
    weight: Matrix  # (384, 1)
    bias: Matrix  # (384, 1)

    def __call__(self, x: Matrix, *, scratch: Matrix) -> None:
        """Normalise each token (column) of x in place."""
        x -= _MEAN @ x
        np.multiply(x, x, out=scratch)
        variance = _MEAN @ scratch
        x /= np.sqrt(variance + _EPSILON)
        x *= self.weight
        x += self.bias


@dataclass(frozen=True)
class Layer:
    key_query_value: Linear  # (3, 384, 384)
    attention_output: Linear  # (384, 384)
    attention_norm: LayerNorm
    intermediate: Linear  # (1536, 384)
    output: Linear  # (384, 1536)
    output_norm: LayerNorm


@dataclass(frozen=True)
class Weights:
    """Views of the mapped file; nothing is copied."""

    words: Matrix  # (30522, 384)
    positions: Matrix  # (512, 384)
    token_type: Matrix  # (384,): a single text is all of type 0
    embeddings_norm: LayerNorm
    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, tensors: SafeTensors) -> "Weights":
        """Raises ModelUnavailableError if a tensor is not there as expected."""
        tensors.advise_random("embeddings.word_embeddings.weight")
        return cls(
            words=tensors.tensor("embeddings.word_embeddings.weight"),
            positions=tensors.tensor("embeddings.position_embeddings.weight"),
            token_type=tensors.tensor("embeddings.token_type_embeddings.weight")[0],
            embeddings_norm=_layer_norm(tensors, "embeddings.LayerNorm"),
            layers=tuple(_layer(tensors, f"encoder.layer.{i}") for i in range(LAYERS)),
        )


def _layer(tensors: SafeTensors, name: str) -> Layer:
    return Layer(
        key_query_value=_key_query_value(tensors, f"{name}.attention.self"),
        attention_output=_linear(tensors, f"{name}.attention.output.dense"),
        attention_norm=_layer_norm(tensors, f"{name}.attention.output.LayerNorm"),
        intermediate=_linear(tensors, f"{name}.intermediate.dense"),
        output=_linear(tensors, f"{name}.output.dense"),
        output_norm=_layer_norm(tensors, f"{name}.output.LayerNorm"),
    )


def _key_query_value(tensors: SafeTensors, name: str) -> Linear:
    """The three projections as one, without the 10 MB that stacking them would cost.

    In the file they are neighbours: key bias, key weight, query bias, query weight,
    value bias, value weight.
    """
    table = tensors.rows(f"{name}.key.bias", f"{name}.value.weight", width=DIMENSION)
    table = table.reshape(3, 1 + DIMENSION, DIMENSION)
    return Linear(weight=table[:, 1:], bias=table[:, 0, :, np.newaxis])


def _linear(tensors: SafeTensors, name: str) -> Linear:
    return Linear(
        weight=tensors.tensor(f"{name}.weight"),
        bias=tensors.tensor(f"{name}.bias")[:, np.newaxis],
    )


def _layer_norm(tensors: SafeTensors, name: str) -> LayerNorm:
    return LayerNorm(
        weight=tensors.tensor(f"{name}.weight")[:, np.newaxis],
        bias=tensors.tensor(f"{name}.bias")[:, np.newaxis],
    )
