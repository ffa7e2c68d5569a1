"""The NumPy encoder: a tokenizer and a transformer in bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from app.encoder.safetensors import SafeTensors
from app.encoder.spec import ModelSpec, PromptName
from app.encoder.tokens import Tokens
from app.encoder.transformer import Group, Transformer
from app.encoder.weights import Weights

# Tokens per sweep over the weights (43 MB for MiniLM): some thirty short texts. A host
# without free memory for the page cache reads the weights from disk at each sweep.
SWEEP_TOKENS = 1024


class NumpyEncoder:
    """A model over its file of weights, which the caller has verified."""

    def __init__(
        self, weights: Path, tokens: Tokens, spec: ModelSpec, *, version: str
    ) -> None:
        """Raises ModelUnavailableError if the file is absent or damaged."""
        self.version = version
        self.dimension = spec.architecture.dimension
        self._spec = spec
        self._tokens = tokens
        self._sweep_tokens = max(SWEEP_TOKENS, spec.max_tokens)
        self._model = Transformer(
            Weights.of(SafeTensors(weights), spec.architecture),
            spec,
            group_tokens=spec.max_tokens,
            sweep_tokens=self._sweep_tokens,
        )
        self._lock = Lock()

    def encode(
        self, texts: Sequence[str], *, prompt: PromptName = "query"
    ) -> NDArray[np.float32]:
        """As `Encoder.encode`; any number of threads may call it."""
        return self._embed(texts, prompt, self._spec.max_tokens, lambda pack: [pack])

    def encode_deterministic(
        self, texts: Sequence[str], *, prompt: PromptName = "query"
    ) -> NDArray[np.float32]:
        """As `encode`, but at half its speed: a vector depends on its text alone."""
        return self._embed(
            texts, prompt, self._sweep_tokens, lambda pack: [[ids] for ids in pack]
        )

    def _embed(
        self,
        texts: Sequence[str],
        prompt: PromptName,
        max_tokens: int,
        group: Callable[[Group], Sequence[Group]],
    ) -> NDArray[np.float32]:
        embeddings = np.empty((len(texts), self.dimension), np.float32)
        before = self._spec.prompts.of(prompt)
        done = 0
        for pack in self._packs((before + text for text in texts), max_tokens):
            # One pack at a time: two would need twice the scratch memory and compete
            # for the cores. A short text waits for one pack, not for a bulk run.
            with self._lock:
                embeddings[done : done + len(pack)] = self._model.embed(group(pack))
            done += len(pack)
        return embeddings

    def _packs(self, texts: Iterable[str], max_tokens: int) -> Iterator[Group]:
        """Token ids of the texts in order, at most `max_tokens` in one pack."""
        pack: list[list[int]] = []
        tokens = 0
        for text in texts:
            ids = self._tokens.ids(text)
            if tokens + len(ids) > max_tokens:
                yield pack
                pack, tokens = [], 0
            pack.append(ids)
            tokens += len(ids)
        if pack:
            yield pack
