"""The forward pass of a BERT-like encoder in NumPy: token ids to embeddings.

It follows "Attention Is All You Need" (Vaswani et al. 2017) and "BERT" (Devlin et al.
2019). Activations are (features, tokens). The texts of a group are concatenated without
padding; only attention works on one text at a time.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from app.encoder.activations import ACTIVATIONS, Activation
from app.encoder.pooling import pooled
from app.encoder.spec import Architecture, ModelSpec
from app.encoder.weights import Layer, Matrix, Weights

# Attention scores computed at a time: 512 KB stay in the cache; all twelve heads of a
# text of 256 tokens would take 3 MB.
_SCORES = 131_072

# The token ids of texts that share each matrix product.
Group = Sequence[Sequence[int]]


class Transformer:
    """The layers of one model, and its pooling."""

    def __init__(
        self, weights: Weights, spec: ModelSpec, *, group_tokens: int, sweep_tokens: int
    ) -> None:
        """`group_tokens`: maximum per group. `sweep_tokens`: maximum per call."""
        self._weights = weights
        self._pooling = spec.pooling
        self._shape = shape = spec.architecture
        self._activation = ACTIVATIONS[shape.activation]
        # Holds the feed-forward layer's activations, or queries, keys and values.
        self._wide = max(shape.intermediate, 3 * shape.dimension)
        # Allocated once. Only the pages used so far take memory: for MiniLM 1.5 KB per
        # token of a call, and 7.5 KB per token of its largest group.
        self._hidden = np.empty(shape.dimension * sweep_tokens, np.float32)
        self._scratch = np.empty(
            (self._wide + shape.dimension) * group_tokens, np.float32
        )

    def embed(self, groups: Sequence[Group]) -> Matrix:
        """Embed all texts in order: (n, dimension) float32, unit length.

        The texts of a group share each matrix product, which is fast, but their other
        texts affect the rounding by about 1e-7. Groups share only the sweep over the
        weights. Each text needs at least one token. Not thread-safe: calls share the
        scratch memory.
        """
        hidden = list(zip(groups, self._split_hidden(groups), strict=True))
        for group, x in hidden:
            _embeddings(self._weights, self._shape, group, out=x)
            self._weights.embeddings_norm(x, scratch=self._buffers(x)[1])
        for layer in self._weights.layers:
            for group, x in hidden:
                wide, narrow = self._buffers(x)
                self._attention(layer, x, _spans(group), wide=wide, narrow=narrow)
                _feed_forward(
                    layer,
                    x,
                    self._activation,
                    wide=wide[: self._shape.intermediate],
                    narrow=narrow,
                )
        return np.concatenate(
            [pooled(x, _starts(group), self._pooling) for group, x in hidden]
        )

    def _split_hidden(self, groups: Sequence[Group]) -> Iterator[Matrix]:
        """Views of the hidden states: (dimension, tokens) for each group."""
        d = self._shape.dimension
        sizes = (d * sum(map(len, group)) for group in groups)
        for start, end in pairwise(accumulate(sizes, initial=0)):
            yield self._hidden[start:end].reshape(d, -1)

    def _buffers(self, x: Matrix) -> tuple[Matrix, Matrix]:
        """Views of the scratch memory: (wide, tokens) and (dimension, tokens)."""
        dimension, tokens = x.shape
        middle, end = self._wide * tokens, (self._wide + dimension) * tokens
        wide = self._scratch[:middle].reshape(-1, tokens)
        return wide, self._scratch[middle:end].reshape(-1, tokens)

    def _attention(
        self,
        layer: Layer,
        x: Matrix,
        spans: Sequence[slice],
        *,
        wide: Matrix,
        narrow: Matrix,
    ) -> None:
        """x = LayerNorm(x + W_o MultiHead(x)), in place."""
        d, heads = self._shape.dimension, self._shape.heads
        query = layer.query(x, out=wide[:d])
        query *= np.float32((d // heads) ** -0.5)
        key = layer.key(x, out=wide[d : 2 * d])
        value = layer.value(x, out=wide[2 * d : 3 * d])
        by_head = [
            m.reshape(heads, d // heads, -1) for m in (query, key, value, narrow)
        ]
        for span in spans:
            q, k, v, context = (m[:, :, span] for m in by_head)
            _attend(q, k, v, context=context)
        x += layer.attention_output(narrow, out=wide[:d])
        layer.attention_norm(x, scratch=narrow)


def _starts(group: Group) -> list[int]:
    return [0, *accumulate(map(len, group[:-1]))]


def _spans(group: Group) -> list[slice]:
    return [
        slice(a, a + len(text)) for a, text in zip(_starts(group), group, strict=True)
    ]


def _embeddings(
    weights: Weights, shape: Architecture, group: Group, *, out: Matrix
) -> None:
    """Word, position and type embeddings of each token."""
    texts = [np.asarray(text, np.intp) for text in group]
    rows = weights.words[np.concatenate(texts)]
    rows += weights.positions[np.concatenate([_positions(t, shape) for t in texts])]
    if weights.token_type is not None:
        rows += weights.token_type
    out[:] = rows.T


def _positions(ids: NDArray[np.intp], shape: Architecture) -> NDArray[np.intp]:
    """Positions of a text's tokens.

    In XLM-RoBERTa a padding token in the text is not counted and gets the position
    `padding_id`.
    """
    if shape.padding_id is None:
        return np.arange(len(ids))
    counted = ids != shape.padding_id
    return np.where(counted, np.cumsum(counted), 0) + shape.padding_id


def _attend(q: Matrix, k: Matrix, v: Matrix, *, context: Matrix) -> None:
    """softmax(Q K^T) V of one text; all arrays are (heads, head dimension, tokens)."""
    all_heads, _, tokens = q.shape
    group = max(1, _SCORES // tokens**2)
    # Beyond 362 tokens the scores of a single head are computed in parts.
    width = tokens if tokens**2 <= _SCORES else max(1, _SCORES // tokens)
    for first in range(0, all_heads, group):
        heads = slice(first, first + group)
        for start in range(0, tokens, width):
            some = (heads, slice(None), slice(start, start + width))
            _attend_block(q[some], k[heads], v[heads], context=context[some])


def _attend_block(q: Matrix, k: Matrix, v: Matrix, *, context: Matrix) -> None:
    scores = np.matmul(k.transpose(0, 2, 1), q)  # (heads, k, q)
    scores -= np.maximum.reduce(scores, axis=1, keepdims=True)
    np.exp(scores, out=scores)
    total = np.add.reduce(scores, axis=1, keepdims=True)
    np.matmul(v, scores, out=context)
    context /= total  # `context` has fewer rows than `scores`


def _feed_forward(
    layer: Layer,
    x: Matrix,
    activation: Activation,
    *,
    wide: Matrix,
    narrow: Matrix,
) -> None:
    """x = LayerNorm(x + W_2 activation(W_1 x)), in place."""
    activation.apply(layer.intermediate(x, out=wide))
    np.matmul(layer.output.weight, wide, out=narrow)
    narrow *= activation.factor
    narrow += layer.output.bias
    x += narrow
    layer.output_norm(x, scratch=narrow)
