"""MiniLM's forward pass in NumPy: token ids in, embeddings out. No tokenizer here.

Read it beside "Attention Is All You Need" (Vaswani et al. 2017) and "BERT" (Devlin et
al. 2019). Activations are (features, tokens); the tokens of a group of texts lie side
by side without padding, and attention alone looks at one text at a time.
"""

from collections.abc import Iterator, Sequence
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

# Texts that are multiplied together, as token ids.
Group = Sequence[Sequence[int]]


class MiniLM:
    """The six layers of all-MiniLM-L6-v2."""

    def __init__(
        self, weights: Weights, *, group_tokens: int, sweep_tokens: int
    ) -> None:
        """At most so many tokens in a group, and in all groups of one call."""
        self._weights = weights
        # Taken once; in memory only as far as a call ever reached: 1.5 KB for each of
        # its tokens, 7.5 KB more for each of its largest group.
        self._hidden = np.empty(DIMENSION * sweep_tokens, np.float32)
        self._scratch = np.empty((_INTERMEDIATE + DIMENSION) * group_tokens, np.float32)

    def embed(self, groups: Sequence[Group]) -> Matrix:
        """(n, 384) float32, unit length, of all texts in order.

        The texts of a group share each product, which is fast; but its rounding, about
        1e-7, depends on all of them. Groups share the reading of the weights only.
        Each text has at least one token. Not for two threads at once: the scratch
        memory is shared.
        """
        hidden = list(zip(groups, self._split_hidden(groups), strict=True))
        for group, x in hidden:
            _embeddings(self._weights, group, out=x)
            self._weights.embeddings_norm(x, scratch=self._buffers(x)[1])
        for layer in self._weights.layers:
            for group, x in hidden:
                wide, narrow = self._buffers(x)
                _attention(layer, x, _spans(group), wide=wide, narrow=narrow)
                _feed_forward(layer, x, wide=wide, narrow=narrow)
        return np.concatenate([_mean_pooled(x, _starts(group)) for group, x in hidden])

    def _split_hidden(self, groups: Sequence[Group]) -> Iterator[Matrix]:
        """(384, tokens) for each group."""
        sizes = (DIMENSION * sum(map(len, group)) for group in groups)
        for start, end in pairwise(accumulate(sizes, initial=0)):
            yield self._hidden[start:end].reshape(DIMENSION, -1)

    def _buffers(self, x: Matrix) -> tuple[Matrix, Matrix]:
        """(1536, tokens) and (384, tokens) of the scratch memory."""
        tokens = x.shape[1]
        middle, end = _INTERMEDIATE * tokens, (_INTERMEDIATE + DIMENSION) * tokens
        wide = self._scratch[:middle].reshape(-1, tokens)
        return wide, self._scratch[middle:end].reshape(-1, tokens)


def _starts(group: Group) -> list[int]:
    return [0, *accumulate(map(len, group[:-1]))]


def _spans(group: Group) -> list[slice]:
    return [
        slice(a, a + len(text)) for a, text in zip(_starts(group), group, strict=True)
    ]


def _embeddings(weights: Weights, group: Group, *, out: Matrix) -> None:
    """Word, position and type: each text counts its positions from 0."""
    ids = np.concatenate([np.asarray(text, np.intp) for text in group])
    positions = np.concatenate([np.arange(len(text)) for text in group])
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
