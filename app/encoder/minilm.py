"""MiniLM's forward pass in NumPy: token ids in, embeddings out. No tokenizer here.

Read it beside "Attention Is All You Need" (Vaswani et al. 2017) and "BERT" (Devlin et
al. 2019). Activations are (features, tokens); the tokens of several texts lie side by
side without padding, and attention alone looks at one text at a time.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from app.encoder.gelu import double_gelu
from app.encoder.weights import DIMENSION, Layer, Matrix, Weights

_HEADS = 12
_HEAD_DIMENSION = DIMENSION // _HEADS
_INTERMEDIATE = 1536

# Attention scores of so many numbers (512 KB) at a time: they stay in the cache, and
# a text of 256 tokens does not need 3 MB for its twelve heads at once.
_SCORES = 131_072


class MiniLM:
    """The six layers of all-MiniLM-L6-v2."""

    def __init__(self, weights: Weights, *, max_tokens: int) -> None:
        self._weights = weights
        rows = DIMENSION + _INTERMEDIATE + DIMENSION
        # Taken once; in memory only as far as a pack ever reached: 9 KB a token.
        self._scratch = np.empty(rows * max_tokens, np.float32)

    def embed(self, texts: Sequence[Sequence[int]]) -> Matrix:
        """Token ids of a few texts to (len(texts), 384) float32, unit length.

        All texts together have at most `max_tokens` tokens, and each at least one. Not
        for two threads at once: the scratch memory is shared.
        """
        starts = [0, *accumulate(map(len, texts))]
        spans = [slice(start, end) for start, end in pairwise(starts)]
        x, wide, narrow = self._buffers(starts[-1])
        _embeddings(self._weights, texts, out=x)
        self._weights.embeddings_norm(x, scratch=narrow)
        for layer in self._weights.layers:
            _attention(layer, x, spans, wide=wide, narrow=narrow)
            _feed_forward(layer, x, wide=wide, narrow=narrow)
        return _mean_pooled(x, starts[:-1])

    def _buffers(self, tokens: int) -> tuple[Matrix, Matrix, Matrix]:
        """(384, tokens), (1536, tokens) and (384, tokens) of the scratch memory."""
        rows = (DIMENSION, _INTERMEDIATE, DIMENSION)
        ends = accumulate((r * tokens for r in rows), initial=0)
        x, wide, narrow = (
            self._scratch[start:end].reshape(-1, tokens)
            for start, end in pairwise(ends)
        )
        return x, wide, narrow


def _embeddings(
    weights: Weights, texts: Sequence[Sequence[int]], *, out: Matrix
) -> None:
    """Word, position and type: each text counts its positions from 0."""
    ids = np.concatenate([np.asarray(text, np.intp) for text in texts])
    positions = np.concatenate([np.arange(len(text)) for text in texts])
    rows = weights.words[ids]
    rows += weights.positions[positions]
    rows += weights.token_type
    out[:] = rows.T


def _attention(
    layer: Layer, x: Matrix, spans: Sequence[slice], *, wide: Matrix, narrow: Matrix
) -> None:
    """x = LayerNorm(x + W_o MultiHead(x)), in place."""
    projections = wide[: 3 * DIMENSION].reshape(3, DIMENSION, -1)
    key, query, value = layer.key_query_value(x, out=projections)
    query *= np.float32(_HEAD_DIMENSION**-0.5)
    heads = [
        m.reshape(_HEADS, _HEAD_DIMENSION, -1) for m in (query, key, value, narrow)
    ]
    for span in spans:
        q, k, v, context = (m[:, :, span] for m in heads)
        _attend(q, k, v, context=context)
    x += layer.attention_output(narrow, out=wide[:DIMENSION])
    layer.attention_norm(x, scratch=narrow)


def _attend(q: Matrix, k: Matrix, v: Matrix, *, context: Matrix) -> None:
    """softmax(Q K^T) V of one text; all are (heads, 32, tokens)."""
    group = max(1, _SCORES // q.shape[2] ** 2)
    for first in range(0, _HEADS, group):
        heads = slice(first, first + group)
        scores = np.matmul(k[heads].transpose(0, 2, 1), q[heads])  # (heads, k, q)
        scores -= np.maximum.reduce(scores, axis=1, keepdims=True)
        np.exp(scores, out=scores)
        total = np.add.reduce(scores, axis=1, keepdims=True)
        np.matmul(v[heads], scores, out=context[heads])
        context[heads] /= total  # 32 rows here, one per token in the scores


def _feed_forward(layer: Layer, x: Matrix, *, wide: Matrix, narrow: Matrix) -> None:
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
