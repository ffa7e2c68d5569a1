"""A checkpoint's parameters, and the layers made of them.

Activations are (features, tokens), so a linear layer is W @ x. For few tokens OpenBLAS
runs that on two cores, but x @ W.T on one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.encoder.safetensors import SafeTensors
from app.encoder.spec import Architecture, Family

Matrix = NDArray[np.float32]

_WORDS = "embeddings.word_embeddings.weight"
_TOKEN_TYPE = "embeddings.token_type_embeddings.weight"  # noqa: S105


@dataclass(frozen=True)
class LayerNames:
    """The names of a layer's modules. {} in `layer` stands for the layer's number."""

    layer: str = "encoder.layer.{}"
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    attention_output: str = "attention.output.dense"
    attention_norm: str = "attention.output.LayerNorm"
    intermediate: str = "intermediate.dense"
    output: str = "output.dense"
    output_norm: str = "output.LayerNorm"


_NAMES: Mapping[Family, LayerNames] = {
    "bert": LayerNames(),
    "xlm-roberta": LayerNames(),
    "distilbert": LayerNames(
        layer="transformer.layer.{}",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attention_output="attention.out_lin",
        attention_norm="sa_layer_norm",
        intermediate="ffn.lin1",
        output="ffn.lin2",
        output_norm="output_layer_norm",
    ),
}


@dataclass(frozen=True)
class Linear:
    weight: Matrix  # (out, in)
    bias: Matrix  # (out, 1)

    def __call__(self, x: Matrix, *, out: Matrix) -> Matrix:
        """Write W x + b into `out`, which must not overlap x."""
        np.matmul(self.weight, x, out=out)
        out += self.bias
        return out


@dataclass(frozen=True)
class LayerNorm:
    weight: Matrix  # (d, 1)
    bias: Matrix  # (d, 1)
    epsilon: np.float32
    # mean @ x averages the features of each token: (1, tokens), and up to four times
    # faster than a reduction over the first axis.
    mean: Matrix  # (1, d), 1 / d everywhere

    def __call__(self, x: Matrix, *, scratch: Matrix) -> None:
        """Normalize each token (column) of x in place."""
        x -= self.mean @ x
        np.multiply(x, x, out=scratch)
        variance = self.mean @ scratch
        x /= np.sqrt(variance + self.epsilon)
        x *= self.weight
        x += self.bias


@dataclass(frozen=True)
class Layer:
    query: Linear  # (d, d)
    key: Linear  # (d, d)
    value: Linear  # (d, d)
    attention_output: Linear  # (d, d)
    attention_norm: LayerNorm
    intermediate: Linear  # (intermediate, d)
    output: Linear  # (d, intermediate)
    output_norm: LayerNorm


@dataclass(frozen=True)
class Weights:
    """Views of the mapped file; nothing is copied."""

    words: Matrix  # (vocabulary, d)
    positions: Matrix  # (positions, d)
    token_type: Matrix | None  # (d,): all tokens have type 0
    embeddings_norm: LayerNorm
    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, tensors: SafeTensors, architecture: Architecture) -> "Weights":
        """Raises ModelUnavailableError for a missing tensor or a wrong shape."""
        return _Reader(tensors, architecture).weights()


class _Reader:
    """Reads the tensors of one architecture and checks their shapes."""

    def __init__(self, tensors: SafeTensors, architecture: Architecture) -> None:
        self._tensors = tensors
        self._d = architecture.dimension
        self._architecture = architecture
        self._names = _NAMES[architecture.family]
        # A checkpoint saved with a head has the prefix "bert." or "roberta.".
        self._prefix = tensors.prefix_of(_WORDS)
        self._mean = np.full((1, self._d), 1 / self._d, np.float32)

    def weights(self) -> Weights:
        self._tensors.advise_random(self._prefix + _WORDS)
        positions = self._architecture.positions
        return Weights(
            words=self._tensor(_WORDS, None, self._d),
            positions=self._tensor(
                "embeddings.position_embeddings.weight", positions, self._d
            ),
            token_type=self._token_type(),
            embeddings_norm=self._layer_norm("embeddings.LayerNorm"),
            layers=tuple(
                self._layer(self._names.layer.format(number))
                for number in range(self._architecture.layers)
            ),
        )

    def _token_type(self) -> Matrix | None:
        if self._prefix + _TOKEN_TYPE not in self._tensors:
            return None
        table: Matrix = self._tensor(_TOKEN_TYPE, None, self._d)[0]
        return table

    def _layer(self, name: str) -> Layer:
        d, wide, names = self._d, self._architecture.intermediate, self._names
        return Layer(
            query=self._linear(f"{name}.{names.query}", d, d),
            key=self._linear(f"{name}.{names.key}", d, d),
            value=self._linear(f"{name}.{names.value}", d, d),
            attention_output=self._linear(f"{name}.{names.attention_output}", d, d),
            attention_norm=self._layer_norm(f"{name}.{names.attention_norm}"),
            intermediate=self._linear(f"{name}.{names.intermediate}", wide, d),
            output=self._linear(f"{name}.{names.output}", d, wide),
            output_norm=self._layer_norm(f"{name}.{names.output_norm}"),
        )

    def _linear(self, name: str, outputs: int, inputs: int) -> Linear:
        return Linear(
            weight=self._tensor(f"{name}.weight", outputs, inputs),
            bias=self._tensor(f"{name}.bias", outputs)[:, np.newaxis],
        )

    def _layer_norm(self, name: str) -> LayerNorm:
        return LayerNorm(
            weight=self._tensor(f"{name}.weight", self._d)[:, np.newaxis],
            bias=self._tensor(f"{name}.bias", self._d)[:, np.newaxis],
            epsilon=np.float32(self._architecture.epsilon),
            mean=self._mean,
        )

    def _tensor(self, name: str, *shape: int | None) -> Matrix:
        return self._tensors.tensor(self._prefix + name, shape=shape)
