"""MiniLM's forward pass in NumPy: token ids in, embeddings out. No tokenizer here.

Read it beside "Attention Is All You Need" (Vaswani et al. 2017) and "BERT" (Devlin et
al. 2019). Activations are (features, tokens), so that a linear layer is W @ x as on
paper; the tokens of several texts lie side by side without padding, and attention alone
looks at one text at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from app.encoder.gelu import double_gelu
from app.encoder.safetensors import SafeTensors

Matrix = NDArray[np.float32]

DIMENSION = 384
LAYERS = 6
HEADS = 12
HEAD_DIMENSION = DIMENSION // HEADS
INTERMEDIATE = 1536
EPSILON = np.float32(1e-12)

# A row that averages over the features of each token: _MEAN @ x is (1, tokens), and
# four times faster than a reduction over the first axis.
_MEAN = np.full((1, DIMENSION), 1 / DIMENSION, np.float32)

# Attention scores of so many numbers (512 KB) at a time: they stay in the cache, and
# a text of 256 tokens does not need 3 MB for its twelve heads at once.
_SCORES = 131_072


@dataclass(frozen=True)
class _Linear:
    weight: Matrix  # (..., out, in)
    bias: Matrix  # (..., out, 1)

    def __call__(self, x: Matrix, *, out: Matrix) -> Matrix:
        """W x + b into `out`, which must not overlap x."""
        np.matmul(self.weight, x, out=out)
        out += self.bias
        return out


@dataclass(frozen=True)
class _LayerNorm:
    weight: Matrix  # (384, 1)
    bias: Matrix  # (384, 1)

    def __call__(self, x: Matrix, *, scratch: Matrix) -> None:
        """Normalise each token (column) of x in place."""
        x -= _MEAN @ x
        np.multiply(x, x, out=scratch)
        variance = _MEAN @ scratch
        x /= np.sqrt(variance + EPSILON)
        x *= self.weight
        x += self.bias


@dataclass(frozen=True)
class _Layer:
    key_query_value: _Linear  # (3, 384, 384): one product
    attention_output: _Linear
    attention_norm: _LayerNorm
    intermediate: _Linear
    output: _Linear
    output_norm: _LayerNorm


class MiniLM:
    """The six layers of all-MiniLM-L6-v2 over memory-mapped weights."""

    def __init__(self, tensors: SafeTensors, *, max_tokens: int) -> None:
        self._words = tensors.tensor("embeddings.word_embeddings.weight")
        self._positions = tensors.tensor("embeddings.position_embeddings.weight")
        self._type = tensors.tensor("embeddings.token_type_embeddings.weight")[0]
        self._norm = _layer_norm(tensors, "embeddings.LayerNorm")
        self._layers = [_layer(tensors, f"encoder.layer.{i}") for i in range(LAYERS)]
        rows = DIMENSION + INTERMEDIATE + DIMENSION
        self._scratch = np.empty(rows * max_tokens, np.float32)

    def embed(self, texts: Sequence[Sequence[int]]) -> Matrix:
        """Token ids of a few texts to (len(texts), 384) float32, unit length.

        All texts together have at most `max_tokens` tokens, and each at least one. Not
        for two threads at once: the scratch memory is shared.
        """
        starts = [0, *accumulate(map(len, texts))]
        spans = [slice(start, end) for start, end in pairwise(starts)]
        x, wide, narrow = self._buffers(starts[-1])
        self._embeddings(texts, out=x)
        self._norm(x, scratch=narrow)
        for layer in self._layers:
            _attention(layer, x, spans, wide=wide, narrow=narrow)
            _feed_forward(layer, x, wide=wide, narrow=narrow)
        return _mean_pooled(x, starts[:-1])

    def _buffers(self, tokens: int) -> tuple[Matrix, Matrix, Matrix]:
        rows = (DIMENSION, INTERMEDIATE, DIMENSION)
        ends = accumulate((r * tokens for r in rows), initial=0)
        x, wide, narrow = (
            self._scratch[start:end].reshape(-1, tokens)
            for start, end in pairwise(ends)
        )
        return x, wide, narrow

    def _embeddings(self, texts: Sequence[Sequence[int]], *, out: Matrix) -> None:
        ids = np.concatenate([np.asarray(text, np.intp) for text in texts])
        positions = np.concatenate([np.arange(len(text)) for text in texts])
        rows = self._words[ids]
        rows += self._type
        rows += self._positions[positions]
        out[:] = rows.T


def _attention(
    layer: _Layer, x: Matrix, spans: Sequence[slice], *, wide: Matrix, narrow: Matrix
) -> None:
    """x = LayerNorm(x + W_o MultiHead(x)), in place."""
    projections = wide[: 3 * DIMENSION].reshape(3, DIMENSION, -1)
    key, query, value = layer.key_query_value(x, out=projections)
    query *= np.float32(HEAD_DIMENSION**-0.5)
    heads = [m.reshape(HEADS, HEAD_DIMENSION, -1) for m in (query, key, value, narrow)]
    for span in spans:
        q, k, v, context = (m[:, :, span] for m in heads)
        _attend(q, k, v, context=context)
    x += layer.attention_output(narrow, out=wide[:DIMENSION])
    layer.attention_norm(x, scratch=narrow)


def _attend(q: Matrix, k: Matrix, v: Matrix, *, context: Matrix) -> None:
    """softmax(Q K^T) V of one text; all are (heads, 32, tokens)."""
    tokens = q.shape[2]
    group = max(1, _SCORES // tokens**2)
    for first in range(0, HEADS, group):
        heads = slice(first, first + group)
        scores = np.matmul(k[heads].transpose(0, 2, 1), q[heads])  # (heads, k, q)
        scores -= np.maximum.reduce(scores, axis=1, keepdims=True)
        np.exp(scores, out=scores)
        total = np.add.reduce(scores, axis=1, keepdims=True)
        np.matmul(v[heads], scores, out=context[heads])
        context[heads] /= total


def _feed_forward(layer: _Layer, x: Matrix, *, wide: Matrix, narrow: Matrix) -> None:
    """x = LayerNorm(x + W_2 GELU(W_1 x)), in place."""
    double_gelu(layer.intermediate(x, out=wide))
    np.matmul(layer.output.weight, wide, out=narrow)
    narrow *= np.float32(0.5)
    narrow += layer.output.bias
    x += narrow
    layer.output_norm(x, scratch=narrow)


def _mean_pooled(x: Matrix, starts: Sequence[int]) -> Matrix:
    """The mean of each text's tokens at unit length, where the token count cancels."""
    pooled: Matrix = np.add.reduceat(x, starts, axis=1).T
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    return pooled


def _layer(tensors: SafeTensors, name: str) -> _Layer:
    return _Layer(
        key_query_value=_key_query_value(tensors, f"{name}.attention.self"),
        attention_output=_linear(tensors, f"{name}.attention.output.dense"),
        attention_norm=_layer_norm(tensors, f"{name}.attention.output.LayerNorm"),
        intermediate=_linear(tensors, f"{name}.intermediate.dense"),
        output=_linear(tensors, f"{name}.output.dense"),
        output_norm=_layer_norm(tensors, f"{name}.output.LayerNorm"),
    )


def _key_query_value(tensors: SafeTensors, name: str) -> _Linear:
    """In the file: key bias, key weight, query bias, query weight, value bias and weight.

    Seen as one table they need no copy; stacked anew they would cost 10 MB of memory.
    """
    table = tensors.rows(f"{name}.key.bias", f"{name}.value.weight", width=DIMENSION)
    table = table.reshape(3, 1 + DIMENSION, DIMENSION)
    return _Linear(weight=table[:, 1:], bias=table[:, 0, :, np.newaxis])


def _linear(tensors: SafeTensors, name: str) -> _Linear:
    return _Linear(
        weight=tensors.tensor(f"{name}.weight"),
        bias=tensors.tensor(f"{name}.bias")[:, np.newaxis],
    )


def _layer_norm(tensors: SafeTensors, name: str) -> _LayerNorm:
    return _LayerNorm(
        weight=tensors.tensor(f"{name}.weight")[:, np.newaxis],
        bias=tensors.tensor(f"{name}.bias")[:, np.newaxis],
    )
